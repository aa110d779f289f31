"""Labels that were found, against known ones: how many are right, and how far numbers are off."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from polars_crowd.runs.codes import Codebook
from polars_crowd.truth.evaluation.scoring import of_share
from polars_crowd.truth.known import ExampleLabels, KnownValues, check_matched, class_codes


def judged_labels(examples: pl.DataFrame, truth: Any, classes: pl.Series) -> dict[str, float]:
    """`accuracy`, its interval of 95 % (Wilson's) `ci_low, ci_high`, and `num_compared`, the examples whose
    truth is known. Truth that is of no example is counted in a warning.

    >>> found = pl.DataFrame({"example": [1, 2, 3], "consensus_label": ["x", "y", "y"]})
    >>> truth = pl.DataFrame({"example": [1, 2], "label": ["x", "x"]})
    >>> judged_labels(found, truth, pl.Series(["x", "y"]))["accuracy"]
    0.5
    """
    book = Codebook(classes, (), pl.Series(dtype=pl.String))
    labels = ExampleLabels.of(truth, "truth", book, examples.schema["example"])
    own = class_codes(examples["consensus_label"], book)
    both = examples.select("example", own=own).join(labels.frame, on="example")
    check_matched(labels.given, both.height, lambda: examples["example"], "truth")
    right = (both["own"].cast(pl.Int32) == both["known"]).to_numpy()
    low, high = of_share(float(right.mean()), len(right))
    return {
        "accuracy": float(right.mean()),
        "ci_low": low,
        "ci_high": high,
        "num_compared": len(right),
    }


def judged_numbers(examples: pl.DataFrame, truth: Any) -> dict[str, float]:
    """`mean_absolute_error, root_mean_square_error, num_compared`."""
    values = KnownValues.of(truth, "truth")
    known = values.of_examples(examples["example"])
    error = (examples["consensus_label"].to_numpy() - known)[~np.isnan(known)]
    check_matched(values.given, len(error), lambda: examples["example"], "truth")
    return {
        "mean_absolute_error": float(np.abs(error).mean()),
        "root_mean_square_error": float(np.sqrt((error**2).mean())),
        "num_compared": len(error),
    }
