"""What crowd-kit 1.4.2 says of a simulated log (see the recipe beside the files)."""

from pathlib import Path

import polars as pl

GOLDEN = Path(__file__).parent / "golden" / "crowd-kit-1.4.2"


def answer(name: str) -> pl.DataFrame:
    """`simulated-NAME`, sorted by its first column."""
    return pl.read_parquet(GOLDEN / f"simulated-{name}.parquet")


def log() -> pl.DataFrame:
    """The log that was asked about."""
    return answer("log")
