"""What each annotation adds to the posterior of its example: the E-step of a method, term by term.

Of most methods the log of the posterior is a sum, of weighted votes the posterior itself:

    log T[i,s] = log prior[i,s] + sum over the annotations r of i: term[s,r]  + const(i)
        T[i,k] = prior[i,k]     + sum over the annotations r of i: term[k,r]
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from polars_crowd.arrays import Floats
from polars_crowd.truth.block import Block


@dataclass(frozen=True)
class Terms:
    """The terms of a block's R annotations, for S states of the truth. What is known is left aside."""

    of_annotations: Floats
    """Shape (S, R)."""
    is_log: bool = True
    """Whether they add up to the log of the posterior, or else to the posterior."""
    weight: Floats | None = None
    """What each annotation counts for, as the method has it, shape (R,); None if only its terms say so."""
    prior: Floats | None = None
    """Where the posterior itself is the sum: what comes before the annotations, shape (K, n)."""


def singles(block: Block) -> Block:
    """A block in which each annotation is an example of its own."""
    every = np.arange(len(block.annotator))
    return replace(
        block,
        count=np.ones_like(every),
        vote_example=every,
        vote_label=block.label,
        votes=np.ones_like(every),
        ids=block.ids.gather(block.example),
        models=(),
        known=None,
    )


def at_own_label(block: Block, values: Floats, elsewhere: float = 0.0) -> Floats:
    """A value per annotation at the class that it chose, another one at the others, shape (K, R)."""
    is_own = np.arange(block.n_classes)[:, None] == block.label
    return np.where(is_own, values, elsewhere)
