"""Bradley-Terry: the strength of examples from pairwise preferences.

Bradley and Terry (1952), Biometrika 39; fitted by the minorisation of Hunter (2004), "MM algorithms for
generalized Bradley-Terry models", Annals of Statistics 32.

    P(a is preferred over b) = x[a] / (x[a] + x[b])          score[a] = log x[a]

Letters: C[a,b] how often a was preferred over b (a tie is half each way), N[a,b] = C[a,b] + C[b,a],
W[a] = sum_b C[a,b], N examples, c = `smoothing`.

**Prior.** Every example has won and lost c times against one of strength 1, which keeps scores finite and
holds groups together that no comparison connects.

    objective = sum C[a,b] log( x[a] / (x[a] + x[b]) ) + c sum_a log( x[a] / (1 + x[a])^2 )

**Step.** Never lowers the objective, which has one maximum:

    x[a] <- ( W[a] + c ) / ( sum_b N[a,b] / (x[a] + x[b]) + 2c / (1 + x[a]) )

and then all x together, of whose level only the prior knows:   x <- x N / sum_a 2 x[a] / (1 + x[a])

**Intervals.** The information of the scores is a weighted graph's Laplacian plus a diagonal,

    H[a,b] = -I[a,b]        H[a,a] = sum_b I[a,b] + 2c x[a] / (1 + x[a])^2
    I[a,b] = N[a,b] x[a] x[b] / (x[a] + x[b])^2

Scores are reported with mean 0, and the standard errors of these centred scores under H^-1, which ties make
narrower and annotators with tastes of their own wider: `truth.pairwise.strengths` has the formulas.
"""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np

from polars_crowd.arrays import Floats
from polars_crowd.errors import OptionError
from polars_crowd.signatures import shares
from polars_crowd.truth.em import Steps, iterate
from polars_crowd.truth.pairwise.comparisons import Comparisons
from polars_crowd.truth.pairwise.options import Pairing, PairOptions
from polars_crowd.truth.pairwise.result import Climbed, Preferences, fit_preferences

NAME = "Bradley-Terry"
Wins = Floats
"""The expected share of each count in which the winner is the better one; 1 for Bradley-Terry."""


def step(comparisons: Comparisons, wins: Wins, x: Floats, c: float) -> Floats:
    """Hunter's step, where a share `wins` of each count counts as won and the rest as lost."""
    count = comparisons.count
    share = count / (x[comparisons.winner] + x[comparisons.loser])
    won = comparisons.per_example(count * wins, count * (1 - wins))
    x = (won + c) / (comparisons.per_example(share, share) + 2 * c / (1 + x))
    levelled: Floats = x * len(x) / (2 * x / (1 + x)).sum()
    return levelled


def log_preference(comparisons: Comparisons, x: Floats) -> Floats:
    """log P(the winner is preferred over the loser), for each count."""
    difference = np.log(x[comparisons.loser]) - np.log(x[comparisons.winner])
    value: Floats = -np.logaddexp(0.0, difference)
    return value


def log_prior(x: Floats, c: float) -> float:
    """c sum log( x / (1 + x)^2 )."""
    return float(c * (np.log(x) - 2 * np.log1p(x)).sum())


@shares(PairOptions, Pairing)
def bradley_terry(log: Any, **options: Unpack[PairOptions]) -> Preferences:
    """Scores of examples from pairwise preferences, where all annotators are equal.

    Returns
    -------
    Preferences
        `.examples` with `score`, its interval and rank.

    Agrees with
    -----------
    crowd-kit 1.4.2 `BradleyTerry`, which has no prior: with `smoothing=1e-9` the same strengths to 1e-6.

    Examples
    --------
    >>> import polars as pl
    >>> said = ["xy1x", "xy2x", "yz1y", "xz2x", "yz2z", "zx3x"]
    >>> log = pl.DataFrame([*map(list, said)], ["left", "right", "annotator", "winner"], orient="row")
    >>> bradley_terry(log).examples.collect().select("example", pl.col("score").round(2), "rank").rows()
    [('x', 1.22, 1), ('y', -0.61, 2), ('z', -0.61, 2)]
    """
    given = Pairing(**options)
    c = given.smoothing

    def climbed(comparisons: Comparisons) -> Climbed:
        pairs = comparisons.of_everybody
        all_won = np.ones(len(pairs.count))

        def expect(x: Floats) -> tuple[Wins, float]:
            likelihood = float(pairs.count @ log_preference(pairs, x))
            return all_won, likelihood + log_prior(x, c)

        steps = Steps(expect, lambda wins, x: step(pairs, wins, x, c))
        start = first_strengths(given.init, NAME, comparisons)
        x, _, iterations = iterate(steps, start, max_iter=given.max_iter, tol=given.tol)
        return x, None, iterations

    return fit_preferences(log, NAME, given, climbed)


def first_strengths(init: Any, name: str, comparisons: Comparisons) -> Floats:
    """x to begin with: all the same, or those of an earlier fit."""
    if init is None:
        return np.ones(len(comparisons.examples))
    if not isinstance(init, Preferences) or init.method != name:
        raise OptionError("init", init, f"it must be an earlier fit of {name}.")
    return init.strengths_of(comparisons.examples)
