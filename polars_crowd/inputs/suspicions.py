"""What labels may be that was not meant: missing values, spellings of one class, numbers, another column.

All of it is seen in the distinct labels and how often each is chosen, which every method has at hand. Classes
that are declared (`classes=`, an Enum, the columns of pred_probs) are what was meant.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from polars_crowd.errors import (
    SHOWN,
    Advice,
    Advised,
    AnnotationWarning,
    counted,
    shown_value,
    warn_again,
)
from polars_crowd.inputs.numbers import number
from polars_crowd.inputs.parts import is_text, written_as_integer
from polars_crowd.inputs.spelling import WAYS, alike, spelled

Severity = Literal["error", "warning", "note"]
PLACEHOLDERS = ["", "-", "--", "?", "n/a", "#n/a", "na", "<na>", "nan", "none", "null", "nil"]
"""Texts that stand where there is no label, in lower case and without space around them; beside a plus a
minus is none."""
CODES = (-999, -99, -9, -1, 99, 999)
"""Numbers that stand there, beside a scale."""
MANY = 100
"""More classes than a person chooses from, if most of them are chosen once or twice."""
MOST_CLASSES = 1_000
"""More classes than methods with a confusion matrix per annotator take, unless they are told."""
DECLARE = Advice("If they are classes, declare all", "classes=[...]", "--classes A,B,C")
NUMBERS = Advice(
    "If they are numbers, take methods and levels for numbers",
    python="pc.median_truth(log), pc.gaussian_truth(log), pc.agreement(log, level='interval')",
    command="--method gaussian, --level interval",
)
LABEL_COLUMN = Advice(
    "Is this the label column? If not, name it",
    python="pc.scan_annotations(log, label=...)",
    command="--label NAME",
)


@dataclass(frozen=True)
class Finding:
    """Something about a log that is wrong, or that is worth knowing."""

    severity: Severity
    what: str
    column: str
    count: int
    shown: Sequence[str]
    """The first of what is counted."""
    advice: Sequence[Advice | Advised | str] = ()


def values_shown(shown: Sequence[str], count: int) -> str:
    """Values that are shown of so many, and how many more there are.

    >>> values_shown(["a", "b"], 4)
    'a; b; ... (2 more)'
    """
    more = count - len(shown)
    return "; ".join([*shown, f"... ({more:,} more)"] if shown and more > 0 else shown)


def warn_of_labels(labels: pl.DataFrame, *, are_numbers: bool = False) -> list[str]:
    """One warning where labels may be what was not meant, and what that is. They are as for `suspicions`."""
    found = [*suspicions(labels, are_numbers=are_numbers)]
    if found:
        said = ". ".join(
            f"{f.what[:1].upper()}{f.what[1:]}: {values_shown(f.shown, f.count)}" for f in found
        )
        advice = dict.fromkeys(a for f in found for a in f.advice if not isinstance(a, Advised))
        message = f"may not hold what is meant. {said}."
        warn_again(AnnotationWarning(message, *advice, source="the log", column="label"))
    return [f.what for f in found]


def suspicions(labels: pl.DataFrame, *, are_numbers: bool = False) -> Iterator[Finding]:
    """What is suspicious about the distinct labels: `label`, `annotations`, a row each.

    `are_numbers`: labels are meant to be numbers, not classes.
    """
    seen = _looked_at(labels)
    if seen["missing"].any():
        missing = seen.filter("missing").sort("annotations", descending=True, maintain_order=True)
        yield _found("labels that look like missing values", missing, *_leave_out(missing))
    groups = alike(labels["label"])
    if groups:
        together = [_spellings(group, labels) for group in groups[:SHOWN]]
        what = "spellings of one label"
        yield Finding("warning", what, "label", len(groups), together, [_one_spelling(groups)])
    if not are_numbers:
        yield from _too_many(seen)


def _looked_at(labels: pl.DataFrame) -> pl.DataFrame:
    """The labels; whether each looks as if it said that there is none, and which number it is or writes."""
    dtype = labels.schema["label"]
    read, whole = pl.lit(None, pl.Float64), pl.lit(None, pl.Int64)
    if is_text(dtype) or dtype.is_numeric():
        read, whole = number(pl.col("label")), _whole(dtype)
    seen = labels.with_columns(whole=whole, number=read)
    return seen.with_columns(missing=_looks_missing(dtype))


def _found(what: str, labels: pl.DataFrame, *advice: Advice) -> Finding:
    shown = _with_rows(labels.head(SHOWN))
    return Finding("warning", what, "label", labels.height, shown, advice)


def _with_rows(labels: pl.DataFrame) -> list[str]:
    rows = labels.select("label", "annotations").rows()
    return [f"{shown_value(label)} ({counted(n, 'row')})" for label, n in rows]


# --- missing values -------------------------------------------------------------------------------


def _looks_missing(dtype: pl.DataType) -> pl.Expr:
    """Whether `label` looks as if it said that there is none; `whole` is the number that it writes."""
    is_code = _is_code_beside_a_scale(pl.col("whole")).fill_null(value=False)
    if not is_text(dtype):
        return is_code
    plain = pl.col("label").cast(pl.String).str.strip_chars().str.to_lowercase()
    is_sign = plain.is_in(["-", "--"]) & (plain == "+").any()
    return (plain.is_in(PLACEHOLDERS) & ~is_sign) | is_code


def _whole(dtype: pl.DataType) -> pl.Expr:
    """The whole number that `label` is or writes, null for others."""
    text = pl.col("label").cast(pl.String)
    written = text.str.strip_suffix(".0") if dtype.is_float() else text
    return pl.when(written_as_integer(written)).then(written).cast(pl.Int64)


def _is_code_beside_a_scale(whole: pl.Expr) -> pl.Expr:
    """Which whole numbers are codes for a missing label: all others are a dense scale, far from them."""
    is_code = whole.is_in(CODES)
    scale = whole.filter(~is_code)
    low, high, n = scale.min(), scale.max(), scale.count().cast(pl.Int64)
    is_dense = (n >= 2) & (low >= 0) & (high - low < 2 * n)
    is_far = (whole // 2 >= high) | ((whole < 0) & (high > 1))
    return is_code & is_dense & is_far


def _leave_out(missing: pl.DataFrame) -> tuple[Advice, Advice]:
    values = missing["label"].to_list()
    named = [str(v) for v in values if str(v).strip()]
    options = [f"--missing {shlex.quote(','.join(named[:SHOWN]))}"] if named else []
    options += ["--normalize strip"] if len(named) < len(values) else []
    python = ", ".join(map(shown_value, values[:SHOWN]))
    leave = Advice(
        "If they say that there is no label, leave them out",
        python=f"pc.scan_annotations(log, missing=[{python}])",
        command=" ".join(options),
    )
    return leave, DECLARE


# --- spellings ------------------------------------------------------------------------------------


def _spellings(group: Sequence[str], labels: pl.DataFrame) -> str:
    text = pl.col("label").cast(pl.String)
    return ", ".join(_with_rows(labels.filter(text.is_in(group)).sort(text)))


def _one_spelling(groups: Sequence[Sequence[str]]) -> Advice:
    """How all of these become one, in no more ways than it takes."""
    texts = pl.DataFrame({"group": range(len(groups)), "text": groups}).explode(
        "text", empty_as_null=False
    )
    ways = list(WAYS)
    for way in WAYS:
        fewer = [w for w in ways if w != way]
        forms = texts.with_columns(spelled(pl.col("text"), fewer).fill_null("")).unique()
        if forms.height == len(groups):
            ways = fewer
    return Advice(
        "To take them for one",
        python=f"pc.scan_annotations(log, normalize={ways})",
        command=f"--normalize {','.join(ways)}",
    )


def ids_alike(ids: pl.Series, column: str) -> list[Finding]:
    """The finding that distinct ids are spellings of one, if some are."""
    groups = alike(ids)
    if not groups:
        return []
    shown = [", ".join(map(shown_value, group)) for group in groups[:SHOWN]]
    what = f"spellings of one {column}"
    return [Finding("warning", what, column, len(groups), shown, [_one_spelling(groups)])]


# --- numbers, and other columns -------------------------------------------------------------------


def _too_many(seen: pl.DataFrame) -> Iterator[Finding]:
    """Numbers that are taken for classes, and more classes than anyone chooses from."""
    is_rare = pl.col("annotations") <= 2
    is_fraction = pl.col("number") != pl.col("number").floor()
    others = pl.col("number").filter(~pl.col("missing"))
    are_numbers, n_rare, n_fractions = seen.select(
        (others.len() > 0) & (others.null_count() == 0),
        rare=is_rare.sum(),
        fractions=is_fraction.sum(),
    ).row(0)
    many = seen.height > MANY and 2 * n_rare > seen.height
    if are_numbers and (n_fractions or many):
        which = seen.filter(is_fraction if n_fractions else is_rare)
        yield _found("numbers taken for classes", which, NUMBERS, DECLARE)
    elif many:
        yield _found("classes chosen once or twice", seen.filter(is_rare), LABEL_COLUMN)
    elif seen.height > MOST_CLASSES:
        yield _found("classes, more than anyone chooses from", seen, LABEL_COLUMN)
