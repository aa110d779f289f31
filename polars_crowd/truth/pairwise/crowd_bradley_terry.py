"""Crowd-BT: the strength of examples from the preferences of annotators who differ in reliability.

Chen, Bennett, Collins-Thompson and Horvitz (2013), "Pairwise ranking aggregation in a crowdsourced setting",
WSDM. Letters as in `truth.pairwise.bradley_terry`, and eta[j] the probability that annotator j says what
a Bradley-Terry annotator would, instead of the opposite:

    P(j says a over b) = eta[j] p + (1 - eta[j]) (1 - p),     p = x[a] / (x[a] + x[b])

**E-step.** The share in which each count means what it says,

    r = eta[j] p / ( eta[j] p + (1 - eta[j]) (1 - p) )

**M-step.** With pseudo-counts (A, B) of honest and of contrary answers, and C counts,

    eta[j] = ( sum_j C r + A ) / ( sum_j C + A + B )

and one step of Bradley-Terry's minorisation, in which a count is a win to the share r and a loss to the rest.
The objective, which no step lowers, is

    sum C log P + sum_j ( A log eta[j] + B log(1 - eta[j]) ) + c sum_a log( x[a] / (1 + x[a])^2 )

The mirror image (all x inverted, all eta exchanged with 1 - eta) is as likely but for the prior of eta: hence
A > B, and the beginning at Bradley-Terry's scores. Intervals are those of Bradley-Terry, eta taken as known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np

from polars_crowd.arrays import Floats
from polars_crowd.errors import OptionError
from polars_crowd.signatures import shares
from polars_crowd.truth.classification.one_coin import check_pair
from polars_crowd.truth.em import Steps, iterate
from polars_crowd.truth.pairwise.bradley_terry import (
    first_strengths,
    log_preference,
    log_prior,
    step,
)
from polars_crowd.truth.pairwise.comparisons import Comparisons
from polars_crowd.truth.pairwise.options import Pairing, PairOptions
from polars_crowd.truth.pairwise.result import Climbed, Preferences, fit_preferences

NAME = "Crowd Bradley-Terry"
FIRST_STEPS = 20
"""Steps of Bradley-Terry to begin with."""


@dataclass(frozen=True)
class Parameters:
    """All that is estimated."""

    x: Floats
    """Shape (N,)."""
    eta: Floats
    """Shape (M,)."""


def expect(
    comparisons: Comparisons, params: Parameters, pseudo_counts: Floats, c: float
) -> tuple[Floats, float]:
    """r of each count, and the objective."""
    eta = params.eta[comparisons.annotator]
    honest = np.log(eta) + log_preference(comparisons, params.x)
    contrary = np.log1p(-eta) + log_preference(comparisons, 1 / params.x)
    log_p = np.logaddexp(honest, contrary)
    of_eta = pseudo_counts @ np.stack([np.log(params.eta), np.log1p(-params.eta)])
    objective = comparisons.count @ log_p + of_eta.sum() + log_prior(params.x, c)
    return np.exp(honest - log_p), float(objective)


def reliability(comparisons: Comparisons, r: Floats, pseudo_counts: Floats) -> Floats:
    """eta."""
    honest = comparisons.per_annotator(comparisons.count * r)
    total = comparisons.per_annotator(comparisons.count)
    share: Floats = (honest + pseudo_counts[0]) / (total + pseudo_counts.sum())
    return share


def first_parameters(
    init: Preferences | None, comparisons: Comparisons, pseudo_counts: Floats, c: float
) -> Parameters:
    """A few steps of Bradley-Terry and the reliability that all have before; or an earlier fit's."""
    pairs = comparisons.of_everybody
    x = first_strengths(init, NAME, comparisons)
    usual = pseudo_counts[0] / pseudo_counts.sum()
    if init is not None:
        return Parameters(x, init.reliabilities_of(comparisons.annotators, usual))
    for _ in range(FIRST_STEPS):
        x = step(pairs, np.ones(len(pairs.count)), x, c)
    return Parameters(x, np.full(len(comparisons.annotators), usual))


@shares(PairOptions, Pairing, tol=1e-10)
def crowd_bradley_terry(
    log: Any,
    *,
    pseudo_counts: tuple[float, float] = (4.0, 1.0),
    **options: Unpack[PairOptions],
) -> Preferences:
    """Scores of examples from pairwise preferences, with a reliability for each annotator.

    Parameters
    ----------
    pseudo_counts
        (A, B), both > 0: the honest and the contrary answers that are added to each annotator's.

    Returns
    -------
    Preferences
        `.annotators` has `reliability` = eta.

    Agrees with
    -----------
    A stationary point of the objective by finite differences, to 1e-4.

    Examples
    --------
    >>> import polars as pl
    >>> pairs = [(a, b) for a in range(5) for b in range(a)]
    >>> rows = [(a, b, j, min(a, b) if j == "liar" else a) for a, b in pairs for j in ("ann", "bob", "liar")]
    >>> log = pl.DataFrame(rows, ["left", "right", "annotator", "winner"], orient="row")
    >>> fit = crowd_bradley_terry(log)
    >>> fit.examples.collect()["example"].to_list(), fit.annotators["annotator"].to_list()
    ([4, 3, 2, 1, 0], ['liar', 'ann', 'bob'])
    """
    given = Pairing(**options)
    if given.n_boot:
        wrong = "intervals of ranks are drawn for bradley_terry alone."
        raise OptionError("n_boot", given.n_boot, wrong)
    own, c = check_pair(pseudo_counts)[:, 0], given.smoothing

    def climbed(comparisons: Comparisons) -> Climbed:
        def maximise(r: Floats, params: Parameters) -> Parameters:
            x = step(comparisons, r, params.x, c)
            return Parameters(x, reliability(comparisons, r, own))

        steps = Steps(lambda params: expect(comparisons, params, own, c), maximise)
        start = first_parameters(given.init, comparisons, own, c)
        params, _, iterations = iterate(steps, start, max_iter=given.max_iter, tol=given.tol)
        return params.x, params.eta, iterations

    return fit_preferences(log, NAME, given, climbed)
