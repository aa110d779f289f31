"""ZenCrowd: an annotator is right with one probability, and all classes are equally likely beforehand.

Demartini, Difallah and Cudré-Mauroux (2012), "ZenCrowd", WWW. The formulas are those of
`truth.classification.one_coin` with class shares that are not estimated but equal (pi[k] = 1 / K): what the
annotators say decides alone, and no class can be lost to its rarity.
"""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np

from polars_crowd.rounds.rounds import Rounds
from polars_crowd.signatures import shares
from polars_crowd.truth.classification.one_coin import Coins, check_pair, with_past
from polars_crowd.truth.em import fit
from polars_crowd.truth.options import Likelihood, LikelihoodOptions
from polars_crowd.truth.result import TruthInference


@shares(LikelihoodOptions, Likelihood)
def zencrowd(
    log: Any,
    *,
    pseudo_counts: tuple[float, float] = (0.01, 0.01),
    prior: Any = None,
    **options: Unpack[LikelihoodOptions],
) -> TruthInference:
    """The truth of each example by ZenCrowd: one probability per annotator, equal classes beforehand.

    Parameters
    ----------
    pseudo_counts
        (a, b), right and wrong answers of each annotator before the first, both above 0.

    Returns
    -------
    TruthInference
        `.annotators` has `accuracy` = q[j], and the expected counts `num_correct` and `num_incorrect`.

    Examples
    --------
    >>> import polars_crowd as pc
    >>> fit = zencrowd(pc.datasets.tutorial().log)
    >>> fit.class_prior["probability"].round(3).to_list()
    [0.333, 0.333, 0.333]
    """
    own = check_pair(pseudo_counts)

    def model(rounds: Rounds) -> Coins:
        return Coins(with_past(own, prior, rounds), np.inf, "ZenCrowd")

    return fit(log, model, Likelihood(**options))
