"""Writes the golden files `simulated-*` beside it: what crowd-kit 1.4.2 says of the annotators of a log.

Run it from anywhere, in an environment with polars_crowd and crowd-kit 1.4.2:  python make_skills.py

Two classes and five annotations per example: no majority vote is tied.
"""

from pathlib import Path

import pandas as pd
import polars as pl
from crowdkit.aggregation import GLAD, KOS, Wawa, ZeroBasedSkill
from crowdkit.aggregation.classification import wawa, zero_based_skill

import polars_crowd as pc

HERE = Path(__file__).parent


# with scikit-learn 1.9 this check of theirs raises, fitted or not
for module in (wawa, zero_based_skill):
    module.check_is_fitted = lambda *args, **options: None


def write(name: str, values: pd.Series, index: str, column: str) -> None:
    frame = pl.DataFrame({index: list(values.index), column: list(values)})
    frame.sort(index).write_parquet(HERE / f"simulated-{name}.parquet", compression_level=19)


def main() -> None:
    log = pc.simulate.simulate_annotations(
        n_examples=200, n_annotators=9, n_classes=2, annotations_per_example=5, seed=3
    ).log
    log.write_parquet(HERE / "simulated-log.parquet", compression_level=19)
    frame = log.rename({"example": "task", "annotator": "worker"}).to_pandas()
    for name, method in {"wawa": Wawa(), "zero_based_skill": ZeroBasedSkill()}.items():
        method.fit_predict(frame)
        write(name, method.skills_, "annotator", "skill")
        write(f"{name}-labels", method.labels_, "example", "label")
    glad = GLAD(n_iter=200, tol=1e-9)
    glad.fit_predict(frame)
    write("glad-alpha", glad.alphas_, "annotator", "alpha")
    write("glad-beta", glad.betas_, "example", "beta")
    write("kos-labels", KOS(n_iter=10, random_state=0).fit_predict(frame), "example", "label")


if __name__ == "__main__":
    main()
