r"""May a judge stand in for an annotator? The alternative annotator test, from sums by judge and human.

Calderon, Reichart and Dror (2025), "The Alternative Annotator Test for LLM-as-a-Judge", ACL, for labels of
classes. Each human j is left out in turn. On every example i that j, the judge f and at least one more human
labelled, the two are compared by how many of the other humans chose their label,

    W_f = [f's >= j's],    W_j = [j's >= f's],    d[i] = W_j - W_f

The judge has the advantage with probability rho[j] = mean_i W_f. It beats j at a price of eps (what it saves
is worth that much) where mean d < eps, by a one-sided t test over the examples,

    t = (mean d - eps) / sqrt(var d / n),      p = P(T < t),  n - 1 degrees of freedom

with p-values corrected for the number of humans after Benjamini and Yekutieli (2001). The **winning rate**
omega is the share of humans that it beats, the **average advantage** rho the mean of rho[j]. A judge may
stand in where omega is at least one half. There are to be at least 3 humans of FEWEST such examples each. The
paper takes eps = 0.2 where humans are experts, 0.15 where they are skilled, 0.1 where they are a crowd.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from polars_crowd.arrays import Flags, Floats
from polars_crowd.errors import counted
from polars_crowd.numerics.special import t_cdf
from polars_crowd.reliability.chance import ratio

FEWEST = 30
"""Examples that a human is compared on, at least."""
FEWEST_HUMANS = 3
HALF = 0.5


@dataclass(frozen=True)
class Advantage:
    """The sums of a judge beside each of H humans, shape (H,) each."""

    n: Floats
    judge: Floats
    """sum W_f."""
    d: Floats
    d2: Floats

    @property
    def share(self) -> Floats:
        """rho[j]; NaN where nothing is compared."""
        return ratio(self.judge, self.n)

    @property
    def is_tested(self) -> Flags:
        return self.n >= FEWEST

    def p_values(self, epsilon: float) -> Floats:
        """p of each human; NaN of those that are not tested."""
        sums = zip(self.n, self.d, self.d2, self.is_tested, strict=True)
        return np.array([p_value(n, d, d2, epsilon) if fine else np.nan for n, d, d2, fine in sums])


def p_value(n: float, d: float, d2: float, epsilon: float) -> float:
    """p, from n, sum d and sum d^2."""
    mean = d / n
    variance = max(d2 / n - mean**2, 0.0) * n / (n - 1)
    if variance == 0:
        return 0.0 if mean < epsilon else 1.0
    return t_cdf((mean - epsilon) / float(np.sqrt(variance / n)), n - 1)


@dataclass(frozen=True)
class Verdict:
    """What the test says of a judge; None where it cannot say."""

    winning_rate: float | None
    advantage: float | None
    reason: str
    n_tested: int


def verdict(sums: Advantage, corrected: Floats, level: float, epsilon: float) -> Verdict:
    """omega and rho, and in words what they mean."""
    tested = sums.is_tested
    n = int(tested.sum())
    if n < FEWEST_HUMANS:
        why = (
            f"{counted(n, 'human')} with {FEWEST} examples or more that the judge and another human "
            f"labelled too; {FEWEST_HUMANS} are needed"
        )
        return Verdict(None, None, why, n)
    omega = float((corrected[tested] <= level).mean())
    rho = float(sums.share[tested].mean())
    may = "may stand in for a human" if omega >= HALF else "is no stand-in for a human"
    beaten = f"as good as {omega:.0%} of {n} humans at a price of {epsilon:g}"
    return Verdict(omega, rho, f"{may}: {beaten}", n)
