"""What is wrong with a log, and what is legal but worth knowing, as a frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from polars_crowd.errors import SHOWN, Advice, Advised, Words
from polars_crowd.inputs.checks import (
    CHOOSE_DUPLICATES,
    drop_nulls,
    no_annotations,
    single_annotations,
)
from polars_crowd.inputs.log import LOG_COLUMNS, is_labelled, open_rows
from polars_crowd.inputs.pred_probs import class_names

KINDS: dict[str, tuple[str, str, Advice | Advised | str]] = {
    "no annotations": ("error", "label", no_annotations()),
    "null examples": ("error", "example", drop_nulls("example")),
    "null annotators": ("error", "annotator", drop_nulls("annotator")),
    "duplicate annotations": ("error", "example, annotator", CHOOSE_DUPLICATES),
    "labels outside the classes": (
        "error",
        "label",
        "Add them to the classes, or filter their rows out.",
    ),
    "classes never chosen": (
        "note",
        "label",
        "They can still be a consensus label if pred_probs favour them.",
    ),
    "only one class is chosen": (
        "note",
        "label",
        "Nobody ever disagrees; there is nothing to resolve.",
    ),
    "every example has one annotation": ("error", "example", ""),
    "examples with one annotation": (
        "note",
        "example",
        "Their labels are not checked by a second annotator.",
    ),
    "annotators without overlap": (
        "note",
        "annotator",
        "They share no example with anyone, so that their skill is a guess.",
    ),
    "annotators who give one label": (
        "note",
        "annotator",
        "They gave the same label to all of their two or more examples; they may not be looking.",
    ),
    "rows without a label": ("note", "label", "They are not annotations and are left out."),
}
"""Of each finding its severity, its column, and the advice."""

FINDINGS: dict[str, pl.DataType] = {
    "finding": pl.String(),
    "severity": pl.String(),
    "column": pl.String(),
    "count": pl.Int64(),
    "shown": pl.List(pl.String),
    "advice": pl.String(),
}


def check_annotations(log: Any, *, classes: Sequence[Any] | None = None) -> pl.DataFrame:
    """What is wrong with a log, and what is legal but worth knowing, one row per finding.

    Parameters
    ----------
    log
        The annotations: whatever `scan_annotations` takes, with columns `example, annotator, label`; or
        an `AnnotationStore`.
    classes
        The classes that a label may have, if they are known; an Enum label brings its own.

    Returns
    -------
    DataFrame
        `finding`; `severity`, `"error"` for what consensus methods refuse and `"note"` for the rest;
        `column`; `count` of offending rows, examples, annotators or classes; `shown`, up to five of
        them; `advice`. Errors come first; an impeccable log gives no rows.

        Errors: no annotations, null examples, null annotators, duplicate annotations, labels outside
        the classes, every example annotated once. Notes: rows without a label, examples with one
        annotation, annotators who share no example with anyone, annotators who always give one label,
        classes never chosen, only one class chosen.

    Raises
    ------
    AnnotationError
        A column is missing.

    Examples
    --------
    >>> import polars as pl
    >>> log = pl.DataFrame({
    ...     "example": [1, 1, 2, 2, 3],
    ...     "annotator": ["a", "b", "a", "b", "c"],
    ...     "label": ["x", "y", "y", "y", "x"],
    ... })
    >>> check_annotations(log).select("finding", "count").rows()
    [('examples with one annotation', 1), ('annotators without overlap', 1),
     ('annotators who give one label', 1)]
    """
    return as_frame(findings_of(log, classes), "python")


def findings_of(log: Any, classes: Sequence[Any] | None) -> list[dict[str, Any]]:
    """The findings, errors first, their advice still to be said."""
    given = open_rows(log).select(LOG_COLUMNS)
    labelled = is_labelled(given.collect_schema()["label"])
    unlabelled = _of_rows("rows without a label", given.filter(~labelled))
    rows = given.filter(labelled)
    if not rows.head(1).collect().height:
        return _sorted([_finding("no annotations", 1, []), unlabelled])
    found = [*_id_findings(rows), *_label_findings(rows, classes), *_overlap_findings(rows)]
    return _sorted([*found, unlabelled])


def as_frame(found: list[dict[str, Any]], words: Words) -> pl.DataFrame:
    """Findings as a frame, with their advice in the words of Python or of the command line."""
    rows = [f | {"advice": _said(f["advice"], words)} for f in found]
    return pl.DataFrame(rows, schema=FINDINGS)


def _said(advice: Advice | Advised | str, words: Words) -> str:
    text = advice if isinstance(advice, str) else advice.said(words)
    return text[:1].upper() + text[1:]


def _sorted(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted((f for f in found if f["count"]), key=lambda f: f["severity"] != "error")


def _finding(finding: str, count: int, values: list[Any]) -> dict[str, Any]:
    severity, column, advice = KINDS[finding]
    return {
        "finding": finding,
        "severity": severity,
        "column": column,
        "count": count,
        "shown": [str(v) for v in values[:SHOWN]],
        "advice": advice,
    }


def _of_rows(finding: str, rows: pl.LazyFrame) -> dict[str, Any]:
    count = int(rows.select(pl.len()).collect().item())
    return _finding(finding, count, rows.head(SHOWN).collect().rows())


def _of_values(finding: str, frame: pl.LazyFrame) -> dict[str, Any]:
    """A finding about the distinct values of a frame's first column."""
    values = frame.select(pl.nth(0).unique().sort()).collect().to_series()
    return _finding(finding, len(values), values.head(SHOWN).to_list())


def _id_findings(rows: pl.LazyFrame) -> list[dict[str, Any]]:
    pairs = rows.drop_nulls().group_by("example", "annotator").len().filter(pl.col("len") > 1)
    twice = pairs.sort("example", "annotator").collect()
    seen = [f"{e}, {a}: {n} rows" for e, a, n in twice.head(SHOWN).rows()]
    null = [
        _of_rows(f"null {column}s", rows.filter(pl.col(column).is_null()))
        for column in ("example", "annotator")
    ]
    return [*null, _finding("duplicate annotations", twice.height, seen)]


def _label_findings(rows: pl.LazyFrame, classes: Sequence[Any] | None) -> list[dict[str, Any]]:
    dtype = rows.collect_schema()["label"]
    chosen = rows.select(pl.col("label").unique().sort()).collect()["label"]
    if classes is None and isinstance(dtype, pl.Enum):
        classes = dtype.categories.to_list()
    names = class_names(chosen)
    known = class_names(classes) if classes is not None else names
    outside = [name for name in names if name not in known]
    never = [name for name in known if name not in names]
    return [
        _finding("labels outside the classes", len(outside), outside),
        _finding("classes never chosen", len(never), never),
        _finding("only one class is chosen", int(len(chosen) == 1), chosen.to_list()),
    ]


def _overlap_findings(rows: pl.LazyFrame) -> list[dict[str, Any]]:
    shared = rows.with_columns(alone=pl.len().over("example") == 1)
    by_annotator = shared.group_by("annotator").agg(
        pl.col("alone").all(), labels=pl.col("label").n_unique(), annotations=pl.len()
    )
    by_annotator = by_annotator.collect().lazy()
    single = _of_values("examples with one annotation", shared.filter("alone"))
    n_examples = int(rows.select(pl.col("example").n_unique()).collect().item())
    if single["count"] == n_examples:
        every = _finding("every example has one annotation", n_examples, single["shown"])
        return [every | {"advice": single_annotations(n_examples)}]
    one_label = (pl.col("labels") == 1) & (pl.col("annotations") > 1)
    return [
        single,
        _of_values("annotators without overlap", by_annotator.filter("alone")),
        _of_values("annotators who give one label", by_annotator.filter(one_label)),
    ]
