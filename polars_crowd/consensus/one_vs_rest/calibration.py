"""Temperature scaling of pred_probs of label sets: a temperature per model and class.

As in `calibration.py`, with two classes, yes and no, for every class k: t[k] minimises the mean over examples
of the soft cross-entropy

    - ( c / n log p_t + (1 - c / n) log (1 - p)_t ) / log 2,     p_t = p^(1/t) / ( p^(1/t) + (1-p)^(1/t) )
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from polars_crowd.arrays import Floats, Ints, Probabilities
from polars_crowd.consensus.calibration import COARSE, fine_grid
from polars_crowd.consensus.one_vs_rest.model import Sets, by_class
from polars_crowd.numerics import mixture
from polars_crowd.numerics.mixture import SMALLEST_LOG
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.rounds.summaries import Summary
from polars_crowd.runs.classes import Runs


def calibrate(rounds: Rounds) -> tuple[Rounds, Floats]:
    """The rounds with each model's probabilities tempered class by class, and the temperatures, (P, K)."""
    P, K = rounds.n_models, len(rounds.book.names)
    coarse = np.broadcast_to(np.array(COARSE)[:, None, None], (len(COARSE), P, K))
    best_ = argmins(rounds, coarse)
    fine = [[fine_grid(int(best_[m, k])) for k in range(K)] for m in range(P)]
    longest = max(len(grid) for model in fine for grid in model)
    padded = [[grid + grid[-1:] * (longest - len(grid)) for grid in model] for model in fine]
    grid = np.moveaxis(np.array(padded), 2, 0)
    temperatures = np.take_along_axis(grid, argmins(rounds, grid)[None], axis=0)[0]
    return rounds.transformed(tempered, temperatures), temperatures


def argmins(rounds: Rounds, grid: Floats) -> Ints:
    """The first point of a grid (points, P, K) where the loss of each model and class is least, (P, K)."""
    losses = rounds.run(count_cross_entropy, grid)[("class",)]
    points, P, _ = grid.shape
    found = [[losses[f"{m},{i}"].to_numpy() for m in range(P)] for i in range(points)]
    least: Ints = np.array(found).argmin(axis=0)
    return least


def count_cross_entropy(part: Partition, grid: Floats) -> Summary:
    """Summary by class: the soft cross-entropy of model m at the i-th temperature, as `m,i`."""
    sets = Sets.of(part)
    share = sets.chosen / sets.n[:, None]
    losses = {
        f"{m},{i}": cross_entropy(sets.run.models[m], share, grid[i, m])
        for m in range(grid.shape[1])
        for i in range(len(grid))
    }
    return {("class",): by_class(**losses)}


def cross_entropy(p: Probabilities, share: Floats, temperature: Floats) -> Floats:
    """sum_e -( share log p_t + (1 - share) log (1 - p)_t ) / log 2 of each class."""
    loss = np.zeros(p.shape[1])
    for block in mixture.example_blocks(*p.shape):
        yes, no = log_softmax(p[block], temperature)
        floor = np.log(SMALLEST_LOG)
        s = share[block]
        loss -= (s * np.maximum(yes, floor) + (1 - s) * np.maximum(no, floor)).sum(axis=0)
    result: Floats = loss / np.log(2)
    return result


def log_softmax(p: Probabilities, temperature: Floats) -> tuple[Floats, Floats]:
    """The logarithms of yes and no at a temperature per class."""
    with np.errstate(divide="ignore"):
        yes, no = (
            np.log(p.astype(np.float64)) / temperature,
            np.log1p(-p.astype(np.float64)) / temperature,
        )
    total = np.logaddexp(yes, no)
    return yes - total, no - total


def tempered(run: Runs, temperatures: Floats) -> Runs:
    """The runs with each model's probabilities tempered, class by class."""
    models = zip(run.models, temperatures, strict=True)
    return replace(run, models=tuple(temper(p, t) for p, t in models))


def temper(p: Probabilities, temperature: Floats) -> Floats:
    """p_t of each class; zeros are clipped."""
    yes = np.maximum(p.astype(np.float64), SMALLEST_LOG)
    no = np.maximum(1 - p.astype(np.float64), SMALLEST_LOG)
    result: Floats = 1 / (1 + np.exp((np.log(no) - np.log(yes)) / temperature))
    return result
