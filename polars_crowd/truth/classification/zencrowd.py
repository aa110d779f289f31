"""ZenCrowd: an annotator is right with one probability, and all classes are equally likely beforehand.

This is the one-coin model of `truth.classification.one_coin`, with its formulas, where the class shares are
not estimated but equal (pi[k] = 1 / K): what the annotators say decides alone, and no class can be lost to
its rarity.

References
----------
G. Demartini, D. E. Difallah, P. Cudré-Mauroux. ZenCrowd: leveraging probabilistic reasoning and crowdsourcing
techniques for large-scale entity linking. WWW 2012.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from polars_crowd.inputs.checks import Duplicates
from polars_crowd.truth.classification.one_coin import Coins, check_pair, with_past
from polars_crowd.truth.em import fit
from polars_crowd.truth.options import Options
from polars_crowd.truth.result import TruthInference


def zencrowd(
    log: Any,
    *,
    pseudo_counts: tuple[float, float] = (0.01, 0.01),
    gold: Any = None,
    prior: Any = None,
    init: Any = "majority_vote",
    classes: Sequence[Any] | None = None,
    duplicates: Duplicates = "error",
    max_iter: int = 100,
    tol: float = 1e-6,
    into: str | Path | None = None,
    executor: Any = None,
    progress: bool = False,
) -> TruthInference:
    """The truth of each example by ZenCrowd: one probability per annotator, equal classes beforehand.

    See the head of the module (`polars_crowd/truth/classification/zencrowd.py`).

    Parameters
    ----------
    log
        The annotations: whatever `scan_annotations` takes, or an `AnnotationStore`.
    pseudo_counts
        (a, b), right and wrong answers of each annotator before the first, both above 0.
    prior
        What is known of annotators from the past, as for `one_coin_dawid_skene`.
    gold, init, classes, duplicates, max_iter, tol, into, executor, progress
        As for `dawid_skene`.

    Returns
    -------
    TruthInference
        `.annotators` has `accuracy` = q[j], and the expected numbers of `correct` and `incorrect`
        annotations.

    Raises
    ------
    AnnotationError
        The log, gold or prior cannot be used as they are.
    ValueError
        An option has a value that it cannot have.

    Warns
    -----
    AnnotationWarning
        As for `dawid_skene`.

    Examples
    --------
    >>> import polars_crowd as pc
    >>> fit = zencrowd(pc.datasets.tutorial().log)
    >>> fit.class_prior["probability"].round(3).to_list()
    [0.333, 0.333, 0.333]
    """
    options = Options(
        None, gold, init, classes, duplicates, max_iter, tol, into, executor, progress
    )
    own = check_pair(pseudo_counts)
    return fit(
        log, lambda rounds: Coins(with_past(own, prior, rounds), np.inf, "ZenCrowd"), options
    )
