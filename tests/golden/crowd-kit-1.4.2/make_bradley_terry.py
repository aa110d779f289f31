"""Writes the golden files `comparisons-*` beside it: crowd-kit 1.4.2's Bradley-Terry scores of a log.

Run it from anywhere, in an environment with crowd-kit 1.4.2:  python make_bradley_terry.py

A tolerance below zero turns its stopping rule off, which ends every run after two iterations.
"""

from pathlib import Path

import numpy as np
import polars as pl
from crowdkit.aggregation import BradleyTerry

HERE = Path(__file__).parent
EXAMPLES, ROWS = 12, 400


def log() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    score = rng.normal(size=EXAMPLES)
    left = rng.integers(0, EXAMPLES, ROWS)
    right = (left + rng.integers(1, EXAMPLES, ROWS)) % EXAMPLES
    won = rng.random(ROWS) < 1 / (1 + np.exp(score[right] - score[left]))
    winner = np.where(won, left, right)
    annotator = rng.integers(0, 5, ROWS)
    return pl.DataFrame({"left": left, "right": right, "annotator": annotator, "winner": winner})


def main() -> None:
    comparisons = log()
    comparisons.write_parquet(HERE / "comparisons-log.parquet", compression_level=19)
    frame = comparisons.rename({"annotator": "worker", "winner": "label"}).to_pandas()
    scores = BradleyTerry(n_iter=2000, tol=-1).fit_predict(frame)
    found = pl.DataFrame({"example": scores.index.to_numpy(), "score": scores.to_numpy()})
    found.write_parquet(HERE / "comparisons-bradley_terry.parquet", compression_level=19)


if __name__ == "__main__":
    main()
