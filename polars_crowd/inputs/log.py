"""The door for annotations: any frame, file or dataset becomes a lazy log.

A **log** is a LazyFrame with the columns `example`, `annotator`, `label`, one row per annotation, and
whatever other columns travel along. Of files that say their types nothing more than a schema is read here,
and text files are looked through once; what the rows hold is checked where they are used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, Unpack, runtime_checkable

import polars as pl

from polars_crowd.errors import Advice, AnnotationError, OptionError, missing_column
from polars_crowd.inputs.anonymous import is_anonymous, numbered
from polars_crowd.inputs.frequency import repeated
from polars_crowd.inputs.missing import without_missing
from polars_crowd.inputs.numbers import MISSING, as_numbers
from polars_crowd.inputs.objects import frame_of_tuples, is_tuples
from polars_crowd.inputs.order import in_order
from polars_crowd.inputs.parts import Part, is_said, is_text, settled
from polars_crowd.inputs.sources import USUAL, open_parts, stacked
from polars_crowd.inputs.spelling import Way, normalized
from polars_crowd.inputs.text import Reading, ReadingOptions
from polars_crowd.signatures import shares

LOG_COLUMNS = ("example", "annotator", "label")


@runtime_checkable
class HoldsLog(Protocol):
    """What holds a log and can be asked for it: an `AnnotationStore`."""

    def scan_annotations(self) -> pl.LazyFrame:
        """The log, as a lazy scan."""


@shares(ReadingOptions, Reading)
def scan_annotations(
    source: Any,
    *,
    example: str = "example",
    annotator: str | None = "annotator",
    label: str = "label",
    frequency: str | None = None,
    order_by: str | None = None,
    label_type: Literal["number"] | None = None,
    decimal_comma: bool = False,
    missing: Sequence[Any] = (),
    keep_missing: bool = False,
    normalize: Sequence[Way] = (),
    **reading: Unpack[ReadingOptions],
) -> pl.LazyFrame:
    """A lazy log of annotations, with the columns `example`, `annotator`, `label`, from any source.

    Frames, Parquet and Arrow files say which types their columns have, and have them here. Text files do not:
    a column is `Int64` if every value of it, in all files together, is written as that integer is printed,
    and `String` as it is written otherwise (`007`, `+1`, `3.0`, an id of 21 digits). The same holds for
    the cells of a sheet, as they are shown without a format. In JSON a text is a text and a number a number;
    a column of both is text. An empty field, quoted or not, is null: not labelled.

    Parameters
    ----------
    source
        A LazyFrame or DataFrame; a path, a glob or a directory (hive partitions become columns) of
        text files (`.csv`, `.tsv`, `.txt`), JSON (`.json`, `.jsonl`, `.ndjson`), Parquet, Arrow IPC or
        Excel files (`.xlsx`, with the extra `excel`); an object with `__arrow_c_stream__` (a pyarrow
        Table, a pandas frame, a DuckDB relation); a list of tuples `(example, annotator, label)`, or of
        dicts; or a list of any of these, read one after another.
        Text files and JSON lines may be compressed (`log.csv.gz`, `.zst`). The files' columns may be in any
        order, and there may be others. A named index of a pandas frame is a column, and its ordered
        categories are an Enum. A column of texts and numbers, in Python, is text.
    example, annotator, label
        The names that these columns have in the source. Ids and labels may be strings, integers,
        booleans, dates, categoricals or enums. Other columns travel along. `annotator=None` if annotators are
        anonymous: they are numbered within the example, `#1`, `#2`, ..., and functions that ask who gave
        which label refuse the log. Their type says it; Parquet, Arrow IPC and stores keep that.
    frequency
        The column that says how many examples had just these labels, if an example stands for several. They
        are called `id#1`, `id#2`, ...; 0 is a pattern that was not seen.
    order_by
        A column, such as a time, in whose order the rows come, so that `duplicates="first"` and `"last"` go
        by it. It holds numbers, times, or text that writes numbers or times as `2024-05-31T09:30`.
    label_type
        `"number"` if labels are to be numbers (`Float64`): a value that is none is an error.
    decimal_comma
        Whether these numbers are written with a decimal comma, `3,5`.
    missing
        Labels that say that there is none, as they are written: `["NA", "-", -1]`. They are read like an
        empty field: the labels `1`, `2`, `NA` are integers then. The labels are gone through once, now.
    keep_missing
        Whether rows without a label are kept. They are no annotations, and methods leave them out; but
        annotators who abstain and examples without any label can be told (`check_annotations`).
    normalize
        In which ways spellings of one id or label, where these are text, become one: `"strip"` (no space
        around, one space where there are several inside; what is blank is null), `"case"` (lower case),
        `"unicode"` (the composed form NFC). After `missing`.

    Returns
    -------
    LazyFrame
        `example`, `annotator`, `label`, then the other columns. Rows whose label is null (or NaN) are
        not annotations and are dropped, unless `keep_missing`.

    Raises
    ------
    AnnotationError
        Now: a column is missing, named twice, or of a type that cannot be an id or a label; a row of a text
        file has more or fewer fields than the header (file and line are named), a quote is out of place,
        bytes are not of the encoding; a label is not a number that is to be one; an option has no effect on
        this source. What the rows hold (null ids, duplicates) is checked by the function that uses the log.

    Warns
    -----
    AnnotationWarning
        The separator was found out and is no comma; a value that is `missing` is in no row.

    Examples
    --------
    >>> import polars as pl
    >>> raw = pl.DataFrame({"task": [1, 1, 2], "worker": ["a", "b", "a"], "answer": ["x", None, "y"]})
    >>> scan_annotations(raw, example="task", annotator="worker", label="answer").collect()
    shape: (2, 3)
    ┌─────────┬───────────┬───────┐
    │ example ┆ annotator ┆ label │
    │ ---     ┆ ---       ┆ ---   │
    │ i64     ┆ str       ┆ str   │
    ╞═════════╪═══════════╪═══════╡
    │ 1       ┆ a         ┆ x     │
    │ 2       ┆ a         ┆ y     │
    └─────────┴───────────┴───────┘
    """
    names = {"example": example, "annotator": annotator, "label": label}
    rows = open_rows(source, names, Reading(**reading), missing, normalize, frequency)
    rows = with_labels_of(rows, label_type, decimal_comma)
    if not keep_missing:
        rows = rows.filter(is_labelled(rows.collect_schema()["label"]))
    return rows if order_by is None else in_order(rows, order_by)


def open_rows(
    source: Any,
    names: Mapping[str, str | None] | None = None,
    reading: Reading = USUAL,
    missing: Sequence[Any] = (),
    normalize: Sequence[Way] = (),
    frequency: str | None = None,
    *,
    sets: bool = False,
) -> pl.LazyFrame:
    """Any source as `example`, `annotator`, `label` and the other columns, rows without a label included.

    `names` says how these three are called in the source; `missing`, `normalize` and `frequency` are as for
    `scan_annotations`. Labels may be `sets` of classes.
    """
    if isinstance(source, HoldsLog):
        source = source.scan_annotations()
    given = names or {name: name for name in LOG_COLUMNS}
    said = {name: column for name, column in given.items() if column is not None}
    if is_tuples(source):
        source = frame_of_tuples(source, list(said.values()), "the log")
    parts = without_missing(open_parts(source, "the log", reading), said["label"], missing)
    named = [
        _named(frame, said, _log_of(part, parts), part.hints, sets)
        for part, frame in zip(parts, settled(parts), strict=True)
    ]
    rows = stacked(named, "the log", list(said), [part.file for part in parts])
    rows = normalized(rows, list(said), normalize)
    if frequency is not None:
        rows = repeated(rows, frequency, "the log")
    if "annotator" in said and not _are_several_anonymous(named):
        return rows
    return numbered(rows).select(*LOG_COLUMNS, pl.exclude(LOG_COLUMNS))


def _are_several_anonymous(parts: Sequence[pl.LazyFrame]) -> bool:
    """Whether the parts are logs of anonymous annotators, each with numbers of its own."""
    are = {is_anonymous(part.collect_schema()["annotator"]) for part in parts}
    if len(are) > 1:
        raise AnnotationError(
            "has anonymous annotators in one part, and known ones in another.",
            "Make them anonymous everywhere, or give the parts each for itself.",
            source="the log",
        )
    return len(parts) > 1 and are == {True}


def _log_of(part: Part, parts: list[Part]) -> str:
    """The log in errors, or its file if it has many."""
    return f"the log's file {part.file}" if len(parts) > 1 and part.file else "the log"


def with_labels_of(
    rows: pl.LazyFrame, label_type: str | None, decimal_comma: bool = False
) -> pl.LazyFrame:
    """The rows with numbers as labels, if that is asked for."""
    if label_type is None:
        if decimal_comma:
            wrong = "it is about labels that are numbers."
            raise OptionError("decimal_comma", True, wrong, NUMBERS)
        return rows
    if label_type != "number":
        raise OptionError("label_type", label_type, "it must be 'number', or None.")
    if decimal_comma and not is_text(rows.collect_schema()["label"]):
        raise OptionError("decimal_comma", True, "it has no effect: the labels are no text.")
    return as_numbers(rows, ["label"], "the log", decimal_comma, MISSING)


NUMBERS = Advice("Ask for numbers", python="label_type='number'", command="--label-type number")


def is_labelled(dtype: pl.DataType) -> pl.Expr:
    """Whether a row is an annotation: its label is neither null nor NaN."""
    return is_said("label", dtype)


def _named(
    frame: pl.LazyFrame, names: Mapping[str, str], what: str, hints: Sequence[Advice], sets: bool
) -> pl.LazyFrame:
    schema = frame.collect_schema()
    if "annotator" not in names and is_anonymous(schema.get("annotator", pl.Null())):
        frame = frame.drop("annotator")
        schema = frame.collect_schema()
    _check_names(names, schema, what, hints, sets)
    others = [c for c in schema if c not in names.values()]
    return frame.select(*(pl.col(given).alias(name) for name, given in names.items()), *others)


NAME_COLUMNS = Advice(
    "Say which columns they are",
    python="pc.scan_annotations(log, example=..., annotator=..., label=...)",
    command="--example NAME --annotator NAME --label NAME",
)


WITHOUT_ANNOTATORS = Advice(
    "If nobody knows who they are", python="annotator=None", command="--annotator -"
)


def _check_names(
    names: Mapping[str, str], schema: pl.Schema, what: str, hints: Sequence[Advice], sets: bool
) -> None:
    if len(set(names.values())) < len(names):
        raise AnnotationError(
            "example, annotator and label must be three columns, not "
            f"{', '.join(f'{name}={given!r}' for name, given in names.items())}."
        )
    if "annotator" not in names and "annotator" in schema:
        raise AnnotationError(
            "has a column 'annotator', and is to have anonymous annotators.",
            Advice(
                "Name it, or drop it",
                python="annotator='annotator'",
                command="--annotator annotator",
            ),
            source=what,
        )
    for name, given in names.items():
        if given not in schema:
            more = [WITHOUT_ANNOTATORS] if name == "annotator" else []
            raise missing_column(what, given, list(schema), NAME_COLUMNS, *more, *hints)
        if given != name and name in schema and name not in names.values():
            raise AnnotationError(
                f"has a column {name!r} beside {given!r}, which is to become {name!r}.",
                "Drop or rename one of them.",
                source=what,
            )
    for name, given in names.items():
        dtype = schema[given]
        if name == "label" and isinstance(dtype, (pl.List, pl.Array)):
            if sets:
                continue
            raise of_sets(f"the labels in column {given!r} of {what}")
        if dtype.is_nested() or dtype == pl.Object or (name != "label" and dtype.is_float()):
            raise AnnotationError(
                f"is {dtype}, which cannot be the {name}.",
                "Cast it to a string or an integer first.",
                source=what,
                column=given,
            )


def of_sets(labels: str) -> AnnotationError:
    """The error for labels that are sets of classes, where an annotation has one label."""
    return AnnotationError(
        f"{labels} are sets of classes, which this is not for.",
        Advice(
            "Sets have functions of their own, for consensus and quality, what to label next, and agreement",
            python="pc.multilabel_crowdlab, pc.multilabel_activelab, pc.multilabel_agreement and "
            "pc.agreement_by_class; a store of sets is made with multilabel=True",
            command="polars-crowd next, agreement, store create with --multilabel",
        ),
        Advice(
            "To take each whole set for one class, join it to a text",
            python="pl.col('label').list.sort().list.join('+')",
        ),
    )
