"""Opik: feedback scores of traces and spans, which are means over authors; who gave what is inside."""

from __future__ import annotations

import json
from typing import Any, Unpack

import polars as pl

from polars_crowd.formats.answers import TEXT, Answers, kind_of, of_cells, one, sent, translated
from polars_crowd.formats.export import ExportOptions
from polars_crowd.formats.look import Look
from polars_crowd.formats.reader import reads
from polars_crowd.formats.records import unescaped
from polars_crowd.formats.times import dated

GIVEN = {"value": TEXT, "category_name": TEXT, "source": TEXT, "last_updated_at": TEXT}
BY_AUTHOR = pl.List(pl.Struct({"author": TEXT, **GIVEN}))
SCORE = {"name": TEXT, "created_by": TEXT, "value_by_author": TEXT, **GIVEN}
KINDS = {"ui": "human", "online_scoring": "model", "sdk": "code"}


@reads("opik", "Opik", lambda look: look.has("feedback_scores"))
def read_opik(look: Look, **options: Unpack[ExportOptions]) -> Answers:
    """Read the feedback scores of Opik: JSON of traces or spans with `feedback_scores`.

    Returns
    -------
    Export
        An example is a trace or a span, a question is the name of a score; its label is the category, or the
        value where there is none. What each author gave is read, not the mean of these.

    Examples
    --------
    >>> import json, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "traces.jsonl")
    >>> by = {"ann": {"value": 1.0, "category_name": "yes", "source": "ui"},
    ...       "bob": {"value": 0.0, "category_name": "no", "source": "ui"}}
    >>> _ = path.write_text(json.dumps(
    ...     {"id": "t", "feedback_scores": [{"name": "correct", "value": 0.5, "value_by_author": by}]}
    ... ))
    >>> read_opik(path).log.select("example", "annotator", "label").collect().rows()
    [('t', 'ann', 'yes'), ('t', 'bob', 'no')]
    """
    records = look.records({"id": TEXT, "feedback_scores": pl.List(pl.Struct(SCORE))})
    scores = (
        records.scan()
        .explode("feedback_scores", empty_as_null=False)
        .drop_nulls("feedback_scores")
        .unnest("feedback_scores")
        .with_columns(given=of_cells(pl.col("value_by_author"), _by_author, BY_AUTHOR))
    )
    alone = scores.filter(pl.col("given").is_null()).with_columns(
        author=pl.when(pl.col("source") == "ui").then("created_by").otherwise("source")
    )
    by_author = (
        scores.filter(pl.col("given").is_not_null())
        .select("id", "name", "given")
        .explode("given", empty_as_null=False)
        .unnest("given")
    )
    value = pl.coalesce("category_name", "value")
    columns = ["id", "name", "author", *GIVEN]
    rows = pl.concat([by_author.select(columns), alone.select(columns)]).select(
        *dated(pl.col("last_updated_at")),
        example="id",
        annotator="author",
        annotator_kind=translated(pl.col("source"), KINDS),
        question="name",
        kind=kind_of(value),
        values=one(value),
        status=sent(value),
    )
    return Answers(rows=rows, records=(records,))


def _by_author(scores: str) -> list[dict[str, Any]] | None:
    """An object whose keys are authors, as a list."""
    return [
        {"author": author, **{name: _text((given or {}).get(name)) for name in GIVEN}}
        for author, given in unescaped(scores).items()
    ] or None


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)
