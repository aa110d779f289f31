"""Accuracy and confidence of every method on data sets with known truth, beside reference numbers.

    python benchmarks/accuracy.py --data DIR [--check]

DIR holds a folder per data set, with `annotations.parquet` (example, annotator, label) and `truth.parquet`
(example, label); folders without truth are left aside. Labels that are floats are numbers: their sets are
scored by error, the others by accuracy, in which tied classes share, and by the log-loss and calibration
error of their posteriors. Sets with `pred_probs.parquet` (out of sample) are given to the methods that take a
model, too. Rows that repeat another are dropped; references count all answers of an annotator to an example,
bounds on the mean log-loss are for logs with the first one.
With --check the exit code says whether every method reaches its reference.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from _measure import environment, markdown, say

import polars_crowd as pc
from polars_crowd.truth import registry
from polars_crowd.truth.evaluation import scoring
from polars_crowd.truth.evaluation.compare import compare

ALLOWED = 0.005
"""By how much a method may stay below its reference on a set."""
DEFAULT = "dawid_skene"
DEFAULT_MEAN = 0.815
"""What the default method must reach on average over the sets with references."""
LOG_LOSS = {"dawid_skene": 0.61, "blend": 0.58}
"""The largest mean log-loss over these sets."""
BLEND_MEAN = 0.825
"""What the blend must reach without a model; with one it must be better than CROWDLAB."""
BLEND_WITH_MODEL = {"digits_sim": 0.976}
"""The accuracies that it must reach with one."""
ON_REAL_MODELS = ("labelme", "music_genre")
"""Where it must be better than CROWDLAB, if there is a model."""
NUMERIC = {"mean absolute error": 11.88, "root mean square error": 17.84}
"""What the best numeric method must beat on the set `emotion_full`."""

COLUMNS = (
    *("majority_vote", "wawa", "zero_based_skill", "iwmv", "one_coin_dawid_skene", "zencrowd"),
    *("dawid_skene_unsmoothed", "dawid_skene", "ibcc", "bwa", "mace", "glad", "ebcc", "kos"),
)
REFERENCES = """
product              .8966 .8966 .8966 .9274 .9084 .9280 .9397 .9397 .9383 .9194 .8348 .9283 .9383 .8955
trec_relevance4      .5423 .5592 .5583 .5405 .1937 .4794 .6135 .6090 .5857 .4291 .6045 .5251 .5857 -
bluebird             .7593 .7593 .7593 .7222 .5833 .7222 .8981 .8981 .8889 .7593 .8981 .7222 .8611 .7222
dog                  .8222 .8290 .8302 .8302 .8302 .8302 .8426 .8414 .8389 .8315 .8327 .8340 .8389 -
face_sentiment       .6367 .6301 .6301 .6301 .6113 .6284 .6404 .6421 .6404 .6182 .6627 .6284 .6079 -
adult2               .7583 .7628 .7658 .7658 .7147 .7217 .7477 .7387 .7447 .7417 .7928 .7598 .7357 -
snow_rte             .8969 .9213 .9213 .9275 .9250 .9250 .9275 .9287 .9275 .9275 .9287 .9250 .9275 .5012
web_relevance        .7307 .8168 .8262 .8496 .8078 .8398 .8281 .8274 .7508 .8225 .8319 .8225 .7282 -
weather_sentiment_cf .8822 .8933 .8933 .8933 .8833 .8933 .7900 .8867 .8833 .8933 .8833 .8800 .8800 -
music_genre          .7042 .7986 .8000 .8000 .7929 .7943 .7671 .7500 .7900 .7857 .8014 .7957 .7900 -
sentiment_polarity   .8859 .8950 .8946 .9052 .9168 .9166 .9150 .9150 .9150 .9170 .9152 .9172 .9106 .8192
zencrowd_us          .8615 .8657 .8623 .8706 .9015 .8578 .8211 .8211 .8270 .8868 .7652 .8770 .9118 .8730
"""
"""Accuracies of plain implementations of the published formulas, by set and COLUMNS."""


def references() -> dict[str, dict[str, float]]:
    """By set and method."""
    rows = (line.split() for line in REFERENCES.strip().splitlines())
    return {
        name: {
            method: float(value)
            for method, value in zip(COLUMNS, values, strict=True)
            if value != "-"
        }
        for name, *values in rows
    }


def methods_for(n_classes: int) -> dict[str, Any]:
    """The methods that a set can be given to."""
    found: dict[str, Any] = {"majority_vote": "majority_vote"}
    found |= {name: method.function for name, method in registry.methods_for("classes").items()}
    found["dawid_skene as the model has it"] = partial(pc.dawid_skene, confidence="model")
    found["dawid_skene_unsmoothed"] = partial(pc.dawid_skene, smoothing=1e-10, tol=1e-4)
    if n_classes > 2:
        found.pop("kos", None)
    return {name: found[name] for name in [*COLUMNS, *found] if name in found}


# --- data ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DataSet:
    """A log and its truth."""

    name: str
    log: pl.DataFrame
    truth: pl.DataFrame
    pred_probs: pl.DataFrame | None = None

    @property
    def is_numeric(self) -> bool:
        return self.log.schema["label"].is_float()


def data_sets(root: Path, only: list[str]) -> Iterator[DataSet]:
    """Those in the folder, in the order of the references, then by name."""
    order = list(references())
    names = [path.parent.name for path in root.glob("*/truth.parquet")]
    for name in sorted(names, key=lambda n: (order.index(n) if n in order else len(order), n)):
        if only and name not in only:
            continue
        log = pl.read_parquet(root / name / "annotations.parquet")
        truth = pl.read_parquet(root / name / "truth.parquet").select("example", "label")
        log = log.select("example", "annotator", "label").unique(maintain_order=True)
        yield DataSet(name, log, truth, model_of(root / name / "pred_probs.parquet", log))


def model_of(path: Path, log: pl.DataFrame) -> pl.DataFrame | None:
    """The probabilities of a model, their columns named as the classes are, if there are any."""
    if not path.exists():
        return None
    found = pl.read_parquet(path)
    classes = set(log["label"].cast(pl.String).unique())
    return found.rename(lambda c: c[1:] if c not in classes and c[1:] in classes else c)


# --- classes ---------------------------------------------------------------------------------------


MEASURES = ("accuracy", "seconds", "log_loss", "calibration_error")
Scores = tuple[float, ...]


def accuracies(data: DataSet) -> dict[str, Scores]:
    """MEASURES of every method."""
    return scores_of(data, methods_for(data.log["label"].n_unique()), "all")


def scores_of(data: DataSet, methods: Any, duplicates: Any) -> dict[str, Scores]:
    found = compare(data.log, methods, data.truth, folds=0, duplicates=duplicates).methods
    return {row["method"]: tuple(row[m] for m in MEASURES) for row in found.iter_rows(named=True)}


def report_means(found: dict[str, dict[str, Scores]]) -> str:
    """The mean of the measures of confidence over the sets with references."""
    rows = [[name, *(f"{value:.3f}" for value in mean)] for name, mean in means(found).items()]
    return markdown(["method", *MEASURES], rows)


def means(found: dict[str, dict[str, Scores]]) -> dict[str, list[float]]:
    """Of the methods that were run on all sets with references."""
    sets = [scores for data, scores in found.items() if data in references()]
    names = [n for n in dict.fromkeys(n for s in sets for n in s) if all(n in s for s in sets)]
    return {name: np.mean([scores[name] for scores in sets], axis=0).tolist() for name in names}


# --- with a model ----------------------------------------------------------------------------------

WITH_MODEL: dict[str, Callable[..., Any]] = {
    "crowdlab": pc.crowdlab,
    "dawid_skene": pc.dawid_skene,
    "ibcc": pc.ibcc,
    "blend": pc.blend,
}
CONFIDENCE = ("accuracy", "log-loss", "calibration error", "AUROC")


def with_model(data: DataSet) -> dict[str, Scores]:
    """CONFIDENCE of the methods that take a model."""
    return {
        name: confidence(method(data.log, data.pred_probs, duplicates="first"), data.truth)
        for name, method in WITH_MODEL.items()
    }


def confidence(fit: Any, truth: pl.DataFrame) -> Scores:
    """How right a fit is, and how well it knows."""
    both = fit.posterior.collect().join(truth, on="example", suffix="_true")
    of_truth = both.filter(pl.col("label") == pl.col("label_true"))["probability"].to_numpy()
    examples = fit.examples.collect().join(truth, on="example")
    hit = (examples["consensus_label"] == examples["label"]).to_numpy().astype(float)
    quality = examples["consensus_quality_score"].to_numpy()
    error = scoring.calibration_error(quality, hit)
    return hit.mean(), scoring.log_loss(of_truth), error, auroc(quality, hit)


def auroc(score: Any, hit: Any) -> float:
    """How often a right label has the higher score than a wrong one."""
    rank = pl.Series(score).rank().to_numpy()
    n, right = len(hit), hit.sum()
    return float((rank[hit == 1].sum() - right * (right + 1) / 2) / max(right * (n - right), 1))


def report_with_model(scores: dict[str, Scores]) -> str:
    rows = [[name, *(f"{value:.4f}" for value in row)] for name, row in scores.items()]
    return markdown(["method", *CONFIDENCE], rows)


def model_shortfalls(name: str, scores: dict[str, Scores]) -> list[str]:
    """Whether the blend is better than CROWDLAB, and right as often as it must be."""
    blend, other = scores["blend"], scores["crowdlab"]
    better = blend[0] > other[0] and blend[1] < other[1]
    fine = blend[0] >= BLEND_WITH_MODEL.get(name, 0) and (better or name not in ON_REAL_MODELS)
    return [] if fine else [f"blend on {name} with its model: {blend}, CROWDLAB {other}"]


def report_accuracies(found: dict[str, dict[str, Scores]]) -> str:
    """Accuracy, and the difference to the reference, by set and method."""
    known = references()
    names = list(dict.fromkeys(name for scores in found.values() for name in scores))
    rows = [
        [data, *(_cell(scores.get(name), known.get(data, {}).get(name)) for name in names)]
        for data, scores in found.items()
    ]
    means = ["mean of sets with references"]
    seconds = ["seconds, all sets"]
    for name in names:
        values = [found[data][name][0] for data in found if data in known and name in found[data]]
        means.append(f"{np.mean(values):.4f}" if values else "")
        seconds.append(f"{sum(scores[name][1] for scores in found.values() if name in scores):.1f}")
    return markdown(["set", *names], [*rows, means, seconds])


def _cell(score: Scores | None, reference: float | None) -> str:
    if score is None:
        return ""
    return f"{score[0]:.4f}" + ("" if reference is None else f" ({score[0] - reference:+.4f})")


def shortfalls(found: dict[str, dict[str, Scores]]) -> list[str]:
    """Where a method does not reach its reference."""
    known = references()
    said = [
        f"{name} on {data}: {scores[name][0]:.4f}, reference {reference:.4f}"
        for data, scores in found.items()
        for name, reference in known.get(data, {}).items()
        if name in scores and scores[name][0] < reference - ALLOWED
    ]
    default = [scores[DEFAULT][0] for data, scores in found.items() if data in known]
    if len(default) == len(known) and np.mean(default) < DEFAULT_MEAN:
        said.append(f"{DEFAULT}: mean {np.mean(default):.4f}, which must reach {DEFAULT_MEAN}")
    return said


def mean_shortfalls(mean: dict[str, list[float]]) -> list[str]:
    """Where log-losses are too large, or the blend is not right often enough."""
    at = MEASURES.index("log_loss")
    said = [
        f"{name}: mean log-loss {mean[name][at]:.3f}, which may be {most}"
        for name, most in LOG_LOSS.items()
        if mean[name][at] > most
    ]
    if mean["blend"][0] < BLEND_MEAN:
        said.append(f"blend: mean accuracy {mean['blend'][0]:.4f}, which must reach {BLEND_MEAN}")
    return said


# --- numbers ---------------------------------------------------------------------------------------

NUMERIC_METHODS: dict[str, Callable[..., Any]] = {
    "mean_truth": pc.mean_truth,
    "median_truth": pc.median_truth,
    "crh": pc.crh,
    "catd": pc.catd,
    "gaussian_truth": pc.gaussian_truth,
    "gaussian_truth without bias": partial(pc.gaussian_truth, bias=False),
    "gaussian_truth without bias, smoothing=200": partial(
        pc.gaussian_truth, bias=False, smoothing=200
    ),
}


def errors(data: DataSet) -> dict[str, dict[str, float]]:
    """Errors, correlation with the truth, and seconds of every method for numbers."""
    found = {}
    for name, method in NUMERIC_METHODS.items():
        began = time.perf_counter()
        fit = method(data.log, duplicates="all")
        seconds = time.perf_counter() - began
        both = fit.examples.collect().join(data.truth, on="example")
        error = (both["consensus_label"] - both["label"].cast(pl.Float64)).to_numpy()
        found[name] = {
            "mean absolute error": float(np.abs(error).mean()),
            "root mean square error": float(np.sqrt((error**2).mean())),
            "correlation": both.select(pl.corr("consensus_label", "label")).item(),
            "seconds": seconds,
        }
    return found


def report_errors(scores: dict[str, dict[str, float]]) -> str:
    columns = list(next(iter(scores.values())))
    rows = [[name, *(f"{row[c]:.3f}" for c in columns)] for name, row in scores.items()]
    return markdown(["method", *columns], rows)


def numeric_shortfalls(scores: dict[str, dict[str, float]]) -> list[str]:
    """Whether one method beats both bounds."""
    reached = [name for name, row in scores.items() if all(row[c] < b for c, b in NUMERIC.items())]
    bounds = ", ".join(f"{name} {bound}" for name, bound in NUMERIC.items())
    return [] if reached else [f"emotion_full: no method has {bounds}"]


# --- all of it -------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a folder of data sets")
    parser.add_argument("--only", nargs="*", default=[], help="names of sets")
    parser.add_argument("--check", action="store_true", help="fail if a reference is not reached")
    options = parser.parse_args()
    warnings.simplefilter("ignore", pc.AnnotationWarning)
    by_class: dict[str, dict[str, Scores]] = {}
    first: dict[str, dict[str, Scores]] = {}
    by_model: dict[str, dict[str, Scores]] = {}
    by_number: dict[str, dict[str, dict[str, float]]] = {}
    for data in data_sets(options.data, options.only):
        say(f"{data.name}: {data.log.height:,} annotations")
        if data.is_numeric:
            by_number[data.name] = errors(data)
        else:
            by_class[data.name] = accuracies(data)
            if data.name in references():
                first[data.name] = scores_of(data, list(LOG_LOSS), "first")
        if data.pred_probs is not None:
            by_model[data.name] = with_model(data)
    print("\n".join(f"* {name}: {value}" for name, value in environment().items()))
    said: list[str] = []
    if by_class:
        print("\n## Accuracy (difference to the reference)\n\n" + report_accuracies(by_class))
        if means(by_class):
            print("\n## Means over the sets with references\n\n" + report_means(by_class))
        said += shortfalls(by_class)
    if len(first) == len(references()):
        print("\n## ... with the first answer of each annotator\n\n" + report_means(first))
        said += mean_shortfalls(means(first))
    without = [name for name in ON_REAL_MODELS if name in by_class and name not in by_model]
    if without:
        print(f"\nNot compared with CROWDLAB, for want of a model's probabilities: {without}")
    for name, of_model in by_model.items():
        print(f"\n## {name}, with its model\n\n" + report_with_model(of_model))
        said += model_shortfalls(name, of_model)
    for name, scores in by_number.items():
        print(f"\n## {name}\n\n" + report_errors(scores))
        said += numeric_shortfalls(scores) if name == "emotion_full" else []
    print(
        "\n".join(
            ["", "Below their references:", *said] if said else ["", "All references reached."]
        )
    )
    if said and options.check:
        sys.exit(1)


if __name__ == "__main__":
    main()
