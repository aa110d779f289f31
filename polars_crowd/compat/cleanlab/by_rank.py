"""The counts of labels as cleanlab 2.9 has them where labels are floats: on the wrong classes.

The j-th smallest of the distinct labels of an example counts for class j. See the package's docstring.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from polars_crowd.consensus.calibration import calibrate, tempered
from polars_crowd.consensus.model import vote_shares
from polars_crowd.numerics.mixture import Mixture
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.runs.classes import Runs


def by_rank(run: Runs) -> Runs:
    """The runs with each label replaced by its rank among the example's distinct labels, from 0."""
    rank = pl.int_range(pl.len(), dtype=pl.UInt32).over("example")
    return replace(run, votes=run.votes.with_columns(label=rank))


def shares_by_rank(run: Runs) -> Mixture:
    """q[e,j] = c[e,k] / n[e], k the j-th of e's distinct labels; the votes stay where they are."""
    shares = vote_shares(run)
    return replace(
        shares,
        models=(vote_shares(by_rank(run)).dense(),),
        model_weights=np.ones(1),
        gain=0.0,
        weight=np.zeros_like(shares.weight),
    )


def calibrate_by_rank(rounds: Rounds) -> tuple[Rounds, tuple[float, ...]]:
    """The rounds with the models' probabilities tempered to the counts by rank."""
    _, found = calibrate(rounds.transformed(by_rank))
    return rounds.transformed(tempered, found), found
