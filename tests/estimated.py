"""What a large table is estimated to take, and what it takes: printed as JSON, in bytes."""

from __future__ import annotations

import json
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import polars_crowd as pc
from polars_crowd.rounds.rounds import Rounds

RNG = np.random.default_rng(1)


def log_of(example: Any, annotator: Any, label: Any) -> pl.DataFrame:
    return pl.DataFrame({"example": example, "annotator": annotator, "label": label})


def three_each(n: int, M: int, K: int) -> pl.DataFrame:
    """n examples of three annotations, by M annotators in turn."""
    labels = np.r_[np.arange(K), RNG.integers(0, K, 3 * n - K)]
    return log_of(np.repeat(np.arange(n), 3), np.arange(3 * n) % M, labels)


def kilobytes(name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1])


def held(work: Callable[[], Any]) -> tuple[float, int]:
    """The estimate that was last made for work, and how much more was held at its peak."""
    estimates: list[float] = []
    check = Rounds.check_memory

    def noted(rounds: Rounds, needed: float, what: str, *advice: Any) -> None:
        estimates.append(needed)
        check(rounds, needed, what, *advice)

    Rounds.check_memory = noted  # type: ignore[assignment, method-assign]
    Path("/proc/self/clear_refs").write_text("5")
    before = kilobytes("VmRSS")
    found = work()
    peak = kilobytes("VmHWM") - before
    Rounds.check_memory = check  # type: ignore[method-assign]
    del found
    return estimates[-1], peak << 10


def pairs() -> Callable[[], Any]:
    crowd = log_of(np.zeros(2500, np.int64), np.arange(2500), RNG.integers(0, 3, 2500))
    return lambda: pc.pairwise_agreement(crowd)


def groups() -> Callable[[], Any]:
    log = three_each(120_000, 3, 3).with_columns(group=pl.col("example") // 2)
    return lambda: pc.agreement(log, by="group", coefficients="fleiss_kappa")


def matrices() -> Callable[[], Any]:
    log = three_each(4000, 700, 70)
    return lambda: pc.dawid_skene(log, max_iter=3)


def cells() -> Callable[[], Any]:
    log = three_each(2500, 3, 2000)
    return lambda: pc.disagreements(log)


def posterior() -> Callable[[], Any]:
    fit = pc.one_coin_dawid_skene(three_each(100_000, 20, 90), max_iter=2)
    return lambda: fit.posterior.collect()


WORK = {made.__name__: made for made in (pairs, groups, matrices, cells, posterior)}

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    pc.agreement(three_each(10, 3, 3))
    print(json.dumps(held(WORK[sys.argv[1]]())))
