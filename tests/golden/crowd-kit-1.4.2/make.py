"""Writes the golden files beside it: what crowd-kit 1.4.2 answers on the logs under tests/data.

Run it from anywhere, in an environment with crowd-kit 1.4.2:  python make.py

Every posterior is that after exactly n iterations: a tolerance far below zero turns its stopping rule off.
"""

from pathlib import Path

import pandas as pd
import polars as pl
from crowdkit.aggregation import DawidSkene, OneCoinDawidSkene

HERE = Path(__file__).parent
DATA = HERE.parent.parent / "data"
NEVER = -1e9
ANSWERS = {
    "digits_sim-dawid_skene-1": lambda: DawidSkene(1, tol=NEVER),
    "digits_sim-dawid_skene-20": lambda: DawidSkene(20, tol=NEVER),
    "digits_sim-one_coin-10": lambda: OneCoinDawidSkene(10, tol=NEVER),
    "labelme-one_coin-20": lambda: OneCoinDawidSkene(20, tol=NEVER),
}


def frame(name: str) -> pd.DataFrame:
    log = pl.read_parquet(DATA / name / "annotations.parquet")
    return log.select(task="example", worker="annotator", label="label").to_pandas()


def main() -> None:
    for name, method in ANSWERS.items():
        probability = method().fit_predict_proba(frame(name.partition("-")[0]))
        long = probability.stack().rename("probability").reset_index()
        found = pl.from_pandas(long).rename({"task": "example"}).sort("example", "label")
        found.write_parquet(HERE / f"{name}.parquet", compression_level=19)


if __name__ == "__main__":
    main()
