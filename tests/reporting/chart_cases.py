"""Charts to test: of a small log, and of one with names of others that would act if they were let."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
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


def rows_of(chart: Any) -> list[dict[str, Any]]:
    """The rows that a chart draws."""
    return drawn_rows(chart.to_dict())


def drawn_rows(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for rows in spec["datasets"].values() for row in rows]


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


@cache
def a_truth(strange: bool = False) -> pl.DataFrame:
    """The most probable labels, but for one example in seven."""
    found: pl.DataFrame = a_fit(strange).examples.collect()
    first, label = found["consensus_label"][0], pl.col("consensus_label")
    return found.select(
        "example",
        label=pl.when(pl.int_range(pl.len()) % 7 > 0).then(label).otherwise(pl.lit(first)),
    )


def a_queue(strange: bool = False) -> pl.DataFrame:
    """Scores, and as many examples that nobody has labelled."""
    examples: pl.DataFrame = a_fit(strange).examples.collect()
    score = examples["consensus_quality_score"] / 2 + 0.2
    scored = examples.select("example", "num_annotations", active_learning_score=score)
    none = scored.with_columns(num_annotations=pl.lit(0, pl.UInt32))
    return pl.concat([scored, none])


def windows(strange: bool = False) -> pl.DataFrame:
    """Nine annotators in sixty weeks, of whom the first falls."""
    weeks = pl.select(week=pl.int_range(60))
    who = a_log(strange)["annotator"].unique().sort().head(9).to_frame().with_row_index("k")
    falls = pl.when(pl.col("k") == 0).then(pl.col("week") / 150).otherwise(0.0)
    return who.join(weeks, how="cross").select(
        "annotator",
        window=date(2026, 1, 5) + pl.duration(weeks="week"),
        num_annotations=10 + pl.col("week") % 5,
        accuracy=0.9 - falls - (pl.col("week") * (pl.col("k") + 1) % 7) / 100,
        alarm=(pl.col("k") == 0) & (pl.col("week") > 50),
    )


@dataclass(frozen=True)
class Shared:
    """Who shares examples, as `pc.overlap` says it."""

    annotators: pl.DataFrame
    pairs: pl.DataFrame


def shared(strange: bool = False, n: int = 9, components: int = 2) -> Shared:
    """Annotators who share examples with the next two of their component."""
    ids = a_log(strange)["annotator"].unique().sort().head(n)
    pairs = [
        (ids[k], ids[k + step], k + 1)
        for step in (components, 2 * components)
        for k in range(n - step)
    ]
    return Shared(
        pl.DataFrame({"annotator": ids, "component": pl.Series(range(n)) % components}),
        pl.DataFrame(pairs, schema=["annotator_1", "annotator_2", "num_examples"], orient="row"),
    )


@cache
def methods() -> Any:
    return pc.compare(a_log(), ["majority_vote", "wawa"], truth=a_truth(), folds=0)


def judges(strange: bool = False) -> pl.DataFrame:
    who = a_log(strange).select(pl.col("annotator").unique().sort()).head(4)
    kappa = (pl.int_range(pl.len()) + 1) / 6
    ends = {"kappa": kappa, "kappa_low": kappa - 0.1, "kappa_high": kappa + 0.1}
    return who.with_columns(**ends, num_annotations=50, may_stand_in=kappa > 0.4)


def preferences(strange: bool = False) -> pl.DataFrame:
    score = pl.int_range(pl.len()) / 10
    ends = {"score": score, "lower": score - 1, "upper": score + 1}
    examples = a_log(strange).select(pl.col("example").unique().sort()).head(40)
    return examples.with_columns(**ends, num_comparisons=pl.lit(7))


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
    "queue": lambda strange: pc.plot.queue(a_queue(strange)),
    "calibration": lambda strange: pc.plot.calibration(a_fit(strange), a_truth(strange)),
    "confidence": lambda strange: pc.plot.confidence(a_fit(strange)),
    "drift": lambda strange: pc.plot.drift(windows(strange)),
    "drift by number": lambda strange: pc.plot.drift(
        windows(strange).with_columns(window=pl.col("window").rank("dense"))
    ),
    "overlap": lambda strange: pc.plot.overlap(shared(strange)),
    "comparison": lambda strange: pc.plot.comparison(methods()),
    "judge_agreement": lambda strange: pc.plot.judge_agreement(judges(strange)),
    "ranking": lambda strange: pc.plot.ranking(preferences(strange)),
}
"""Charts by name: of the log as it is, or of the one with strange names."""
