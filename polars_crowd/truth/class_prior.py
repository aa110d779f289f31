r"""What is known of an example's truth before its annotations: class shares, and models' probabilities.

Without models the prior of class k is its share pi[k], the same on every example. With pred_probs it is a
mixture: the truth of example i was drawn from one of several sources s, with weights w,

    prior[i,k] = w[0] pi[k] + sum_m w[m] p_m[i,k]

so that w = (1, 0) is the method without a model and w = (0, 1) takes the model as the prior. The weights
are fitted along with everything else, by one more closed step of EM: with T[i,k] the posterior,

    r[i,k,s] = w[s] p_s[i,k] / prior[i,k]         whose word the truth was
    w[s]  ∝  b + sum_i sum_k T[i,k] r[i,k,s]
    pi[k] ∝  b + sum_i T[i,k] r[i,k,0]

The temperatures t_m are fitted once, beforehand, to the spread of the labels (`calibration`): here p_m
is what came of that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from polars_crowd.truth.block import Block
from polars_crowd.truth.dirichlet import Dirichlet

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ClassWeights:
    """The prior as an E-step needs it: logs of class shares and of the sources' weights."""

    log_shares: Floats
    """log pi, shape (S,) for S states: the classes, or finer."""
    log_sources: Floats
    """log w of the class shares and of each model, shape (1 + models,)."""

    def log_of(self, block: Block) -> Floats:
        """log prior[i,k], shape (S, n), or (S, 1) where it is the same for all."""
        if not block.models:
            return self.log_shares[:, None]
        log_prior: Floats = np.logaddexp.reduce(self._by_source(block), axis=0)
        return log_prior

    def _by_source(self, block: Block) -> Floats:
        """log w[s] p_s[i,k], shape (sources, K, n)."""
        shares = np.broadcast_to(self.log_shares[:, None], (block.n_classes, block.n_examples))
        parts = [shares, *(np.log(p.T.astype(np.float64)) for p in block.models)]
        return np.stack(parts) + self.log_sources[:, None, None]

    def count(self, block: Block, T: Floats) -> dict[str, Floats]:
        """Sums: `class_mass` of the states by the class shares' word, `source_mass` of the sources."""
        if not block.models:
            mass = T.sum(axis=1)
            return {"class_mass": mass, "source_mass": mass.sum(keepdims=True)}
        by_source = self._by_source(block)
        r = np.exp(by_source - np.logaddexp.reduce(by_source, axis=0))
        return {
            "class_mass": (T * r[0]).sum(axis=1),
            "source_mass": (T * r).sum(axis=(1, 2)),
        }


@dataclass(frozen=True)
class ClassPrior:
    """The prior as it is estimated: counts, the pseudo-counts among them included."""

    rule: Dirichlet
    pseudo_count: float
    """b; infinite for class shares that are all equal."""
    classes: Floats
    """Shape (S,)."""
    sources: Floats
    """Shape (1 + models,)."""

    @property
    def is_flat(self) -> bool:
        return bool(np.isinf(self.pseudo_count))

    def weights(self) -> ClassWeights:
        n_states, n_sources = len(self.classes), len(self.sources)
        log_shares = (
            np.full(n_states, -np.log(n_states))
            if self.is_flat
            else self.rule.log_mean(self.classes)
        )
        log_sources = np.zeros(1) if n_sources == 1 else self.rule.log_mean(self.sources)
        return ClassWeights(log_shares, log_sources)

    def log_prior(self) -> float:
        """What the prior adds to the objective."""
        total = 0.0
        if not self.is_flat:
            total += self.rule.log_prior(self.classes, self.pseudo_count)
        if len(self.sources) > 1:
            total += self.rule.log_prior(self.sources, self._source_pseudo_count)
        return total

    @property
    def _source_pseudo_count(self) -> float:
        return 1.0 if self.is_flat else self.pseudo_count

    def updated(self, class_mass: Floats, source_mass: Floats) -> ClassPrior:
        """The prior for the sums of a posterior."""
        pseudo_count = 0.0 if self.is_flat else self.pseudo_count
        return replace(
            self,
            classes=class_mass + pseudo_count,
            sources=source_mass + self._source_pseudo_count,
        )

    def in_order(self, order: NDArray[np.intp]) -> ClassPrior:
        """The prior after class order[k] became class k."""
        return replace(self, classes=self.classes[order])
