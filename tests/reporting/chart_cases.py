"""Charts to test: of a small log, and of one with names of others that would act if they were let."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import polars as pl

import polars_crowd as pc

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "datum['x'] + 1; alert(1)",
    "a.b[0]'\"\\",
    "{{7*7}} ${alert(1)}",
    "\x1b[31mred\u202e",
    "<!-- <script>",
    "javascript:alert(1)",
]
DATA = pc.datasets.tutorial()
Draw = Callable[..., Any]


def hostile(ids: pl.Series) -> pl.Series:
    """Other names for ids, as many as there are."""
    known = ids.unique().sort()
    names = [HOSTILE[k % len(HOSTILE)] + " " * (k // len(HOSTILE)) for k in range(len(known))]
    return ids.replace_strict(known, pl.Series(names), return_dtype=pl.String)


@cache
def a_log(strange: bool = False) -> pl.DataFrame:
    log = DATA.log.cast({"label": pl.String})
    if not strange:
        return log
    return log.with_columns(*(hostile(log[name]) for name in log.columns))


@cache
def a_fit(strange: bool = False) -> Any:
    return pc.dawid_skene(a_log(strange))


CHARTS: dict[str, Callable[[bool], Any]] = {
    "consensus_quality": lambda strange: pc.plot.consensus_quality(a_fit(strange)),
    "annotator_quality": lambda strange: pc.plot.annotator_quality(a_fit(strange)),
    "confusion": lambda strange: pc.plot.confusion(
        a_fit(strange), annotator=a_log(strange)["annotator"][0]
    ),
    "class_confusions": lambda strange: pc.plot.class_confusions(a_fit(strange)),
    "class_confusions by chance": lambda strange: pc.plot.class_confusions(
        pc.disagreements(a_log(strange))
    ),
    "pairwise_agreement": lambda strange: pc.plot.pairwise_agreement(
        pc.pairwise_agreement(a_log(strange))
    ),
    "labels_per_example": lambda strange: pc.plot.labels_per_example(a_log(strange)),
}
"""Charts by name: of the log as it is, or of the one with strange names."""
