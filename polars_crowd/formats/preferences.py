"""Preferences between models: arena battles, MT-bench judgments, AlpacaEval, pairwise labels of crowd-kit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import polars as pl

from polars_crowd.errors import AnnotationError
from polars_crowd.formats.answers import NOTHING, SUBMITTED, TEXT, Answers, first_true, translated
from polars_crowd.formats.export import NO_QUESTIONS, Export, ExportOptions, every_column
from polars_crowd.formats.langsmith import FEEDBACK, GROUP, giver
from polars_crowd.formats.look import FORMATS, Format, Look
from polars_crowd.formats.reader import reader, reads
from polars_crowd.formats.records import Records, named
from polars_crowd.formats.times import (
    TIME_READ,
    TIMES_READ,
    dated,
    notes_of_times,
    utc,
    utc_of_seconds,
    with_time_read,
)

SAYS = {
    "model_a": "left",
    "model_1": "left",
    "model_b": "right",
    "model_2": "right",
    "tie": "tie",
    "tie (bothbad)": "both_bad",
    "both_bad": "both_bad",
}
TIES = ("tie", "both_bad")
BATTLE = {
    **dict.fromkeys(("question_id", "id", "model_a", "model_b", "winner", "judge", "turn"), TEXT),
    "tstamp": pl.Float64(),
    "timestamp": TEXT,
    "anony": pl.Boolean(),
    "language": TEXT,
    "conv_metadata": pl.Struct(
        {"sum_assistant_a_tokens": pl.Int64, "sum_assistant_b_tokens": pl.Int64}
    ),
}
PAIR = {
    **dict.fromkeys(("question_id", "model_1", "model_2", "g1_winner", "g2_winner"), TEXT),
    "judge": TEXT,
    "turn": TEXT,
    "tstamp": pl.Float64(),
}
SINGLE = {
    **dict.fromkeys(("question_id", "model", "judge", "turn"), TEXT),
    "score": pl.Float64(),
    "tstamp": pl.Float64(),
}
ALPACA = {
    **dict.fromkeys(("instruction", "generator_1", "generator_2", "annotator"), TEXT),
    "preference": pl.Float64(),
}
WINNERS = dict.fromkeys(
    (
        *("id", "question_id", "model_a", "model_b"),
        *("winner_model_a", "winner_model_b", "winner_tie"),
    ),
    TEXT,
)
GROUPED = {**FEEDBACK, GROUP: TEXT, "session_id": TEXT}
OF_GROUP = ["example", "key"]
COLUMNS_OF_SIDES = (*OF_GROUP, "timestamp", TIME_READ, "annotator", "annotator_kind")
TITLE = "comparisons of models"
COLUMNS = ("example", "annotator", "left", "right", "winner", "tie", "verdict", "timestamp")


@dataclass(frozen=True)
class Comparisons:
    """The comparisons in a file, of which some have no verdict."""

    title: str
    rows: pl.LazyFrame
    records: tuple[Records, ...]


def _together(
    looks: Sequence[Look], parts: Sequence[Comparisons], given: Mapping[str, Any]
) -> Export:
    """The log of those that have a verdict."""
    title = parts[0].title
    for look, part in zip(looks, parts, strict=True):
        if part.title != title:
            raise AnnotationError(
                f"{looks[0]} holds comparisons of {title}, {look} of {part.title}.",
                "Read those of each alone.",
            )
    rows = with_time_read(pl.concat([part.rows for part in parts], how="diagonal"))
    whole = every_column(rows).any().alias("is_whole")
    about = [found.sum().alias(note) for note, found in TIMES_READ.items()]
    with named([one for part in parts for one in part.records]):
        counts = (
            rows.group_by("status")
            .agg(pl.len(), whole, *about)
            .collect(engine="streaming")
            .sort("status")
        )
    there = rows.collect_schema().names()
    others = [name for name in there if name not in (*COLUMNS, "status", TIME_READ)]
    of_file = [name for name in ("example", "timestamp") if name in there]
    first = ("left", "right", "annotator", "winner", "tie", "verdict")
    sizes = counts.select("status", "len").iter_rows()
    return Export(
        format=title,
        paths=tuple(look.path for look in looks),
        question=None,
        gold=None,
        questions=NO_QUESTIONS,
        notes=tuple(notes_of_times(counts)),
        log=rows.filter(pl.col("status") == SUBMITTED).select(*first, *of_file, *others),
        left_out={status: n for status, n in sizes if status != SUBMITTED},
    )


def _is_like(look: Look) -> bool:
    return any(shape.is_like(look) for shape in SHAPES)


@reader(TITLE, _is_like, _together)
def read_comparisons(look: Look, *, annotator: str | None = None) -> Comparisons:
    """Read comparisons of models: arena, MT-bench pairs, AlpacaEval, pairwise LangSmith, crowd-kit's pairs.

    Parameters
    ----------
    path
        A file: JSON lines, a JSON array, CSV or Parquet.
    annotator
        The annotator of comparisons of which the file does not say whose they are.

    Returns
    -------
    Export
        Its `.log` has `left, right, annotator, winner, tie`, then `verdict` (`left`, `right`, `tie`,
        `both_bad`), and those of `example`, `timestamp` and others that the file has; `winner` is an id, null
        in a tie. A judge is an annotator; that of a list, `["judge", "pair-v2"]`, is called `judge|pair-v2`.
        The two games of MT-bench are two comparisons, with sides changed (`position` 1 and 2). AlpacaEval's
        preference p is the probability p - 1 that the second answer wins (`right_probability`). LangSmith's
        runs whose scores share a group are compared by these, two by two (`key`). Battles of a
        model with itself (`same_item`) and judgments without a verdict (`error`, `empty`) are left out.

    Raises
    ------
    AnnotationError
        The file holds none of these, or a record of it cannot be read.

    Examples
    --------
    >>> import json, pathlib, tempfile
    >>> import polars_crowd as pc
    >>> path = pathlib.Path(tempfile.mkdtemp(), "battles.jsonl")
    >>> battle = {"question_id": "q", "model_a": "x", "model_b": "y", "winner": "model_b", "judge": "u"}
    >>> _ = path.write_text(json.dumps(battle))
    >>> pc.formats.read_comparisons(path).log.select("left", "right", "winner", "tie").collect().rows()
    [('x', 'y', 'y', False)]
    """
    shape = next(one for one in SHAPES if one.is_like(look))
    rows = shape.rows(look)
    if "annotator" not in rows.collect_schema():
        rows = rows.with_columns(annotator=NOTHING)
    if annotator is not None:
        rows = rows.with_columns(pl.col("annotator").fill_null(annotator))
    says, is_itself = pl.col("verdict"), pl.col("left") == pl.col("right")
    settled = rows.with_columns(
        winner=pl.when(says == "left").then("left").when(says == "right").then("right"),
        tie=says.is_in(TIES),
        status=pl.when(says.is_null()).then("status").otherwise(first_true(same_item=is_itself)),
    )
    records = () if look.kind == "table" else (Records(look.path, shape.schema),)
    return Comparisons(shape.title, settled, records)


@reads("mt_bench", "MT-bench", lambda look: look.has("question_id", "model", "judge", "score"))
def read_mt_bench_scores(look: Look, **options: Unpack[ExportOptions]) -> Answers:
    """Read the judgments of single answers of MT-bench: JSON lines with a `score` each.

    Returns
    -------
    Export
        An example is an answer, `question|turn|model`; the score -1 is `unscored`.

    Examples
    --------
    >>> import json, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "single.jsonl")
    >>> _ = path.write_text(json.dumps(
    ...     {"question_id": 81, "model": "m", "judge": ["j", "v1"], "score": 7, "turn": 1}
    ... ))
    >>> read_mt_bench_scores(path).log.select("example", "annotator", "label").collect().rows()
    [('81|1|m', 'j|v1', 7.0)]
    """
    records = look.records(SINGLE)
    score = pl.col("score")
    is_scored = score >= 0
    rows = records.scan().select(
        example=pl.concat_str("question_id", "turn", "model", separator="|", ignore_nulls=True),
        annotator=_judge(),
        question=pl.lit("score"),
        kind=pl.lit("number"),
        values=pl.when(is_scored).then(pl.concat_list(score.cast(TEXT))),
        status=first_true("unscored", submitted=is_scored),
        timestamp=utc_of_seconds(pl.col("tstamp")),
        annotator_kind=pl.lit("model"),
    )
    return Answers(rows=rows, records=(records,))


# --- the shapes -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shape:
    """A shape that comparisons come in."""

    title: str
    is_like: Callable[[Look], bool]
    rows: Callable[[Look], pl.LazyFrame]
    """`left, right, verdict, status` (of rows without a verdict), and what else there is."""
    schema: Mapping[str, Any] | None = None
    """What is read of JSON."""


def _battles(look: Look) -> pl.LazyFrame:
    if look.schema:
        table = look.table().with_columns(pl.col(pl.Categorical, pl.Enum).cast(TEXT))
        there = table.collect_schema()
        missing = [
            pl.lit(None, dtype).alias(name) for name, dtype in BATTLE.items() if name not in there
        ]
        rows = table.with_columns(*missing, pl.col(pl.Int64, pl.Int32).cast(TEXT))
    else:
        rows = look.records(BATTLE).scan()
    tokens = pl.col("conv_metadata").struct
    key = pl.coalesce("question_id", "id")
    return rows.select(
        *("language", "anony"),
        *dated(
            pl.col("timestamp").cast(TEXT),
            lambda text: pl.coalesce(utc_of_seconds(pl.col("tstamp")), utc(text)),
        ),
        example=pl.concat_str(key, "turn", separator="|", ignore_nulls=True)
        if look.has("turn") and not look.has("tstamp")  # in the arena, turns are counted
        else key,
        annotator=_judge(),
        left="model_a",
        right="model_b",
        verdict=_says("winner"),
        status=pl.lit("empty"),
        tokens_left=tokens.field("sum_assistant_a_tokens"),
        tokens_right=tokens.field("sum_assistant_b_tokens"),
    ).pipe(_without_empty, look)


def _without_empty(rows: pl.LazyFrame, look: Look) -> pl.LazyFrame:
    """Only the columns that the file has."""
    source = {
        "timestamp": ("tstamp", "timestamp"),
        "language": ("language",),
        "anony": ("anony",),
        "tokens_left": ("conv_metadata",),
        "tokens_right": ("conv_metadata",),
    }
    return rows.drop(name for name, keys in source.items() if look.keys.isdisjoint(keys))


def _winners(look: Look) -> pl.LazyFrame:
    won = {
        SAYS[side]: pl.col(f"winner_{side}").is_in(["1", "1.0", "true", "True"])
        for side in ("model_a", "model_b", "tie")
    }
    verdict = first_true(NOTHING, **won)
    return (
        look.records(WINNERS)
        .scan()
        .select(
            example=pl.coalesce("id", "question_id"),
            left="model_a",
            right="model_b",
            verdict=verdict,
            status=pl.lit("empty"),
        )
    )


def _pairs(look: Look) -> pl.LazyFrame:
    """Two comparisons each: the second with sides changed, its winner mapped back to the models already."""
    rows = look.records(PAIR).scan()
    other = {"left": "right", "right": "left", "tie": "tie"}
    games = []
    for game, (left, right) in enumerate((("model_1", "model_2"), ("model_2", "model_1")), start=1):
        says = _says(f"g{game}_winner")
        games.append(
            rows.select(
                example=pl.concat_str("question_id", "turn", separator="|", ignore_nulls=True),
                annotator=_judge(),
                left=left,
                right=right,
                verdict=says if game == 1 else translated(says, other),
                status=pl.lit("error"),
                timestamp=utc_of_seconds(pl.col("tstamp")),
                position=pl.lit(game, pl.Int8),
            )
        )
    return pl.concat(games)


def _alpaca(look: Look) -> pl.LazyFrame:
    preference = pl.col("preference").fill_nan(None)
    right = pl.when(preference == 0).then(0.5).otherwise(preference - 1)
    return (
        look.records(ALPACA)
        .scan()
        .select(
            "annotator",
            example="instruction",
            left="generator_1",
            right="generator_2",
            verdict=first_true(NOTHING, left=right < 0.5, right=right > 0.5, tie=right == 0.5),
            status=pl.lit("error"),
            right_probability=right,
        )
    )


def _crowd_kit(look: Look) -> pl.LazyFrame:
    label = pl.col("label")
    won = {side: label == pl.col(side) for side in ("left", "right")}
    return look.table().select(
        "left",
        "right",
        annotator="worker",
        verdict=first_true(NOTHING, **won),
        status=pl.lit("empty"),
    )


def _langsmith(look: Look) -> pl.LazyFrame:
    """The pairs of runs whose scores share a group; a run is called by its experiment."""
    sides = (
        look.records(GROUPED)
        .scan()
        .with_row_index("number")
        .select(
            "number",
            "key",
            *dated(pl.col("created_at")),
            *giver(),
            example=GROUP,
            left=pl.coalesce("session_id", "run_id"),
            score=pl.col("score").cast(pl.Float64, strict=False),
        )
    )
    pairs = sides.join(sides.select(*OF_GROUP, "number", "left", "score"), on=OF_GROUP)
    says = pl.col("score") - pl.col("score_right")
    verdict = first_true(NOTHING, left=says > 0, right=says < 0, tie=says == 0)
    settled = (
        pairs.filter(pl.col("number") < pl.col("number_right"))
        .rename({"left_right": "right"})
        .with_columns(verdict=verdict, status=pl.lit("empty"))
    )
    is_alone = (pl.len().over(OF_GROUP) == 1) | pl.col("example").is_null()
    alone = sides.filter(is_alone).with_columns(
        right=NOTHING, verdict=NOTHING, status=pl.lit("no_comparison")
    )
    columns = [*COLUMNS_OF_SIDES, "left", "right", "verdict", "status"]
    return pl.concat([settled.select(columns), alone.select(columns)])


def _says(column: str) -> pl.Expr:
    return translated(pl.col(column), SAYS)


def _judge() -> pl.Expr:
    """The judge, whose name may be a list."""
    judge = pl.col("judge")
    listed = pl.when(judge.str.starts_with("[")).then(judge).str.json_decode(pl.List(TEXT))
    return pl.when(judge.str.starts_with("[")).then(listed.list.join("|")).otherwise(judge)


SHAPES = (
    Shape("Arena", lambda look: look.has("model_a", "model_b", "winner"), _battles, BATTLE),
    Shape(
        "Arena", lambda look: look.has("model_a", "winner_model_a", "winner_tie"), _winners, WINNERS
    ),
    Shape("MT-bench", lambda look: look.has("model_1", "g1_winner", "g2_winner"), _pairs, PAIR),
    Shape(
        "AlpacaEval",
        lambda look: look.has("generator_1", "generator_2", "preference"),
        _alpaca,
        ALPACA,
    ),
    Shape(
        "LangSmith",
        lambda look: look.has("run_id", "feedback_source") and look.first.get(GROUP) is not None,
        _langsmith,
        GROUPED,
    ),
    Shape("crowd-kit", lambda look: look.has("worker", "left", "right", "label"), _crowd_kit),
)
FORMATS["comparisons"] = Format("comparisons", TITLE, _is_like, read_comparisons)
