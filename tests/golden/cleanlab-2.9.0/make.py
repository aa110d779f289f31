"""Writes the golden files beside it: what cleanlab 2.9.0 answers on the logs under tests/data.

Run it from anywhere, in an environment with cleanlab 2.9.0:  python make.py
"""

from pathlib import Path

import cleanlab
import numpy as np
import polars as pl
from cleanlab.multiannotator import get_label_quality_multiannotator, get_majority_vote_label

HERE = Path(__file__).parent
DATA = HERE.parent.parent / "data"


def wide(log: pl.DataFrame, classes: list[str]) -> tuple[np.ndarray, list[str], list[str]]:
    """The log as (examples x annotators) class numbers, NaN where not labelled."""
    examples = sorted(log["example"].unique())
    annotators = sorted(log["annotator"].unique())
    matrix = np.full((len(examples), len(annotators)), np.nan)
    for example, annotator, label in log.select("example", "annotator", "label").iter_rows():
        matrix[examples.index(example), annotators.index(annotator)] = classes.index(label)
    return matrix, examples, annotators


def answers(name: str) -> dict[str, pl.DataFrame]:
    log = pl.read_parquet(DATA / name / "annotations.parquet")
    probs = pl.read_parquet(DATA / name / "pred_probs.parquet").sort("example")
    classes = probs.columns[1:]
    matrix, examples, annotators = wide(log, classes)
    p = probs.select(classes).to_numpy()
    found = get_label_quality_multiannotator(matrix, p, return_weights=True, verbose=False)
    names = dict(enumerate(classes))
    quality, stats = found["label_quality"], found["annotator_stats"].sort_index()
    detailed = found["detailed_label_quality"].to_numpy()
    at = np.argwhere(~np.isnan(matrix))
    return {
        "examples": pl.DataFrame(
            {
                "example": examples,
                "consensus_label": quality["consensus_label"].map(names).to_list(),
                "consensus_quality_score": quality["consensus_quality_score"].to_numpy(),
                "annotator_agreement": quality["annotator_agreement"].to_numpy(),
                "num_annotations": quality["num_annotations"].to_numpy(),
                "majority_vote": [
                    names[k] for k in get_majority_vote_label(matrix, p, verbose=False)
                ],
            }
        ),
        "annotations": pl.DataFrame(
            {
                "example": [examples[e] for e, _ in at],
                "annotator": [annotators[a] for _, a in at],
                "label": [classes[int(matrix[e, a])] for e, a in at],
                "label_quality_score": [detailed[e, a] for e, a in at],
            }
        ),
        "annotators": pl.DataFrame(
            {
                "annotator": annotators,
                "annotator_quality": stats["annotator_quality"].to_numpy(),
                "agreement_with_consensus": stats["agreement_with_consensus"].to_numpy(),
                "worst_class": stats["worst_class"].map(names).to_list(),
                "num_examples_labeled": stats["num_examples_labeled"].to_numpy(),
                "annotator_weight": found["annotator_weight"],
                "model_weight": [found["model_weight"]] * len(annotators),
            }
        ),
    }


if __name__ == "__main__":
    assert cleanlab.__version__ == "2.9.0", cleanlab.__version__
    for name in ("digits_sim", "labelme"):
        for table, frame in answers(name).items():
            frame.write_parquet(HERE / f"{name}-{table}.parquet", compression="zstd")
