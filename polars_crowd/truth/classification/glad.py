r"""GLAD: annotators have a skill, examples a difficulty, and both bend the chance of a right label.

Letters: example i with b[i], the log of how easy it is, and u[i] = exp b[i]; annotator j with skill
alpha[j], negative for an adversary; label y, K classes; s(x) = 1 / (1 + exp(-x)). Difficulty is exp(-b[i]).

    P(j says y | truth k) = s(alpha[j] u[i]) if y = k, else (1 - s(alpha[j] u[i])) / (K - 1)
    alpha[j] ~ N(1, 1),        b[i] ~ N(1, 1)

All classes are equally likely beforehand. What is sought is the mode over alpha and b (Whitehill et al.
2009, "Whose vote should count more", NIPS).

**E-step.** Because log s(x) - log s(-x) = x, with A[i,k] the sum of alpha[j] over the labels k of i, and
n[i,k] their number,

    log P(labels of i | k) = u A[i,k] + n[i,k] log (K - 1) - sum over the labels of i: softplus(alpha[j] u)
                             - n[i] log (K - 1)
    T[i,k] ∝ (1/K) P(labels of i | k)

**Difficulty.** For given skills an example's b depends on its own labels alone: it is where

    l(b) = log sum_k (1/K) P(labels of i | k) - (b - 1)^2 / 2
    l'(b) = u (sum_k T[k] A[k] - sum over the labels: alpha[j] s(alpha[j] u)) - (b - 1)

has its maximum, found by Newton's method, held between a point where l' > 0 and one where l' < 0. With
adversaries among the annotators l may have two maxima: then it is looked at on a grid before.

**M-step.** With g = T[i,y] the chance that a label is right, the skills maximise

    Q = sum over all labels: g log s(alpha[j] u) + (1 - g) log s(-alpha[j] u)  -  sum_j (alpha[j] - 1)^2 / 2

log s is bounded from below by a parabola that touches it at the present x (Jaakkola and Jordan 2000,
Statistics and Computing 10), with curvature w(x) = (s(x) - 1/2) / x. The parabola's maximum is

    alpha'[j] = (1 + sum over the labels of j: (g - 1/2) u) / (1 + sum over the labels of j: w u^2)

and no point up to twice as far is worse than the present one: the step taken is
alpha[j] + 1.9 (alpha'[j] - alpha[j]), or alpha'[j] itself where that would cross zero on the way.

**Objective**, which no iteration lowers:

    sum_i l(b[i])  -  sum_j (alpha[j] - 1)^2 / 2

Right and wrong answers from the past (`prior=`) move and narrow the prior of a skill, as so many labels on
examples of b = 1 would: N(1, 1) becomes the normal distribution of 1 + I times the precision about the mean
of 1 and logit(q) / e with weights 1 and I, where q is the share of right answers and I is e^2 q (1 - q)
times the number of answers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Unpack

import numpy as np

from polars_crowd.arrays import Flags, Floats, Ints
from polars_crowd.signatures import shares
from polars_crowd.truth.block import Block
from polars_crowd.truth.em import fit
from polars_crowd.truth.model import ANNOTATOR, LogSize, Model, Sums
from polars_crowd.truth.options import Likelihood, LikelihoodOptions
from polars_crowd.truth.past import COUNTS, past_counts
from polars_crowd.truth.posterior import Posterior, softmax, with_known, with_sum
from polars_crowd.truth.result import TruthInference
from polars_crowd.truth.terms import Terms, at_own_label

MEAN = 1.0  # of the priors of alpha and b; their variance is 1
STEP = 1.9  # how far along the way to the parabola's maximum; below 2
EASIEST = 20.0  # the largest b
STEEPEST = 0.279  # x s(-x) is below this
GRID = np.linspace(-4.0, 8.0, 25)  # where l is looked at before, if it may have several maxima
UNSKILLED = 0.2  # a smaller skill is nearly none
NEAR = 1e-10  # b is found when it moves by less,
ENOUGH = 1e-6  # or by less than this in a step of Newton's, which leaves the square of it
MOST_STEPS = 100
LOWEST = -700.0  # exp(-x) is finite from here on


def logistic(x: Floats) -> Floats:
    """s(x)."""
    s = np.maximum(x, LOWEST)
    np.exp(np.negative(s, out=s), out=s)
    s += 1
    return np.divide(1, s, out=s)


def softplus(x: Floats) -> Floats:
    """log (1 + exp x) = -log s(-x)."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def curvature(x: Floats, s: Floats) -> Floats:
    """w(x) = (s(x) - 1/2) / x, 1/4 at 0."""
    return np.divide(s - 0.5, x, where=np.abs(x) > 1e-6, out=np.full_like(x, 0.25))


# --- the examples of a block -----------------------------------------------------------------------


@dataclass(frozen=True)
class Labels:
    """What l(b) needs of n examples: alpha of each label (R,), n[i] (n,), A (K, n)."""

    alpha: Floats
    count: Ints
    A: Floats
    constant: Floats
    """log 1/K + n[i,k] log (K - 1), less n[i] log (K - 1); -inf where the truth is known. Shape (K, n)."""

    @classmethod
    def of(cls, block: Block, alpha: Floats, log_classes: Floats) -> Labels:
        of_rows = alpha.take(block.annotator)
        wrong = np.log(max(block.n_classes - 1, 1))
        constant = (
            log_classes + (block.spread(block.votes.astype(np.float64)) - block.count) * wrong
        )
        ruled = with_known(constant, block, np.arange(block.n_classes))
        return cls(of_rows, block.count, block.per_class(of_rows), ruled)

    @cached_property
    def start(self) -> Ints:
        return np.cumsum(self.count) - self.count

    @cached_property
    def example(self) -> Ints:
        return np.repeat(np.arange(len(self.count)), self.count)

    def strength(self, u: Floats) -> Floats:
        """alpha[j] u of each label."""
        strength = u.take(self.example)
        strength *= self.alpha
        return strength

    def posterior(self, u: Floats) -> Posterior:
        """T, and log sum_k (1/K) P(labels | k) without the softplus terms."""
        return softmax(u * self.A + self.constant)

    def value(self, b: Floats) -> Floats:
        """l(b)."""
        return self.value_at(b, self.posterior(np.exp(b)))

    def value_at(self, b: Floats, found: Posterior) -> Floats:
        """l(b), from the posterior there."""
        same = softplus(self.strength(np.exp(b)))
        return found.log_evidence - np.add.reduceat(same, self.start) - (b - MEAN) ** 2 / 2

    def may_have_several_maxima(self) -> Flags:
        """Whether an annotator of the example is an adversary, or all are nearly without skill.

        (Else l was never seen to have more than one.)
        """
        least = np.minimum.reduceat(self.alpha, self.start)
        most = np.maximum.reduceat(self.alpha, self.start)
        return (self.count > 1) & ((least < 0) | (most < UNSKILLED))

    def slope(self, b: Floats) -> tuple[Floats, Floats]:
        """l'(b) and l''(b)."""
        u = np.exp(b)
        mean, variance = self.moments(u)
        as_ = logistic(self.strength(u))
        as_ *= self.alpha
        pull = mean - np.add.reduceat(as_, self.start)
        as_ *= self.alpha - as_
        bend = variance - np.add.reduceat(as_, self.start)
        return u * pull - (b - MEAN), u * pull + u**2 * bend - 1

    def moments(self, u: Floats) -> tuple[Floats, Floats]:
        """The mean and the variance of A under T."""
        T = u * self.A
        T += self.constant
        T -= T.max(axis=0)
        np.exp(T, out=T)
        total = T.sum(axis=0)
        T *= self.A
        mean = T.sum(axis=0) / total
        T *= self.A
        return mean, T.sum(axis=0) / total - mean**2

    def some(self, chosen: Flags) -> Labels:
        """Those of some of the examples."""
        rows = np.repeat(chosen, self.count)
        return Labels(
            self.alpha[rows], self.count[chosen], self.A[:, chosen], self.constant[:, chosen]
        )


@dataclass(frozen=True)
class Brackets:
    """Where b is looked for, n values each: at a value between one where l' > 0 and one where l' < 0."""

    low: Floats
    at: Floats
    high: Floats

    @classmethod
    def around(cls, labels: Labels) -> Brackets:
        """From MEAN, between bounds on l'; from the best of GRID where there may be several maxima."""
        low = -np.log1p(np.add.reduceat(np.abs(labels.alpha), labels.start))
        high = np.minimum(MEAN + STEEPEST * labels.count + NEAR, EASIEST)
        found = cls(low, np.full(len(low), MEAN), high)
        several = labels.may_have_several_maxima()
        if not several.any():
            return found
        scanned = found.some(several).scanned(labels.some(several))
        for values, new in zip((low, found.at, high), scanned, strict=True):
            values[several] = new
        return found

    def scanned(self, labels: Labels) -> tuple[Floats, Floats, Floats]:
        """The same about the best point of GRID, as far as bounds reach."""
        first, end = np.searchsorted(GRID, (self.low.min(), self.high.max()))
        grid = GRID[max(first - 1, 0) : end + 1]
        best = np.argmax([labels.value(np.full_like(self.at, b)) for b in grid], axis=0)
        left, right = grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, len(grid) - 1)]
        low = np.where(best > 0, np.maximum(left, self.low), self.low)
        high = np.where(best < len(grid) - 1, np.minimum(right, self.high), self.high)
        return low, np.clip(grid[best], low, high), high

    def some(self, chosen: Flags) -> Brackets:
        return Brackets(self.low[chosen], self.at[chosen], self.high[chosen])


def easiness(labels: Labels) -> Floats:
    """b of each example: where l' crosses zero from above, by Newton's method between bounds."""
    bracket = Brackets.around(labels)
    low, b, high = bracket.low, bracket.at, bracket.high
    found, place, step = b.copy(), np.arange(len(b)), np.full(len(b), np.inf)
    for _ in range(MOST_STEPS):
        slope, bend = labels.slope(b)
        low, high = np.where(slope > 0, b, low), np.where(slope > 0, high, b)
        new = b - slope / np.where(bend < 0, bend, -np.inf)
        inside = (bend < 0) & (new >= low) & (new <= high)
        inside &= np.abs(new - b) < np.maximum(step / 2, ENOUGH)
        new = np.where(inside, new, (low + high) / 2)
        step = np.abs(new - b)
        found[place], b = new, new
        moving = step > np.where(inside, ENOUGH, NEAR)
        if not moving.any():
            break
        if np.count_nonzero(moving) < len(moving) / 2:
            labels = labels.some(moving)
            place = place[moving]
            b, low, high, step = b[moving], low[moving], high[moving], step[moving]
    return found


@dataclass(frozen=True)
class EasyPosterior(Posterior):
    """T, and b."""

    b: Floats
    """Shape (n,)."""


# --- the model -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Skills:
    """What is estimated of annotators: alpha (M,), and expected right and wrong answers (2, M)."""

    alpha: Floats
    counts: Floats


@dataclass(frozen=True)
class Glad(Model):
    """Annotators by their skill, examples by their difficulty."""

    mean: Floats
    precision: Floats
    """Of the prior of alpha, shape (M,)."""

    name = "GLAD"
    sums: ClassVar = {"pull": ANNOTATOR, "curvature": ANNOTATOR, "correct": ANNOTATOR}
    class_pseudo_count = np.inf

    def weights(self, skills: Skills) -> Floats:
        """alpha."""
        return skills.alpha

    def e_step(self, block: Block, weights: Floats, log_classes: Floats) -> EasyPosterior:
        labels = Labels.of(block, weights, log_classes)
        b = easiness(labels)
        found = labels.posterior(np.exp(b))
        return EasyPosterior(found.T, labels.value_at(b, found), b)

    def terms(self, block: Block, weights: Floats, log_classes: Floats) -> Terms:
        """alpha u for the label, -log (K - 1) for the others, which it is shared among."""
        found = self.e_step(block, weights, log_classes)
        strength = weights.take(block.annotator) * block.at_rows(np.exp(found.b))
        others = -float(np.log(max(block.n_classes - 1, 1)))
        return Terms(at_own_label(block, strength, others), weight=strength)

    def count(self, block: Block, T: Floats, weights: Any) -> dict[str, Floats]:
        """The sums at alpha = 1 and b = 1, to begin with."""
        b = np.full(block.n_examples, MEAN)
        return self.count_at(block, T, np.full(block.n_annotators, MEAN), b)

    def count_found(
        self, block: Block, found: Posterior, T: Floats, weights: Any
    ) -> dict[str, Floats]:
        assert isinstance(found, EasyPosterior)
        return self.count_at(block, T, weights, found.b)

    def count_at(self, block: Block, T: Floats, alpha: Floats, b: Floats) -> dict[str, Floats]:
        """sum (g - 1/2) u, sum w u^2 and sum g over the labels of j."""
        u = block.at_rows(np.exp(b))
        x = alpha.take(block.annotator) * u
        g = block.of_labels(T)
        return {
            "pull": block.per_annotator((g - 0.5) * u),
            "curvature": block.per_annotator(curvature(x, logistic(x)) * u**2),
            "correct": block.per_annotator(g),
        }

    def maximise(self, sums: Sums, skills: Skills | None, log: LogSize) -> Skills:
        """alpha + 1.9 (alpha' - alpha)."""
        now = np.full(log.n_annotators, MEAN) if skills is None else skills.alpha
        precision = self.precision + sums["curvature"][0]
        best = (self.precision * self.mean + sums["pull"][0]) / precision
        counts = log.right_and_wrong(sums["correct"])
        return Skills(stepped(now, best) if skills is not None else best, counts)

    def log_prior(self, skills: Skills) -> float:
        """-(alpha - 1)^2 / 2."""
        return -float((self.precision * (skills.alpha - self.mean) ** 2).sum() / 2)

    def moved(self, skills: Skills, place: Ints) -> Skills:
        """The skills of known annotators; unknown ones get the mean over all labels."""
        mean = np.average(skills.alpha, weights=skills.counts.sum(axis=0))
        alpha = np.append(skills.alpha, mean)[place]
        return replace(skills, alpha=alpha, counts=with_sum(skills.counts)[:, place])

    def annotator_columns(self, skills: Skills) -> dict[str, Any]:
        """`alpha`, and the expected counts `num_correct` and `num_incorrect`."""
        return {"alpha": skills.alpha, **dict(zip(COUNTS, skills.counts, strict=True))}

    def example_columns(self, block: Block, weights: Floats, found: Posterior) -> dict[str, Floats]:
        """`difficulty` = exp(-b)."""
        assert isinstance(found, EasyPosterior)
        return {"difficulty": np.exp(-found.b)}


def stepped(now: Floats, best: Floats) -> Floats:
    """alpha + 1.9 (alpha' - alpha), or alpha' itself where that would take it across zero."""
    far = now + STEP * (best - now)
    return np.where(far * best > 0, far, best)


def prior_of(past: Floats) -> Glad:
    """The model with the prior that past answers leave of each skill."""
    correct, size = past[0], past.sum(axis=0)
    q = (correct + 0.5) / (size + 1)
    information = size * np.exp(2 * MEAN) * q * (1 - q)
    seen = np.log(q / (1 - q)) / np.exp(MEAN)
    return Glad((MEAN + information * seen) / (1 + information), 1 + information)


@shares(LikelihoodOptions, Likelihood, tol=1e-4)
def glad(log: Any, *, prior: Any = None, **options: Unpack[LikelihoodOptions]) -> TruthInference:
    """The truth of each example by GLAD: skilled annotators and difficult examples.

    Parameters
    ----------
    prior
        What is known of annotators from the past: a frame `annotator, num_correct, num_incorrect` of counts,
        which move and narrow the prior of their skills, or an earlier fit.
    tol
        When to stop: at a gain of the objective below `tol` times its size. 1e-8 goes to the mode, which
        is a worse answer than the way there where annotators are poor.

    Returns
    -------
    TruthInference
        `.annotators` has `alpha`, `num_correct`, `num_incorrect`; `.difficulty` has `difficulty` = exp(-b).

    Agrees with
    -----------
    crowd-kit 1.4.2 `GLAD(n_iter=200, tol=1e-9)`: at the mode alpha and b are the same to 0.02, and the
    objective is no lower.

    Examples
    --------
    >>> import polars_crowd as pc
    >>> fit = glad(pc.datasets.tutorial().log)
    >>> fit.annotators["alpha"].head(2).round(4).to_list()
    [-0.61, -0.3325]
    """
    return fit(log, lambda rounds: prior_of(past_counts(prior, rounds.book)), Likelihood(**options))
