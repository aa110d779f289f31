"""Temperature scaling of pred_probs to the annotators' own spread of labels.

The temperature t of a model minimises, over the N annotated examples, the mean soft cross-entropy

    L(t) = 1/N sum_e - sum_k c[e,k] / n[e] log p_t[e,k] / log K,     p_t = softmax(log p / t)

(Guo et al. 2017, arXiv 1706.04599; with soft targets as in Goh and Mueller 2023, arXiv 2301.11856), first
over a coarse grid, then over four steps to each neighbour of its best. L is a sum over examples, so that
partitions add up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from polars_crowd.arrays import Floats
from polars_crowd.numerics import mixture
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.rounds.summaries import Summary
from polars_crowd.runs.classes import Runs

COARSE = (0.1, 0.2, 0.5, 0.8, 1.0, 2.0, 3.0, 5.0, 8.0)
STEPS = 4


def calibrate(rounds: Rounds) -> tuple[Rounds, tuple[float, ...]]:
    """The rounds with each model's probabilities tempered, and the models' temperatures."""
    grids: list[Sequence[float]] = [COARSE] * rounds.n_models
    best = argmins(rounds, grids)
    found = tuple(argmins(rounds, [fine_grid(COARSE.index(t)) for t in best]))
    return rounds.transformed(tempered, found), found


def tempered(run: Runs, temperatures: tuple[float, ...]) -> Runs:
    """The runs with each model's probabilities tempered."""
    models = zip(run.models, temperatures, strict=True)
    return replace(run, models=tuple(mixture.temper(p, t) for p, t in models))


def argmins(rounds: Rounds, grids: Sequence[Sequence[float]]) -> list[float]:
    """Of each model's grid the first point where its loss is least."""
    losses = rounds.run(count_cross_entropy, grids)[()]
    return [
        grid[int(np.argmin([losses[f"{m},{i}"].item() for i in range(len(grid))]))]
        for m, grid in enumerate(grids)
    ]


def fine_grid(best: int) -> list[float]:
    """STEPS steps up from the left neighbour to the best, and STEPS up to the right one."""
    grid: list[float] = []
    if best > 0:
        grid += np.linspace(COARSE[best - 1], COARSE[best], STEPS, endpoint=False).tolist()
    if best < len(COARSE) - 1:
        grid += np.linspace(COARSE[best], COARSE[best + 1], STEPS + 1).tolist()
    return grid


def count_cross_entropy(part: Partition, grids: Sequence[Sequence[float]]) -> Summary:
    """Summary: N L(t) of model m at the i-th point of its grid, as `m,i`."""
    share = vote_share(part.runs)
    losses = {
        f"{m},{i}": [soft_cross_entropy(part.runs, share, m, t)]
        for m, grid in enumerate(grids)
        for i, t in enumerate(grid)
    }
    return {(): pl.DataFrame(losses)}


def vote_share(run: Runs) -> Floats:
    """c[e,k] / n[e] of each vote."""
    return (run.votes["votes"] / run.of_votes(run.examples["num_annotations"])).to_numpy()


def soft_cross_entropy(run: Runs, share: Floats, model: int, t: float) -> float:
    """N L(t), the sum over the partition's examples."""
    example, label = (run.votes[c].to_numpy() for c in ("example", "label"))
    return mixture.cross_entropy(run.models[model], t, example, label, share)
