"""What Polars 1 says in another way than Polars 2."""

from typing import Final, Literal

import polars as pl

HORIZONTAL: Final[Literal["horizontal", "horizontal_extend"]] = (
    "horizontal_extend" if pl.__version__.startswith("1.") else "horizontal"
)
"""How frames of one height stand side by side: the `horizontal` of Polars 1 fills up with nulls."""
