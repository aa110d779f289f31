r"""One-coin Dawid-Skene: an annotator is right with one probability, whatever the truth, and errs evenly.

The one-coin model of Zhang et al. (2016), "Spectral methods meet EM", JMLR 17. Letters as in
`truth.classification.dawid_skene`, with q[j] the probability that annotator j is right:

    P(j says y | truth k) = q[j] if y = k, else (1 - q[j]) / (K - 1)

and the prior of q[j] is Beta(1 + a, 1 + b): a right and b wrong answers before the first.

**E-step**, without a sum over classes per annotation:

    log T[i,k] = log pi[k] + sum over all labels of i: log ((1 - q[j]) / (K - 1))
                           + sum over the labels k of i: log q[j] - log ((1 - q[j]) / (K - 1))   + const(i)

**M-step**, with m[j] the number of j's annotations:

    q[j] = (a + sum over the labels y of j: T[i,y]) / (a + b + m[j]),      pi[k] ∝ s + sum_i T[i,k]

**Objective**, which no iteration lowers:

    sum_i log sum_k pi[k] prod P(y | k, j)  +  sum_j a log q[j] + b log (1 - q[j])  +  s sum_k log pi[k]

With estimated class shares the method may merge classes: a rare class becomes rarer when what speaks for it
is taken for errors. `zencrowd`, with equal shares, and `dawid_skene` are safer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, Unpack

import numpy as np

from polars_crowd.arrays import Floats, Ints
from polars_crowd.errors import OptionError
from polars_crowd.option_checks import check_number, check_positive
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.signatures import shares
from polars_crowd.truth.block import Block
from polars_crowd.truth.classification.dirichlet import MODE
from polars_crowd.truth.em import fit
from polars_crowd.truth.model import ANNOTATOR, LogSize, Model, Sums
from polars_crowd.truth.options import Likelihood, LikelihoodOptions
from polars_crowd.truth.past import COUNTS, past_counts
from polars_crowd.truth.posterior import moved_counts
from polars_crowd.truth.result import TruthInference


@dataclass(frozen=True)
class Coins(Model):
    """Annotators by one probability. Skills are counts, shape (2, M): right and wrong, with the prior's."""

    pseudo_counts: Floats
    """(a, b), shape (2, 1) or (2, M)."""
    class_pseudo_count: float
    """s; infinite for equal shares."""
    name: str = "One-coin Dawid-Skene"  # type: ignore[misc]

    sums: ClassVar = {"right": ANNOTATOR}

    def weights(self, skills: Floats) -> Floats:
        """log q and log (1 - q), shape (2, M)."""
        return MODE.log_mean(skills, axis=0)

    def log_likelihood(self, block: Block, weights: Floats) -> Floats:
        """sum over the labels k: log of being right instead of making this error."""
        gain = weights[0] - log_error(weights, block.n_classes)
        return block.per_class(gain.take(block.annotator))

    def log_constant(self, skills: Floats, log: LogSize) -> float:
        """sum over all labels: log of an error."""
        return float((log.annotations * log_error(self.weights(skills), log.n_classes)).sum())

    def count(self, block: Block, T: Floats, weights: Any) -> dict[str, Floats]:
        """sum over the labels y of j: T[i,y]."""
        return {"right": block.per_annotator(block.of_labels(T))}

    def maximise(self, sums: Sums, skills: Floats | None, log: LogSize) -> Floats:
        """The prior's counts and the sums."""
        return self.pseudo_counts + log.right_and_wrong(sums["right"])

    def log_prior(self, skills: Floats) -> float:
        """sum a log q + b log (1 - q)."""
        return MODE.log_prior(skills, self.pseudo_counts, axis=0)

    def for_annotators(self, place: Ints, skills: Floats) -> Self:
        """... with their pseudo-counts."""
        return replace(self, pseudo_counts=moved_counts(self.pseudo_counts, skills, place))

    def annotator_columns(self, skills: Floats) -> dict[str, Any]:
        """`accuracy` = q, and the expected numbers of annotations, `num_correct` and `num_incorrect`."""
        counts = zip(COUNTS, skills - self.pseudo_counts, strict=True)
        return {"accuracy": accuracy(skills), **dict(counts)}

    def confusion(self, skills: Floats, n_classes: int) -> Floats:
        q, own = accuracy(skills)[:, None], np.eye(n_classes, dtype=bool)[:, None, :]
        return np.where(own, q, (1 - q) / max(n_classes - 1, 1))


def log_error(weights: Floats, n_classes: int) -> Floats:
    """log ((1 - q) / (K - 1))."""
    error: Floats = weights[1] - np.log(max(n_classes - 1, 1))
    return error


def accuracy(counts: Floats) -> Floats:
    """q[j]."""
    q: Floats = counts[0] / counts.sum(axis=0)
    return q


@shares(LikelihoodOptions, Likelihood)
def one_coin_dawid_skene(
    log: Any,
    pred_probs: Any = None,
    *,
    pseudo_counts: tuple[float, float] = (1.0, 0.5),
    smoothing: float = 0.1,
    prior: Any = None,
    **options: Unpack[LikelihoodOptions],
) -> TruthInference:
    """The truth of each example by one-coin Dawid-Skene: an annotator is right with one probability.

    Parameters
    ----------
    pseudo_counts
        (a, b), right and wrong answers of each annotator before the first, both above 0.
    smoothing
        s > 0, pseudo-counts per class of the class shares.

    Returns
    -------
    TruthInference
        `.annotators` has `accuracy` = q[j], and the expected counts `num_correct` and `num_incorrect`.

    Agrees with
    -----------
    crowd-kit 1.4.2 `OneCoinDawidSkene(n_iter=n, tol=-1e9)`, which has no prior: with
    `pseudo_counts=(1e-9, 1e-9)`, `smoothing=1e-9`, `max_iter=n`, `tol=0`,
    `confidence="model"` the posteriors are the same to 1e-6.

    Examples
    --------
    >>> import polars_crowd as pc
    >>> fit = one_coin_dawid_skene(pc.datasets.tutorial().log)
    >>> fit.annotators["accuracy"].head(1).round(4).to_list()
    [0.2231]
    """
    check_positive(smoothing=smoothing)
    own = check_pair(pseudo_counts)

    def model(rounds: Rounds) -> Coins:
        return Coins(with_past(own, prior, rounds), smoothing)

    return fit(log, model, Likelihood(pred_probs=pred_probs, **options))


def check_pair(pseudo_counts: Any) -> Floats:
    """(a, b) as an array of shape (2, 1)."""
    try:
        a, b = pseudo_counts
    except (TypeError, ValueError):
        must = "it must be two numbers, of right and wrong answers."
        raise OptionError("pseudo_counts", pseudo_counts, must) from None
    for value in (a, b):
        check_number("pseudo_counts", value, 0.0, above=True)
    return np.array([[a], [b]], dtype=np.float64)


def with_past(own: Floats, prior: Any, rounds: Rounds) -> Floats:
    """The method's own pseudo-counts, and what is known from the past."""
    return own if prior is None else own + past_counts(prior, rounds.book)
