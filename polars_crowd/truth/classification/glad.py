r"""GLAD: annotators have a skill, examples a difficulty, and both bend the chance of a right label.

Letters: example i with b[i], the log of how easy it is, and u[i] = exp b[i]; annotator j with skill
alpha[j], negative for an adversary; label y, K classes; s(x) = 1 / (1 + exp(-x)). Difficulty is exp(-b[i]).

    P(j says y | truth k) = s(alpha[j] u[i]) if y = k, else (1 - s(alpha[j] u[i])) / (K - 1)
    alpha[j] ~ N(1, 1),        b[i] ~ N(1, 1)

All classes are equally likely beforehand. What is sought is the mode over alpha and b (Whitehill et al.
2009, "Whose vote should count more", NIPS).

**E-step.** Because s(x) = exp(x/2) / (2 cosh(x/2)), with B[i,k] half the sum of alpha[j] over the labels k of
i less half that over the others, and n[i,k] the number of the labels k,

    log P(labels of i | k) = u B[i,k] - sum over the labels of i: log cosh(alpha[j] u / 2)
                             - n[i] log 2 - (n[i] - n[i,k]) log (K - 1)
    T[i,k] ∝ (1/K) P(labels of i | k)

**Difficulty.** For given skills an example's b depends on its own labels alone: it is where

    l(b) = log sum_k (1/K) P(labels of i | k) - (b - 1)^2 / 2
    l'(b) = u (sum_k T[k] B[k] - sum over the labels: alpha[j] / 2 tanh(alpha[j] u / 2)) - (b - 1)

has its maximum, found by Halley's method, held between a point where l' > 0 and one where l' < 0. With
adversaries among the annotators l may have two maxima: then it is looked at on a grid before. Examples with
as many labels are worked on together, those with many with others that have nearly as many.

**M-step.** With g = T[i,y] the chance that a label is right, the skills maximise

    Q = sum over all labels: g log s(alpha[j] u) + (1 - g) log s(-alpha[j] u)  -  sum_j (alpha[j] - 1)^2 / 2

log s is bounded from below by a parabola that touches it at the present x (Jaakkola and Jordan 2000,
Statistics and Computing 10), with curvature w(x) = (s(x) - 1/2) / x = tanh(x/2) / (2 x). The parabola's
maximum is

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

from polars_crowd.arrays import Floats, Ints
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
AT_ONCE = 1 << 12  # labels that are looked at so together
UNSKILLED = 0.2  # a smaller skill is nearly none
NEAR = 1e-10  # b is found when it moves by less,
ENOUGH = 1e-8  # or when less than this is left after a step of Halley's
SHORT = 1e-3  # such a step need not be half of the last one if it is shorter
MOST_STEPS = 100
LOG_2 = float(np.log(2))


def log_cosh(x: Floats) -> Floats:
    """log cosh x."""
    size = np.abs(x)
    less = np.exp(-2 * size)
    size += np.log1p(less, out=less)
    size -= LOG_2
    return size


def curvature(x: Floats) -> Floats:
    """w(x) = tanh(x/2) / (2 x), 1/4 at 0."""
    half = np.maximum(np.abs(x) / 2, NEAR)
    w = np.tanh(half)
    half *= 4
    w /= half
    return w


# --- the examples of a block -----------------------------------------------------------------------


def log_odds(block: Block, alpha: Floats) -> Floats:
    """B, shape (K, n)."""
    of_class = block.per_class(alpha.take(block.annotator))
    odds: Floats = of_class - of_class.sum(axis=0) / 2
    return odds


def constant(block: Block, log_classes: Floats) -> Floats:
    """log 1/K - n[i] log 2 - (n[i] - n[i,k]) log (K - 1); -inf where the truth is another. Shape (K, n)."""
    K = block.n_classes
    others = block.count - block.spread(block.votes.astype(np.float64))
    found = log_classes - others * np.log(max(K - 1, 1)) - block.count * LOG_2
    return with_known(found, block, np.arange(K))


@dataclass(frozen=True)
class Labels:
    """What l(b) needs of m examples with up to n labels; those that are no labels have a skill of 0."""

    count: Ints
    """n[i], up to n, shape (m,)."""
    half: Floats
    """alpha / 2 of each label, shape (n, m)."""
    B: Floats
    """Shape (K, m)."""
    constant: Floats
    """Shape (K, m)."""

    @cached_property
    def square(self) -> Floats:
        return self.half**2

    def symmetric(self, u: Floats) -> Floats:
        """The sum over the labels of log cosh(alpha[j] u / 2)."""
        total: Floats = log_cosh(self.half * u).sum(axis=0)
        return total

    def value(self, b: Floats) -> Floats:
        """l(b)."""
        u = np.exp(b)
        evidence = softmax(u * self.B + self.constant).log_evidence
        return evidence - self.symmetric(u) - (b - MEAN) ** 2 / 2

    def may_have_several_maxima(self) -> Ints:
        """The examples of which an annotator is an adversary, or all are nearly without skill.

        (Else l was never seen to have more than one.)
        """
        least, most = self.half.min(axis=0), self.half.max(axis=0)
        return np.flatnonzero((self.count > 1) & ((least < 0) | (most < UNSKILLED / 2)))

    def derivatives(self, b: Floats) -> tuple[Floats, Floats, Floats]:
        """l'(b), l''(b) and l'''(b)."""
        u = np.exp(b)
        mean, variance, skew = self.cumulants(u)
        pull = self.half * u
        np.tanh(pull, out=pull)
        pull *= self.half
        first = mean - pull.sum(axis=0)
        bend = self.square - pull * pull
        second = variance - bend.sum(axis=0)
        bend *= pull
        third = skew + 2 * bend.sum(axis=0)
        first *= u
        second *= u * u
        third *= u * u * u
        return first - (b - MEAN), first + second - 1, first + 3 * second + third

    def cumulants(self, u: Floats) -> tuple[Floats, Floats, Floats]:
        """The mean, the variance and the third cumulant of B under T."""
        T = u * self.B
        T += self.constant
        T -= T.max(axis=0)
        np.exp(T, out=T)
        T /= T.sum(axis=0)
        T *= self.B
        mean = T.sum(axis=0)
        T *= self.B
        of_squares = T.sum(axis=0)
        T *= self.B
        variance = of_squares - mean * mean
        return mean, variance, T.sum(axis=0) - mean * (of_squares + 2 * variance)

    def some(self, chosen: Ints) -> Labels:
        """Those of some of the examples."""
        of_labels = (of.take(chosen, axis=1) for of in (self.half, self.B, self.constant))
        return Labels(self.count[chosen], *of_labels)


@dataclass(frozen=True)
class Brackets:
    """Where b is looked for, m values each: at a value between one where l' > 0 and one where l' < 0."""

    low: Floats
    at: Floats
    high: Floats

    @classmethod
    def around(cls, labels: Labels) -> Brackets:
        """From MEAN, between bounds on l'; from the best of GRID where there may be several maxima."""
        low = -np.log1p(2 * np.abs(labels.half).sum(axis=0))
        high = np.minimum(MEAN + STEEPEST * labels.count + NEAR, EASIEST)
        found = cls(low, np.full(len(low), MEAN), high)
        several = labels.may_have_several_maxima()
        if not len(several):
            return found
        size = max(1, AT_ONCE // len(labels.half))
        for some in np.split(several, range(size, len(several), size)):
            scanned = found.some(some).scanned(labels.some(some))
            for values, new in zip((low, found.at, high), scanned, strict=True):
                values[some] = new
        return found

    def scanned(self, labels: Labels) -> tuple[Floats, Floats, Floats]:
        """The same about the best point of GRID, as far as bounds reach."""
        first, end = np.searchsorted(GRID, (self.low.min(), self.high.max()))
        grid = GRID[max(first - 1, 0) : end + 1]
        m = len(self.at)
        each = labels.some(np.tile(np.arange(m), len(grid)))
        best = np.argmax(each.value(np.repeat(grid, m)).reshape(len(grid), m), axis=0)
        left, right = grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, len(grid) - 1)]
        low = np.where(best > 0, np.maximum(left, self.low), self.low)
        high = np.where(best < len(grid) - 1, np.minimum(right, self.high), self.high)
        return low, np.clip(grid[best], low, high), high

    def halved(self, chosen: Ints, b: Floats, slope: Floats) -> Floats:
        """The middle of what is left when l' at b was looked at, of the chosen."""
        below, above = chosen[slope > 0], chosen[slope <= 0]
        self.low[below] = b[slope > 0]
        self.high[above] = b[slope <= 0]
        middle: Floats = (self.low[chosen] + self.high[chosen]) / 2
        return middle

    def some(self, chosen: Ints) -> Brackets:
        return Brackets(self.low[chosen], self.at[chosen], self.high[chosen])


def easiness(labels: Labels) -> Floats:
    """b of each example: where l' crosses zero from above, by Halley's method between bounds."""
    bracket = Brackets.around(labels)
    b = bracket.at
    found, place, last = b.copy(), np.arange(len(b)), np.full(len(b), np.inf)
    for _ in range(MOST_STEPS):
        slope, bend, third = labels.derivatives(b)
        newton = -slope / bend
        curl = newton * third / (2 * bend)
        new = b + newton / np.maximum(1 + curl, 0.5)
        step = np.abs(new - b)
        left = step * np.maximum(step, np.abs(curl)) ** 2
        inside = (bend < 0) & (new >= bracket.low) & (new <= bracket.high)
        inside &= step < np.maximum(last / 2, SHORT)
        outside = np.flatnonzero(~inside)
        if len(outside):
            new[outside] = bracket.halved(outside, b[outside], slope[outside])
            step[outside] = np.abs(new - b)[outside]
            left[outside] = step[outside] * (ENOUGH / NEAR)
        b, last = new, step
        moving = np.flatnonzero(left > ENOUGH)
        if not len(moving):
            break
        if len(moving) < len(left) / 2:
            found[place] = b
            labels, bracket, place = labels.some(moving), bracket.some(moving), place[moving]
            b, last = b[moving], last[moving]
    found[place] = b
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
        B, constants = log_odds(block, weights), constant(block, log_classes)
        half = np.append(weights, 0.0) / 2
        b, symmetric = np.empty((2, block.n_examples))
        for examples, annotators in block.by_count:
            of_some = B.take(examples, axis=1), constants.take(examples, axis=1)
            labels = Labels(block.count[examples], half.take(annotators), *of_some)
            b[examples] = found = easiness(labels)
            symmetric[examples] = labels.symmetric(np.exp(found))
        posterior = softmax(np.exp(b) * B + constants)
        evidence = posterior.log_evidence - symmetric - (b - MEAN) ** 2 / 2
        return EasyPosterior(posterior.T, evidence, b)

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
        w = curvature(alpha.take(block.annotator) * u)
        g = block.of_labels(T)
        return {
            "pull": block.per_annotator((g - 0.5) * u),
            "curvature": block.per_annotator(w * u * u),
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
