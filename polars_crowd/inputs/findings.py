"""What is wrong with a log, and what is legal but worth knowing, as a frame.

The log is gone through once: annotations are counted by (annotator, label), which are few, and by example,
and hashes of (example, annotator) are sorted for duplicates. All else is seen in these counts; rows are
looked up to show them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Unpack

import polars as pl

from polars_crowd.errors import SHOWN, Advice, Advised, Words, counted, shown_value
from polars_crowd.inputs.anonymous import is_anonymous
from polars_crowd.inputs.checks import (
    CHOOSE_DUPLICATES,
    drop_nulls,
    no_annotations,
    repeats,
    single_annotations,
    suspect_pairs,
)
from polars_crowd.inputs.log import open_rows, with_labels_of
from polars_crowd.inputs.pred_probs import class_names
from polars_crowd.inputs.spelling import Way
from polars_crowd.inputs.suspicions import Finding, Severity, ids_alike, suspicions
from polars_crowd.inputs.text import Reading, ReadingOptions
from polars_crowd.signatures import shares

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
FINDINGS: dict[str, pl.DataType] = {
    "severity": pl.String(),
    "what": pl.String(),
    "column": pl.String(),
    "count": pl.Int64(),
    "shown": pl.List(pl.String),
    "advice": pl.String(),
}


@shares(ReadingOptions, Reading)
def check_annotations(
    log: Any,
    *,
    example: str = "example",
    annotator: str | None = "annotator",
    label: str = "label",
    classes: Sequence[Any] | None = None,
    label_type: Literal["number"] | None = None,
    decimal_comma: bool = False,
    missing: Sequence[Any] = (),
    normalize: Sequence[Way] = (),
    **reading: Unpack[ReadingOptions],
) -> pl.DataFrame:
    """What is wrong with a log, and what is legal but worth knowing, one row per finding.

    Parameters
    ----------
    log
        The annotations: whatever `scan_annotations` takes; or an `AnnotationStore`.
    example, annotator, label
        The names that these columns have in the log.
    classes
        The classes that a label may have, if they are known; an Enum label brings its own.
    label_type, decimal_comma, missing, normalize
        As for `scan_annotations`.

    Returns
    -------
    DataFrame
        `severity`: `"error"` for what consensus methods refuse, `"warning"` for what is likely not meant,
        `"note"` for the rest; `what`; `column`; `count` of rows, examples, annotators, (example, annotator)
        pairs or labels; `shown`, up to five of them; `advice`. Errors come first; an impeccable log gives no
        rows.

        Errors: no annotations, null examples, null annotators, duplicate annotations, labels outside the
        classes, every example annotated once. Warnings: labels that look like missing values, spellings of
        one label, example or annotator, numbers taken for classes, more classes than anyone chooses from,
        examples without any label. Notes: rows without a label, annotators who abstain, examples that some
        annotators skip, labels chosen once, examples with one annotation, annotators who share no example
        with anyone, annotators who always give one label, classes never chosen, only one class chosen.

    Raises
    ------
    AnnotationError
        A column is missing, or the log cannot be read; see `scan_annotations`.

    Examples
    --------
    >>> import polars as pl
    >>> log = pl.DataFrame({
    ...     "example": [1, 1, 2, 2, 3],
    ...     "annotator": ["a", "b", "a", "b", "c"],
    ...     "label": ["x", "N/A", "y", "y", "x"],
    ... })
    >>> check_annotations(log).select("severity", "what", "count").rows()
    [('warning', 'labels that look like missing values', 1), ('note', 'examples with one annotation', 1),
     ('note', 'annotators without overlap', 1), ('note', 'labels chosen once', 1)]
    """
    names = {"example": example, "annotator": annotator, "label": label}
    rows = open_rows(log, names, Reading(**reading), missing, normalize)
    rows = with_labels_of(rows, label_type, decimal_comma)
    return as_frame(findings_of(rows, classes, label_type), "python", names)


def findings_of(
    rows: pl.LazyFrame, classes: Sequence[Any] | None, label_type: str | None = None
) -> list[Finding]:
    """The findings about `example`, `annotator`, `label`, errors first."""
    log = Log.counted(rows, classes, are_numbers=label_type == "number")
    found = [
        *_of_rows(log),
        *_of_examples(log),
        *(() if log.is_anonymous else _of_annotators(log)),
        *_of_labels(log),
    ]
    return errors_first(f for f in found if f.count)


def errors_first(found: Iterable[Finding]) -> list[Finding]:
    return sorted(found, key=lambda f: SEVERITIES.index(f.severity))


def as_frame(found: Sequence[Finding], words: Words, names: Mapping[str, Any]) -> pl.DataFrame:
    """Findings as a frame: advice in the words of Python or of the command, columns by the log's names."""
    columns = {f.column: ", ".join(names.get(c) or c for c in f.column.split(", ")) for f in found}
    rows = [
        {
            "severity": f.severity,
            "what": f.what,
            "column": columns[f.column],
            "count": f.count,
            "shown": list(f.shown[:SHOWN]),
            "advice": " ".join(_said(advice, words) for advice in f.advice),
        }
        for f in found
    ]
    return pl.DataFrame(rows, schema=FINDINGS)


def _said(advice: Advice | Advised | str, words: Words) -> str:
    text = advice if isinstance(advice, str) else advice.said(words)
    return text[:1].upper() + text[1:]


# --- what is counted ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Log:
    """A log, and what was counted in it."""

    rows: pl.LazyFrame
    """`example`, `annotator`, `label`; null where there is none."""
    cells: pl.DataFrame
    """`annotator`, `label`, `rows`."""
    examples: pl.DataFrame
    """`example`, `rows`, `annotations`."""
    suspects: int
    """Pairs of (example, annotator) whose hashes occur twice."""
    declared: Sequence[Any] | None
    """The classes, if they are known."""
    are_numbers: bool
    """Whether labels are meant to be numbers, not classes."""

    @classmethod
    def counted(
        cls, rows: pl.LazyFrame, classes: Sequence[Any] | None, *, are_numbers: bool = False
    ) -> Log:
        """One scan of the log."""
        dtype = rows.collect_schema()["label"]
        label = pl.col("label").fill_nan(None) if dtype.is_float() else pl.col("label")
        rows = rows.select("example", "annotator", label)
        cells, examples, suspects = pl.collect_all(
            [
                rows.group_by("annotator", "label").agg(rows=pl.len().cast(pl.Int64)),
                rows.group_by("example").agg(
                    rows=pl.len(), annotations=pl.col("label").is_not_null().sum()
                ),
                suspect_pairs(rows.filter(pl.col("label").is_not_null())),
            ]
        )
        if classes is None and isinstance(dtype, pl.Enum):
            classes = dtype.categories.to_list()
        return cls(rows, cells, examples, int(suspects.item()), classes, are_numbers)

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody knows who the annotators are."""
        return is_anonymous(self.cells.schema["annotator"])

    @property
    def annotations(self) -> pl.LazyFrame:
        """The rows with a label."""
        return self.rows.filter(pl.col("label").is_not_null())

    @cached_property
    def labels(self) -> pl.DataFrame:
        """`label`, `annotations`, and one of its annotators: a row per label that is chosen."""
        chosen = self.cells.lazy().drop_nulls("label").group_by("label")
        sums = chosen.agg(annotations=pl.col("rows").sum(), annotator=pl.col("annotator").first())
        return sums.sort("label").collect()

    @cached_property
    def annotators(self) -> pl.DataFrame:
        """`annotator`, `rows`, `annotations`, `labels` (how many different ones)."""
        has_label = pl.col("label").is_not_null()
        of_each = self.cells.lazy().drop_nulls("annotator").group_by("annotator")
        sums = of_each.agg(
            rows=pl.col("rows").sum(),
            annotations=pl.col("rows").filter(has_label).sum(),
            labels=has_label.sum(),
        )
        return sums.sort("annotator").collect()

    def examples_where(self, condition: pl.Expr) -> pl.DataFrame:
        """The counts of some examples that have an id."""
        return self.examples.lazy().filter(condition).drop_nulls("example").collect()


def _first(column: pl.Series) -> list[str]:
    """The first values in order."""
    return [str(value) for value in column.bottom_k(SHOWN).sort()]


def _listed(severity: Severity, what: str, column: str, values: pl.Series, *advice: Any) -> Finding:
    """A finding about distinct values."""
    return Finding(severity, what, column, len(values), _first(values), advice)


def _counts_of(frame: pl.DataFrame, by: str, part: pl.Expr) -> list[str]:
    """Of the ids with the largest parts, how many of their rows that is."""
    largest = frame.sort(part, by, descending=[True, False]).head(SHOWN)
    rows = largest.select(by, part.alias("part"), "rows").rows()
    return [f"{value}: {n:,} of {counted(total, 'row')}" for value, n, total in rows]


# --- the findings ---------------------------------------------------------------------------------


def _of_rows(log: Log) -> Iterator[Finding]:
    """Rows without a label or an id, and rows that are there twice."""
    if log.labels.is_empty():
        yield Finding("error", "no annotations", "label", 1, [], [no_annotations()])
    for column, counts in (("example", log.examples), ("annotator", log.cells)):
        null = counts.filter(pl.col(column).is_null())
        count = int(null["annotations" if column == "example" else "rows"].sum())
        if column == "annotator":
            count = int(null.drop_nulls("label")["rows"].sum())
        if count:
            rows = log.annotations.filter(pl.col(column).is_null()).head(SHOWN).collect()
            shown = [str(row) for row in rows.rows()]
            yield Finding("error", f"null {column}s", column, count, shown, [drop_nulls(column)])
    if log.suspects:
        yield _duplicates(log)
    unlabelled = int(log.cells.filter(pl.col("label").is_null())["rows"].sum())
    if unlabelled:
        rows = log.rows.filter(pl.col("label").is_null()).head(SHOWN).collect()
        shown = [str(row) for row in rows.rows()]
        advice = "They are no annotations, and are left out."
        yield Finding("note", "rows without a label", "label", unlabelled, shown, [advice])


DUPLICATES = "duplicate annotations"


def _duplicates(log: Log) -> Finding:
    twice = repeats(log.annotations.drop_nulls())
    shown = [f"{e}, {a}: {n} rows" for e, a, n, _ in twice.head(SHOWN).rows()]
    return Finding(
        "error", DUPLICATES, "example, annotator", twice.height, shown, [CHOOSE_DUPLICATES]
    )


def _of_examples(log: Log) -> Iterator[Finding]:
    """How many annotators an example has, and whether some of them gave no label."""
    annotations, rows = pl.col("annotations"), pl.col("rows")
    single = log.examples_where(annotations == 1)["example"]
    annotated = int((log.examples["annotations"] > 0).sum())
    if len(single) and len(single) == annotated:
        what = "every example has one annotation"
        yield _listed("error", what, "example", single, single_annotations(annotated))
    else:
        advice = "Their labels are not checked by a second annotator."
        yield _listed("note", "examples with one annotation", "example", single, advice)
    none = log.examples_where(annotations == 0)["example"]
    if annotated:
        advice = "No label, no consensus: they are left out of every result."
        yield _listed("warning", "examples without any label", "example", none, advice)
    some = log.examples_where((annotations > 0) & (annotations < rows))
    shown = _counts_of(some, "example", rows - annotations)
    what, advice = "examples that some annotators skip", "What is skipped may be hard, or unclear."
    yield Finding("note", what, "example", some.height, shown, [advice])
    yield from ids_alike(log.examples["example"].drop_nulls(), "example")


def _of_annotators(log: Log) -> Iterator[Finding]:
    """Whose annotations say little, or are not there."""
    abstained = pl.col("rows") - pl.col("annotations")
    silent = log.annotators.filter(abstained > 0)
    shown = _counts_of(silent, "annotator", abstained)
    what, advice = "annotators who abstain", "Who skips what is hard looks better than they are."
    yield Finding("note", what, "annotator", silent.height, shown, [advice])
    advice = "They share no example with anyone, so that their skill is a guess."
    yield _listed("note", "annotators without overlap", "annotator", _without_overlap(log), advice)
    one = (pl.col("labels") == 1) & (pl.col("annotations") > 1)
    advice = (
        "They gave the same label to all of their two or more examples; they may not be looking."
    )
    same = log.annotators.filter(one)["annotator"]
    yield _listed("note", "annotators who give one label", "annotator", same, advice)
    yield from ids_alike(log.annotators["annotator"], "annotator")


def _without_overlap(log: Log) -> pl.Series:
    """The annotators whose every example has one annotation; none where that is so of all examples."""
    single = log.examples.filter(pl.col("annotations") == 1).select("example")
    annotated = int((log.examples["annotations"] > 0).sum())
    none = log.annotators.clear()["annotator"]
    if single.is_empty() or single.height == annotated:
        return none
    alone = log.annotations.join(single.lazy(), on="example", how="semi", nulls_equal=True)
    counts = alone.group_by("annotator").agg(alone=pl.len()).collect()
    both = log.annotators.join(counts, on="annotator")
    return both.filter(pl.col("alone") == pl.col("annotations"))["annotator"]


def _of_labels(log: Log) -> Iterator[Finding]:
    """What is chosen that should not be, and what is not."""
    chosen = log.labels["label"]
    names = class_names(chosen)
    if log.declared is None:
        yield from suspicions(log.labels, are_numbers=log.are_numbers)
        yield from () if log.are_numbers else _chosen_once(log)
    else:
        known = class_names(log.declared)
        among, seen = set(known), set(names)
        outside = [name for name in names if name not in among]
        advice = "Add them to the classes, or filter their rows out."
        what = "labels outside the classes"
        yield Finding("error", what, "label", len(outside), outside[:SHOWN], [advice])
        never = [name for name in known if name not in seen]
        advice = "They can still be a consensus label if pred_probs favour them."
        yield Finding("note", "classes never chosen", "label", len(never), never[:SHOWN], [advice])
    if len(chosen) == 1:
        advice = "Nobody ever disagrees; there is nothing to resolve."
        yield Finding("note", "only one class is chosen", "label", 1, names, [advice])


def _chosen_once(log: Log) -> Iterator[Finding]:
    """Labels that one annotator chose once, where most are chosen more often."""
    once = log.labels.filter(pl.col("annotations") == 1)
    if 2 * once.height < log.labels.height:
        rows = once.head(SHOWN).select("label", "annotator").rows()
        shown = [f"{shown_value(label)}{_by(who, log)}" for label, who in rows]
        advice = "A slip of the pen makes a class of its own, and a scale longer."
        yield Finding("note", "labels chosen once", "label", once.height, shown, [advice])


def _by(annotator: Any, log: Log) -> str:
    """Who chose a label, if that is known."""
    return "" if log.is_anonymous else f" (by {annotator})"
