"""What large tables are estimated to take, and what they take: printed as JSON, in bytes, by name."""

from __future__ import annotations

import json
import re
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


def main() -> None:
    warnings.simplefilter("ignore")
    pc.agreement(three_each(10, 3, 3))
    groups = three_each(120_000, 3, 3).with_columns(group=pl.col("example") // 2)
    fit = pc.one_coin_dawid_skene(three_each(100_000, 20, 90), max_iter=2)
    crowd = log_of(np.zeros(2500, np.int64), np.arange(2500), RNG.integers(0, 3, 2500))
    cells = three_each(2500, 3, 2000)
    matrices = three_each(4000, 700, 70)
    found = {
        "groups": held(lambda: pc.agreement(groups, by="group", coefficients="fleiss_kappa")),
        "matrices": held(lambda: pc.dawid_skene(matrices, max_iter=3)),
        "cells": held(lambda: pc.disagreements(cells)),
        "posterior": held(lambda: fit.posterior.collect()),
        "pairs": held(lambda: pc.pairwise_agreement(crowd)),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
