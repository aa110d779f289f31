"""Zooniverse: the classification export of a project, CSV with JSON in its cells."""

from __future__ import annotations

import json
from typing import Any, Literal, Unpack

import polars as pl

from polars_crowd.errors import AnnotationError, OptionError, shown
from polars_crowd.formats.answers import TEXT, Answers, first_true, of_cells
from polars_crowd.formats.export import ExportOptions, say
from polars_crowd.formats.look import Look
from polars_crowd.formats.reader import reads
from polars_crowd.formats.times import dated, utc

SAID = pl.List(pl.Struct({"question": TEXT, "kind": TEXT, "values": pl.List(TEXT)}))
ANONYMOUS = "not-logged-in-"
KEYS = ("classification_id", "user_name", "annotations", "subject_ids")


@reads("zooniverse", "Zooniverse", lambda look: look.has(*KEYS))
def read_zooniverse(
    look: Look,
    *,
    workflow: str | None = None,
    version: int | None = None,
    anonymous: Literal["keep", "drop", "session"] = "keep",
    **options: Unpack[ExportOptions],
) -> Answers:
    """Read the classification export of a project of the Zooniverse, CSV.

    Parameters
    ----------
    workflow
        The id of the workflow, if the file has several.
    version
        The major version of the workflow. Answers may mean something else in another: a note says if there
        are several.
    anonymous
        What becomes of visitors who were not logged in. They are called by their address, which may be
        several people's: `"keep"` takes them as they are, `"session"` calls them by their session,
        `"drop"` leaves them out and counts them.

    Returns
    -------
    Export
        An example is a subject, a question is a task. Of two classifications of a subject by one person the
        first counts. What was made before the project's launch is left out, and classifications of other
        workflows, or versions, are counted as `other_workflow`.

    Examples
    --------
    >>> import json, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "classifications.csv")
    >>> said = json.dumps([{"task": "T0", "value": "Yes"}])
    >>> pl.DataFrame({"classification_id": 1, "user_name": "ada", "workflow_id": 3, "workflow_version": 12.1,
    ...               "created_at": "2026-01-21 16:08:31 UTC", "metadata": "{}", "annotations": said,
    ...               "subject_ids": 501}).write_csv(path)
    >>> read_zooniverse(path).log.select("example", "annotator", "label").collect().rows()
    [('501', 'ada', 'Yes')]
    """
    table = look.table()
    major = pl.col("workflow_version").str.extract(r"^(\d+)").cast(pl.Int64)
    sizes = table.group_by("workflow_id", major.alias("version")).len().collect(engine="streaming")
    own = _workflow(workflow, sizes["workflow_id"].drop_nulls().unique().sort().to_list())
    is_own = pl.col("workflow_id") == own
    versions = sizes.filter(is_own)["version"].unique().sort().to_list()
    if version is not None and version not in versions:
        raise OptionError("version", version, f"the workflow has {shown(versions)}.")
    counts = is_own if version is None else is_own & (pl.col("version") == version)
    others = sizes.filter(~counts.fill_null(value=False))["len"].sum()
    table = table.filter(is_own if version is None else is_own & (major == version))
    several = version is None and len(versions) > 1
    note = (
        f"There are answers of the workflow's major versions {shown(versions)}, whose tasks may mean "
        "something else: version= takes one."
    )
    return Answers(
        rows=_answers(table, anonymous),
        notes=(note,) if several else (),
        left_out={"other_workflow": int(others)},
        counts="first",
    )


def _workflow(asked: str | None, there: list[str]) -> str:
    if asked is None and len(there) > 1:
        raise AnnotationError(f"The file has the workflows {shown(there)}.", say("workflow"))
    if asked is not None and asked not in there:
        raise OptionError("workflow", asked, f"the file has {shown(there)}.")
    return asked or next(iter(there), "")


def _answers(table: pl.LazyFrame, anonymous: str) -> pl.LazyFrame:
    """A row an answer to a task."""
    said = pl.col("metadata").str
    started, finished = (
        utc(said.json_path_match(f"$.{name}_at")) for name in ("started", "finished")
    )
    is_anonymous = pl.col("user_name").str.starts_with(ANONYMOUS)
    session = pl.when(is_anonymous).then(said.json_path_match("$.session")).otherwise("user_name")
    early = (pl.col("live") == "false").fill_null(value=False)
    return (
        table.select(
            "workflow_version",
            "user_name",
            *dated(pl.col("created_at")),
            live=said.json_path_match("$.live_project"),
            example="subject_ids",
            annotator=session if anonymous == "session" else "user_name",
            seconds=(finished - started).dt.total_microseconds() / 1e6,
            said=of_cells(pl.col("annotations"), _said, SAID),
        )
        .explode("said", empty_as_null=False)
        .unnest("said")
        .with_columns(
            status=first_true(
                before_launch=early,
                no_classification=pl.col("kind").is_null(),
                anonymous=is_anonymous & (anonymous == "drop"),
                empty=pl.col("values").is_null(),
            )
        )
        .drop("live", "user_name")
    )


def _said(cell: str) -> list[dict[str, Any]]:
    """The answers in a cell of JSON, each to a task."""
    said = json.loads(cell)
    if not isinstance(said, list):
        raise TypeError("a list of annotations was expected")
    return [_answer(**one) for one in said]


def _answer(task: str, value: Any = None, **_: Any) -> dict[str, Any]:
    """An answer: one of several, any number of them, or something that is no choice."""
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return {"question": task, "kind": "set", "values": value}
    if isinstance(value, (list, dict)):
        return {"question": task, "kind": None, "values": None}
    return {"question": task, "kind": "class", "values": None if value is None else [str(value)]}
