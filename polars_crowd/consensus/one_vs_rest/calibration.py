"""Temperature scaling of pred_probs of sets of classes: a temperature per model and class.

As in `consensus.calibration`, with two classes, yes and no, for every class k: t[k] minimises the mean over
examples of the soft cross-entropy

    - ( c / n log p_t + (1 - c / n) log (1 - p)_t ) / log 2,     p_t = p^(1/t) / ( p^(1/t) + (1-p)^(1/t) )
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from polars_crowd.arrays import Floats, Probabilities
from polars_crowd.consensus.calibration import best_temperatures, loss_table
from polars_crowd.consensus.one_vs_rest.model import Sets
from polars_crowd.numerics import mixture
from polars_crowd.numerics.mixture import SMALLEST_LOG
from polars_crowd.rounds.partitions import Partition
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.rounds.summaries import Summary
from polars_crowd.runs.classes import Runs


def calibrate(rounds: Rounds) -> tuple[Rounds, Floats]:
    """The rounds with each model's probabilities tempered class by class, and the temperatures, (P, K)."""
    found = best_temperatures(rounds, count_cross_entropy, len(rounds.book.names))
    return rounds.transformed(tempered, found), found


def count_cross_entropy(part: Partition, grid: Floats) -> Summary:
    """Summary by class: the soft cross-entropy of model m at the i-th temperature, as `m,i`."""
    sets = Sets.of(part)
    share = sets.chosen / sets.n[:, None]
    return {
        ("problem",): loss_table(grid, lambda m, t: cross_entropy(sets.run.models[m], share, t))
    }


def cross_entropy(p: Probabilities, share: Floats, temperature: Floats) -> Floats:
    """sum_e -( share log p_t + (1 - share) log (1 - p)_t ) / log 2 of each class."""
    loss = np.zeros(p.shape[1])
    for block in mixture.example_blocks(*p.shape):
        yes, no = log_softmax(p[block], temperature)
        floor = np.log(SMALLEST_LOG)
        s = share[block]
        loss -= (s * np.maximum(yes, floor) + (1 - s) * np.maximum(no, floor)).sum(axis=0)
    return np.asarray(loss / np.log(2))


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
    return np.asarray(1 / (1 + np.exp((np.log(no) - np.log(yes)) / temperature)))
