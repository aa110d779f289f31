"""Temperature scaling of pred_probs to the annotators' own spread of labels.

The temperature t of a model minimises, over the N annotated examples, the mean soft cross-entropy

    L(t) = 1/N sum_e - sum_k c[e,k] / n[e] log p_t[e,k] / log K,     p_t = softmax(log p / t)

(Guo et al. 2017, arXiv 1706.04599; with soft targets as in Goh and Mueller 2023, arXiv 2301.11856), first
over a coarse grid, then over four steps to each neighbour of its best. L is a sum over examples, so that
partitions add up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from polars_crowd import mixing
from polars_crowd.runs import Runs

COARSE = (0.1, 0.2, 0.5, 0.8, 1.0, 2.0, 3.0, 5.0, 8.0)
STEPS = 4


def calibrate(parts: Sequence[Runs]) -> tuple[list[Runs], tuple[float, ...]]:
    """The partitions with each model's probabilities tempered, and the models' temperatures."""
    found = tuple(temperature(parts, m) for m in range(len(parts[0].models)))
    return [_tempered(run, found) for run in parts], found


def _tempered(run: Runs, temperatures: tuple[float, ...]) -> Runs:
    models = zip(run.models, temperatures, strict=True)
    return replace(run, models=tuple(mixing.temper(p, t) for p, t in models))


def temperature(parts: Sequence[Runs], model: int) -> float:
    """The temperature of one model."""

    def loss(t: float) -> float:
        return sum(soft_cross_entropy(run, model, t) for run in parts)

    best = argmin(loss, COARSE)
    return argmin(loss, fine_grid(COARSE.index(best)))


def argmin(loss: Callable[[float], float], grid: Sequence[float]) -> float:
    """The first point of a grid where the loss is least."""
    return min(grid, key=loss)


def fine_grid(best: int) -> list[float]:
    """STEPS steps up from the left neighbour to the best, and STEPS up to the right one."""
    grid: list[float] = []
    if best > 0:
        grid += np.linspace(COARSE[best - 1], COARSE[best], STEPS, endpoint=False).tolist()
    if best < len(COARSE) - 1:
        grid += np.linspace(COARSE[best], COARSE[best + 1], STEPS + 1).tolist()
    return grid


def soft_cross_entropy(run: Runs, model: int, t: float) -> float:
    """Summary: N L(t), the sum over the partition's examples."""
    share = run.votes["votes"] / run.of_votes(run.examples["num_annotations"])
    return mixing.cross_entropy(
        run.models[model],
        t,
        run.votes["example"].to_numpy(),
        run.votes["label"].to_numpy(),
        share.to_numpy(),
    )
