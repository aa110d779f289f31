"""What an E-step finds of the examples of a block, and what is known of them put into it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from polars_crowd.arrays import Floats, Ints
from polars_crowd.truth.block import UNKNOWN, Block


@dataclass(frozen=True)
class Posterior:
    """T and what comes with it, for the examples of a block."""

    T: Floats
    """P(truth of i is in state s | its labels), shape (S, n)."""
    log_evidence: Floats
    """log P(labels of i): what the examples add to the objective, shape (n,)."""


def with_sum(values: Floats) -> Floats:
    """Values of annotators, the second axis, with their sum behind them."""
    return np.append(values, values.sum(axis=1, keepdims=True), axis=1)


def moved_counts(counts: Floats, like: Floats, place: Ints) -> Floats:
    """Counts, in a shape that broadcasts to that of others, of the annotators at `place`; at -1 of all."""
    return with_sum(np.broadcast_to(counts, like.shape))[:, place]


def with_known(joint: Floats, block: Block, class_of_state: Ints) -> Floats:
    """log joint with nothing left for the classes that a known label rules out."""
    if block.known is None:
        return joint
    ruled_out = (block.known != UNKNOWN) & (class_of_state[:, None] != block.known)
    return np.where(ruled_out, -np.inf, joint)


def softmax(joint: Floats) -> Posterior:
    """T[s,i] = exp joint[s,i] / sum_s, and the log of that sum, with the peak shifted out."""
    peak = joint.max(axis=0)
    T = joint - peak
    np.exp(T, out=T)
    total = T.sum(axis=0)
    T /= total
    return Posterior(T, peak + np.log(total))


def known_posterior(block: Block, T: Floats) -> Floats:
    """A posterior over classes, (K, n), with the known labels in it."""
    if block.known is None:
        return T
    is_known = block.known != UNKNOWN
    one_hot = np.arange(block.n_classes)[:, None] == block.known
    return np.where(is_known, one_hot.astype(np.float64), T)
