"""Temperature scaling of pred_probs to the annotators' own spread of labels.

The temperature t of a model minimises, over the N annotated examples, the mean soft cross-entropy

    L(t) = 1/N sum_e - sum_k c[e,k] / n[e] log p_t[e,k] / log K,     p_t = softmax(log p / t)

(Guo et al. 2017, arXiv 1706.04599; with soft targets as in Goh and Mueller 2023, arXiv 2301.11856), first
over a coarse grid, then over four steps to each neighbour of its best. L is a sum over examples, so that
partitions add up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl

from polars_crowd.arrays import Floats, Ints
from polars_crowd.numerics import mixture
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.rounds import Plan, Rounds
from polars_crowd.rounds.summaries import Summary
from polars_crowd.runs.classes import Runs

COARSE = (0.1, 0.2, 0.5, 0.8, 1.0, 2.0, 3.0, 5.0, 8.0)
STEPS = 4


def calibrate(rounds: Rounds) -> tuple[Rounds, tuple[float, ...]]:
    """The rounds with each model's probabilities tempered, and the models' temperatures."""
    best = best_temperatures(rounds, count_cross_entropy, 1)
    found = tuple(float(t) for t in best[:, 0])
    return rounds.transformed(tempered, found), found


def tempered(run: Runs, temperatures: tuple[float, ...]) -> Runs:
    """The runs with each model's probabilities tempered."""
    models = zip(run.models, temperatures, strict=True)
    return replace(run, models=tuple(mixture.temper(p, t) for p, t in models))


def best_temperatures(rounds: Rounds, losses: Plan, n_problems: int) -> Floats:
    """Where the loss of each model on each problem is least, (P, problems).

    `losses` is a plan of a grid (points, P, problems): a summary by `problem`, of columns `m,i`.
    """
    coarse = np.array(COARSE)[:, None, None].repeat(rounds.n_models, 1).repeat(n_problems, 2)
    fine = fine_grids(argmins(rounds, losses, coarse))
    return np.asarray(np.take_along_axis(fine, argmins(rounds, losses, fine)[None], axis=0)[0])


def argmins(rounds: Rounds, losses: Plan, grid: Floats) -> Ints:
    """The first point of a grid where the loss of each model and problem is least, (P, problems)."""
    merged = rounds.run(losses, grid)[("problem",)]
    points, P, _ = grid.shape
    found = [[merged[f"{m},{i}"].to_numpy() for m in range(P)] for i in range(points)]
    return np.asarray(np.array(found).argmin(axis=0))


def fine_grids(best: Ints) -> Floats:
    """The fine grid of each model and problem; the last points of shorter ones are repeated."""
    grids = [[fine_grid(int(k)) for k in row] for row in best]
    longest = max(len(grid) for row in grids for grid in row)
    padded = [[grid + grid[-1:] * (longest - len(grid)) for grid in row] for row in grids]
    return np.moveaxis(np.array(padded), 2, 0)


def fine_grid(best: int) -> list[float]:
    """STEPS steps up from the left neighbour to the best, and STEPS up to the right one."""
    grid: list[float] = []
    if best > 0:
        grid += np.linspace(COARSE[best - 1], COARSE[best], STEPS, endpoint=False).tolist()
    if best < len(COARSE) - 1:
        grid += np.linspace(COARSE[best], COARSE[best + 1], STEPS + 1).tolist()
    return grid


def count_cross_entropy(part: Partition, grid: Floats) -> Summary:
    """Summary: N L(t) of model m at the i-th point of its grid, as `m,i`."""
    share = vote_share(part.runs)
    return {("problem",): loss_table(grid, lambda m, t: soft_cross_entropy(part.runs, share, m, t))}


def loss_table(grid: Floats, loss: Callable[[int, Floats], Floats]) -> pl.DataFrame:
    """The losses of all models at all points, a row per problem."""
    points, P, n_problems = grid.shape
    losses = {f"{m},{i}": loss(m, grid[i, m]) for m in range(P) for i in range(points)}
    return pl.DataFrame({"problem": np.arange(n_problems, dtype=np.uint32), **losses})


def vote_share(run: Runs) -> Floats:
    """c[e,k] / n[e] of each vote."""
    return (run.votes["votes"] / run.beside_votes).to_numpy()


def soft_cross_entropy(run: Runs, share: Floats, model: int, t: Floats) -> Floats:
    """N L(t), the sum over the partition's examples, (1,)."""
    example, label = (run.votes[c].to_numpy() for c in ("example", "label"))
    return np.array([mixture.cross_entropy(run.models[model], t.item(), example, label, share)])
