"""Prodigy: the JSON lines of `prodigy db-out`, an answer each."""

from __future__ import annotations

from typing import Unpack
from urllib.parse import unquote

import polars as pl

from polars_crowd.formats.answers import TEXT, Answers, first_true, translated
from polars_crowd.formats.export import ExportOptions
from polars_crowd.formats.look import Look
from polars_crowd.formats.reader import reads
from polars_crowd.formats.records import Records
from polars_crowd.formats.times import utc_of_seconds

VERSION = {
    "_session_id": TEXT,
    "_view_id": TEXT,
    "accept": pl.List(TEXT),
    "label": TEXT,
    "answer": TEXT,
    "sessions": pl.List(TEXT),
}
RECORD = {
    "_input_hash": TEXT,
    "_task_hash": TEXT,
    "_view_id": TEXT,
    "view_id": TEXT,
    "_annotator_id": TEXT,
    "_session_id": TEXT,
    "_timestamp": pl.Float64(),
    "answer": TEXT,
    "accept": pl.List(TEXT),
    "label": TEXT,
    "text": TEXT,
    "config": pl.Struct({"choice_style": TEXT}),
    "versions": pl.List(pl.Struct(VERSION)),
}
CHOICE, REVIEW = "choice", "review"
UNNAMED = (
    "Some sessions have no name and are called by the time at which their server started, so that they may "
    "be the same person."
)
STARTED = r"^\d{4}-\d{2}-\d{2}_\d{2}-\d{2}-\d{2}$"
"""A session without a name is called by the time at which its server started."""


@reads("prodigy", "Prodigy", lambda look: look.has("_input_hash", "_task_hash"))
def read_prodigy(
    look: Look,
    *,
    example: str = "_input_hash",
    dataset: str | None = None,
    **options: Unpack[ExportOptions],
) -> Answers:
    """Read the answers of Prodigy, as `prodigy db-out` writes them.

    Parameters
    ----------
    example
        What an example is: the input (`_input_hash`), or another key of the records, such as `meta.id`.
    dataset
        The dataset's name, which is taken away from the names of sessions: `mails-ann` becomes `ann`.

    Returns
    -------
    Export
        In the choice view a question is called `choice`, and asks for several classes if any answer has
        several or the style says so; in views with a `label` the question is that label, answered by `accept`
        or `reject`. `ignore` is `skipped`, and `reject` in the choice view is `refused`. The adjudicated
        answers of `review` are gold, and the versions beside them are the answers of the others.
        Several answers of one annotator: the last counts.

    Examples
    --------
    >>> import json, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "out.jsonl")
    >>> record = {"_input_hash": 7, "_task_hash": 8, "_view_id": "choice", "accept": ["A"],
    ...           "answer": "accept", "_timestamp": 1772615001, "_annotator_id": "mails-ann"}
    >>> _ = path.write_text(json.dumps(record))
    >>> read_prodigy(path, dataset="mails").log.collect().row(0)[:3]
    ('7', 'ann', 'A')
    """
    inside = example.partition(".")[2]
    outside = example.partition(".")[0]
    schema = {**RECORD, outside: pl.Struct({inside: TEXT}) if inside else TEXT}
    records = Records(look.path, schema)
    key = pl.col(outside)
    rows = records.scan().with_columns(
        example=key.struct.field(inside) if inside else key,
        timestamp=utc_of_seconds(pl.col("_timestamp")),
    )
    reviewed = look.first.get("_view_id") == REVIEW
    answers = (_of_review(rows) if reviewed else _of_annotators(rows)).with_columns(
        annotator=_names(pl.col("annotator"), dataset)
    )
    return Answers(
        rows=answers,
        gold=answers.filter("gold") if reviewed else None,
        records=(records,),
        notices={UNNAMED: pl.col("annotator").str.contains(STARTED)},
    )


def _of_annotators(rows: pl.LazyFrame) -> pl.LazyFrame:
    """A row a record."""
    return rows.select(*NAMES, *_answer(), annotator=pl.coalesce("_annotator_id", "_session_id"))


def _of_review(rows: pl.LazyFrame) -> pl.LazyFrame:
    """The versions of everybody who gave them, and what was decided."""
    versions = (
        rows.select("example", "text", "config", "versions")
        .explode("versions", empty_as_null=False)
        .drop_nulls("versions")
        .unnest("versions")
        .with_columns(annotator=_givers())
        .explode("annotator", empty_as_null=False)
        .select("example", "text", *_answer(), "annotator", gold=False)
    )
    decided = rows.with_columns(_view_id=pl.col("view_id")).select(
        *NAMES, *_answer(), annotator=pl.coalesce("_annotator_id", "_session_id"), gold=True
    )
    return pl.concat([versions, decided], how="diagonal")


def _givers() -> pl.Expr:
    """Who gave a version; a null where it does not say."""
    alone = pl.concat_list(pl.col("_session_id"))
    return pl.when(pl.col("sessions").list.len() > 0).then("sessions").otherwise(alone)


NAMES = ("example", "text", "timestamp")


def _answer() -> list[pl.Expr]:
    """The question of a record, and what was answered."""
    of_choice, of_label = pl.col("_view_id") == CHOICE, pl.col("label").is_not_null()
    answer = pl.col("answer")
    style = pl.col("config").struct.field("choice_style")
    values = (
        pl.when(answer == "ignore")
        .then(None)
        .when(of_choice)
        .then(pl.when(answer == "accept").then("accept"))
        .otherwise(pl.concat_list(answer))
    )
    of_style = translated(style, {"single": "class", "multiple": "set"}, "choice")
    kind = first_true(of_style, **{"class": ~of_choice})
    chosen = (pl.col("accept").list.len() > 0) | (style == "multiple")
    status = first_true(
        no_classification=~of_choice & ~of_label,
        skipped=answer == "ignore",
        refused=of_choice & (answer == "reject"),
        empty=of_choice & ~chosen.fill_null(value=False),
    )
    question = pl.when(of_choice).then(pl.lit(CHOICE)).otherwise("label")
    return [
        values.alias("values"),
        kind.alias("kind"),
        status.alias("status"),
        question.alias("question"),
    ]


def _names(name: pl.Expr, dataset: str | None) -> pl.Expr:
    """Names as they were given: they are escaped as in addresses, and begin with the dataset's."""
    escaped = name.str.contains("%[0-9A-Fa-f]{2}")
    plain = (
        pl.when(escaped)
        .then(name.map_batches(_unquoted, return_dtype=TEXT, is_elementwise=True))
        .otherwise(name)
    )
    return plain if dataset is None else plain.str.strip_prefix(f"{dataset}-")


def _unquoted(names: pl.Series) -> pl.Series:
    """The names without escapes; each is looked at once."""
    once = names.unique().drop_nulls()
    return names.replace_strict(once, once.map_elements(unquote, return_dtype=TEXT), default=None)
