"""What crowd-kit 1.4.2 says of a simulated log (see the recipe beside the files)."""

import polars as pl

from tests import GOLDEN

CROWD_KIT = GOLDEN / "crowd-kit-1.4.2"


def answer(name: str) -> pl.DataFrame:
    """`simulated-NAME`, sorted by its first column."""
    return pl.read_parquet(CROWD_KIT / f"simulated-{name}.parquet")


def log() -> pl.DataFrame:
    """The log that was asked about."""
    return answer("log")
