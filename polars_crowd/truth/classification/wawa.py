r"""Wawa: worker agreement with aggregate, the majority vote weighed by agreement with the majority vote.

With the letters of `truth.classification.weighted_votes`, once through:

    z[i]   = argmax_k n[i,k]                  the majority vote, n[i,k] = how many said k
    a[j]   = mean over the labels y of j: [y = z[i]]
    T[i,k] ∝ sum over the labels k of i: a[j]

There is nothing to iterate and no objective: the trace is the sum over examples of the winner's share T,
before and after a second look that changes nothing.

References
----------
Appen. Calculating worker agreement with aggregate (Wawa). success.appen.com, 2021.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from polars_crowd.arrays import Floats, Ints
from polars_crowd.inputs.checks import Duplicates
from polars_crowd.truth.classification.weighted_votes import Votes, WeightedVotes, past_counts
from polars_crowd.truth.em import fit
from polars_crowd.truth.model import LogSize, Sums
from polars_crowd.truth.options import Options
from polars_crowd.truth.result import TruthInference

UNSEEN = -1
"""The step of weights that come from another log."""


@dataclass(frozen=True)
class Wawa(WeightedVotes):
    """The weights are a, found once."""

    name: ClassVar[str] = "Wawa"

    def maximise(self, sums: Sums, skills: Votes | None, log: LogSize) -> Votes:
        if skills is not None and skills.step != UNSEEN:
            return skills
        return super().maximise(sums, skills, log)

    def weight(self, a: Floats, skills: Votes | None, log: LogSize) -> Floats:
        return a

    def moved(self, skills: Votes, place: Ints) -> Votes:
        return replace(super().moved(skills, place), step=UNSEEN)

    def change(self, old: Votes, new: Votes) -> float | None:
        return float(np.abs(new.weight - old.weight).max()) if old.step == UNSEEN else 0.0


def wawa(
    log: Any,
    *,
    gold: Any = None,
    prior: Any = None,
    init: Any = "majority_vote",
    classes: Sequence[Any] | None = None,
    duplicates: Duplicates = "error",
    into: str | Path | None = None,
    executor: Any = None,
    progress: bool = False,
) -> TruthInference:
    """The truth of each example by Wawa: votes weighed by agreement with the majority vote.

    See the formulas at the head of the module (`polars_crowd/truth/classification/wawa.py`).

    Parameters
    ----------
    log
        The annotations: whatever `scan_annotations` takes, with columns `example, annotator, label`, or an
        `AnnotationStore`.
    gold
        Known labels, a frame `example, label`: the truth of these examples is held there.
    prior
        What is known of annotators from the past: a frame `annotator, correct, incorrect` of counts, added
        to theirs, or an earlier fit.
    init
        Where to begin: at the `"majority_vote"`, at the labels of a frame `example, label`, or at the
        parameters of an earlier fit.
    classes
        The classes in order. By default the Enum's order if the label is one, else sorted.
    duplicates
        What to do where an annotator labelled an example more than once: `"error"`, or keep the
        `"first"` or `"last"` row, or count `"all"`.
    into
        A directory to write the tables into, partition by partition.
    executor
        Where a store's partitions run: anything like `concurrent.futures.Executor`.
    progress
        Whether to show how far each round is.

    Returns
    -------
    TruthInference
        `.examples`, `.posterior`, `.annotators` with `skill` = a and the counts `correct` and
        `incorrect` behind it, `.trace`, `.converged`, `.n_iter` and `.predict(log)`.

    Raises
    ------
    AnnotationError
        The log, gold or prior cannot be used as they are.
    ValueError
        An option has a value that it cannot have.

    Warns
    -----
    AnnotationWarning
        Annotators with fewer than 5 annotations; a class that annotators chose became the truth of no
        example.

    Agrees with
    -----------
    crowd-kit 1.4.2 `Wawa`: the same skills to 1e-12 and the same labels where no vote is tied. There it
    takes the tied label that comes first in the log, here the first in class order.

    Examples
    --------
    >>> import polars_crowd as pc
    >>> fit = wawa(pc.datasets.tutorial().log)
    >>> fit.annotators.head(2).select("annotator", "skill", "num_examples_labeled")
    shape: (2, 3)
    ┌───────────┬──────────┬──────────────────────┐
    │ annotator ┆ skill    ┆ num_examples_labeled │
    │ ---       ┆ ---      ┆ ---                  │
    │ str       ┆ f64      ┆ i64                  │
    ╞═══════════╪══════════╪══════════════════════╡
    │ A0050     ┆ 0.375    ┆ 24                   │
    │ A0047     ┆ 0.294118 ┆ 34                   │
    └───────────┴──────────┴──────────────────────┘
    """
    options = Options(
        None, gold, init, classes, duplicates, into=into, executor=executor, progress=progress
    )
    return fit(log, lambda rounds: Wawa(past_counts(prior, rounds)), options)
