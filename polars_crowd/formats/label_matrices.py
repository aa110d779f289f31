"""Matrices: cleanlab's wide frames, label matrices of Snorkel, WRENCH, and the answers of peerannot.

Rows are examples and columns annotators, or objects in objects. An annotator may be a labelling function,
which abstains with -1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Unpack

import polars as pl

from polars_crowd.errors import AnnotationError, shown
from polars_crowd.formats.answers import Answers, answers_of, blank_as_null, first_true
from polars_crowd.formats.export import ExportOptions
from polars_crowd.formats.look import Look, anything
from polars_crowd.formats.reader import reads

LABEL = "label"
WHOLE = r"^-?\d+(\.0+)?$"
ABSTAINED = "-1"


def _is_wide(look: Look) -> bool:
    if look.kind != "table" or "" not in look.keys or len(look.keys) < 3:
        return False
    return _all_match(look, WHOLE)


def _is_matrix(look: Look) -> bool:
    if _inside(look).keys() >= {"weak_labels"}:
        return True
    return look.kind == "table" and len(look.keys) > 2 and _all_match(look, WHOLE, ABSTAINED)


def _is_answers(look: Look) -> bool:
    labels = _inside(look).values()
    return (
        bool(labels)
        and all(isinstance(label, (int, str)) for label in labels)
        and not (_inside(look).keys() & {"text", "annotations", "weak_labels"})
    )


@reads("cleanlab", "cleanlab", _is_wide, accepts=anything, is_plain=True)
def read_cleanlab(look: Look, **options: Unpack[ExportOptions]) -> Answers:
    """Read a wide table as cleanlab takes it: a row an example, a column an annotator.

    Returns
    -------
    Export
        Classes are integers as they were before gaps made them `1.0`. The first column is the example.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "wide.csv")
    >>> _ = path.write_text(",ann,bob\\n0,1.0,\\n1,0.0,0.0\\n")
    >>> read_cleanlab(path).log.select("example", "annotator", "label").collect().rows()
    [('0', 'ann', '1'), ('1', 'ann', '0'), ('1', 'bob', '0')]
    """
    rows = _long(look).filter(pl.col("cell").is_not_null())
    answers = rows.select(*_columns(), values=pl.concat_list("cell"))
    return Answers(rows=answers)


@reads("label_matrix", "label matrices", _is_matrix, accepts=anything, is_plain=True)
def read_label_matrix(look: Look, **options: Unpack[ExportOptions]) -> Answers:
    """Read a label matrix of Snorkel (a row an example, a column a labelling function), or WRENCH's JSON.

    Returns
    -------
    Export
        -1 is `abstained`. The labels of WRENCH are gold.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "matrix.csv")
    >>> _ = path.write_text("x1,lf_a,lf_b\\nd1,1,-1\\nd2,0,0\\n")
    >>> read_label_matrix(path).left_out
    {'abstained': 1}
    """
    gold = None
    if look.kind == "object":
        found = look.first
        cells = answers_of(_weak_labels(found))
        gold = answers_of(
            _row(example, None, said["label"]) for example, said in found.items() if "label" in said
        )
    else:
        cells = _long(look).select(*_columns(), values=pl.concat_list("cell"))
    cell = pl.col("values").list.first()
    rows = cells.with_columns(
        status=first_true(abstained=cell == ABSTAINED, empty=cell.is_null()),
        values=pl.when(cell != ABSTAINED).then("values"),
        annotator_kind=pl.lit("code"),
    )
    return Answers(rows=rows, gold=gold)


@reads("peerannot", "peerannot", _is_answers, is_plain=True)
def read_peerannot(
    look: Look, *, workers_first: bool = False, **options: Unpack[ExportOptions]
) -> Answers:
    """Read the `answers.json` of peerannot: `{task: {worker: label}}`.

    Parameters
    ----------
    workers_first
        Whether the file is `{worker: {task: label}}`, which cannot be told.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "answers.json")
    >>> _ = path.write_text('{"0": {"4": 1, "9": 1}}')
    >>> read_peerannot(path).log.select("example", "annotator", "label").collect().rows()
    [('0', '4', '1'), ('0', '9', '1')]
    """
    found = look.first
    rows = (
        _row(inner if workers_first else outer, outer if workers_first else inner, label)
        for outer, labels in found.items()
        for inner, label in labels.items()
    )
    return Answers(rows=answers_of(rows))


@reads("lewidi", "Le-Wi-Di", lambda look: _inside(look).keys() >= {"annotators", "annotations"})
def read_lewidi(look: Look, **options: Unpack[ExportOptions]) -> Answers:
    """Read a dataset of the shared tasks on learning with disagreements (Le-Wi-Di): JSON by example.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "train.json")
    >>> _ = path.write_text('{"1": {"text": "hi", "annotators": "A1,A3", "annotations": "0,1"}}')
    >>> read_lewidi(path).log.select("example", "annotator", "label").collect().rows()
    [('1', 'A1', '0'), ('1', 'A3', '1')]
    """
    found = look.first
    rows = (
        {**_row(example, annotator, label), "text": _text_of(said)}
        for example, said in found.items()
        for annotator, label in _annotations(example, said)
    )
    return Answers(rows=answers_of(rows))


# --- rows -----------------------------------------------------------------------------------------


def _long(look: Look) -> pl.LazyFrame:
    """A row a cell; whole numbers without the `.0` that gaps give them."""
    table = look.table()
    example, *annotators = table.collect_schema().names()
    if not annotators:
        raise AnnotationError(f"{look.path} is no matrix: it is {look.seen()}.")
    cell = blank_as_null(pl.col("cell").cast(pl.String), "NaN", "nan")
    whole = pl.when(cell.str.contains(WHOLE)).then(cell.str.replace(r"\.0+$", "")).otherwise(cell)
    return (
        table.with_columns(pl.col(example).cast(pl.String).alias("example"))
        .unpivot(annotators, index="example", variable_name="annotator", value_name="cell")
        .with_columns(cell=whole)
    )


def _columns() -> list[pl.Expr]:
    named = {"question": LABEL, "kind": "class"}
    return [pl.col("example", "annotator"), *(pl.lit(v).alias(name) for name, v in named.items())]


def _row(example: Any, annotator: Any, label: Any) -> dict[str, Any]:
    return {
        "example": str(example),
        "annotator": None if annotator is None else str(annotator),
        "question": LABEL,
        "kind": "class",
        "values": None if label is None else [str(label)],
    }


def _weak_labels(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for example, said in found.items():
        for number, label in enumerate(said["weak_labels"]):
            yield _row(example, f"lf_{number}", label)


def _annotations(example: str, said: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Who gave which label: two lists as texts, or an object."""
    given = said["annotations"]
    if isinstance(given, dict):
        yield from given.items()
        return
    annotators, labels = (
        [one.strip() for one in listed.split(",")] for listed in (said["annotators"], given)
    )
    if len(annotators) != len(labels):
        raise AnnotationError(
            f"example {example!r} has {len(annotators)} annotators and {len(labels)} annotations: "
            f"{shown(annotators)} and {shown(labels)}."
        )
    yield from zip(annotators, labels, strict=True)


def _text_of(said: dict[str, Any]) -> str | None:
    text = said.get("text")
    return text if isinstance(text, str) else None


# --- how they look ----------------------------------------------------------------------------------


def _inside(look: Look) -> dict[str, Any]:
    """The first value of a JSON object, if it is an object too."""
    first = next(iter(look.first.values()), None) if look.kind == "object" else None
    return first if isinstance(first, dict) else {}


def _all_match(look: Look, pattern: str, among: str | None = None) -> bool:
    """Whether all cells but those of the first column match, and one is `among` them."""
    if any(dtype.is_nested() for dtype in look.schema.values()):
        return False
    head = look.first_rows.select(pl.all().cast(pl.String, strict=False))
    cells = head.unpivot(head.columns[1:])["value"].drop_nulls()
    return bool(cells.str.contains(f"{pattern}|^(NaN|nan)$").all()) and (
        among is None or among in cells
    )
