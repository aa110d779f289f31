"""What the methods for pairwise preferences can be asked for, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

from polars_crowd.errors import check_choice
from polars_crowd.option_checks import check_count, check_number, check_positive, check_share
from polars_crowd.truth.pairwise.strengths import Intervals


class PairOptions(TypedDict, total=False):
    """The options of both methods."""

    smoothing: float
    level: float
    intervals: Intervals
    seed: int
    n_boot: int | None
    init: Any
    max_iter: int
    tol: float


@dataclass(frozen=True)
class Pairing:
    """The options that the methods for pairwise preferences share.

    Parameters
    ----------
    log
        The comparisons: whatever `scan_comparisons` takes, with columns `left, right, annotator, winner`.
    smoothing
        c > 0: the wins and losses against an example of strength 1 that are added to each example.
    level
        The level of the intervals, in (0, 1).
    intervals
        What is taken to be independent: single `"comparisons"`, or `"annotators"`, whose comparisons have a
        taste in common. The latter are wider where annotators differ in what they prefer, and take many
        annotators (ten or more).
    seed
        Of the random signs for standard errors beyond 3,000 examples, and of the draws for ranks.
    n_boot
        How many times comparisons, or annotators (as `intervals` says), are drawn anew for the intervals of
        ranks, of up to 500 examples; at least 2, None for no such intervals. `bradley_terry` has them.
    init
        An earlier fit, to begin with its scores.
    max_iter
        How many iterations there may be, at least 1.
    tol
        When to stop: at a gain of the objective below `tol` times its size.

    Notes
    -----
    The formulas of a method stand at the head of its module.

    Raises
    ------
    AnnotationError
        A winner that is neither example, an example compared with itself, null ids, no comparisons.
    ValueError
        An option has a value that it cannot have.

    Warns
    -----
    AnnotationWarning
        Groups of examples that no comparison connects; not converged.
    """

    smoothing: float = 1.0
    level: float = 0.95
    intervals: Intervals = "comparisons"
    seed: int = 0
    n_boot: int | None = None
    init: Any = None
    max_iter: int = 10_000
    tol: float = 1e-12

    def __post_init__(self) -> None:
        check_positive(smoothing=self.smoothing)
        check_share("level", self.level)
        check_choice("intervals", self.intervals, Intervals)
        check_count("max_iter", self.max_iter, 1)
        check_number("tol", self.tol, 0.0)
