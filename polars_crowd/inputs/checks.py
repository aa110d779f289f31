"""What makes a log unusable, and the errors that say so.

Looking is cheap (counts taken along with the work); only when something is wrong is the log read again
to say how much and where.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import polars as pl

from polars_crowd.compatible import HORIZONTAL
from polars_crowd.errors import (
    KEY_COLUMNS,
    SHOWN,
    Advice,
    AnnotationError,
    OptionError,
    check_choice,
    counted,
    nearest,
    rows_shown,
    shown,
    shown_value,
    warn,
)
from polars_crowd.inputs.anonymous import is_anonymous
from polars_crowd.inputs.log import is_labelled
from polars_crowd.inputs.suspicions import warn_of_labels

Duplicates = Literal["error", "first", "last", "all", "mean"]


def check_duplicates(duplicates: str) -> None:
    """What to do with duplicates must be one of these."""
    check_choice("duplicates", duplicates, Duplicates)


def without_duplicates(
    log: pl.LazyFrame, duplicates: Duplicates, *, numeric: bool = False
) -> pl.LazyFrame:
    """The log with the first or last annotation of each (example, annotator), if so asked, or their mean, if
    labels are numbers."""
    check_duplicates(duplicates)
    if duplicates == "first" or duplicates == "last":
        schema = log.collect_schema()
        if is_anonymous(schema["annotator"]):
            wrong = (
                "it has no effect: the annotators are anonymous, nobody labels an example again."
            )
            raise OptionError("duplicates", duplicates, wrong)
        pair = ["example", "annotator", is_labelled(schema["label"])]
        return log.unique(pair, keep=duplicates, maintain_order=True)
    return _means(log, numeric) if duplicates == "mean" else log


def _means(log: pl.LazyFrame, numeric: bool) -> pl.LazyFrame:
    """The mean label of each (example, annotator), with the other columns of their first row."""
    if not numeric:
        raise OptionError(
            "duplicates", "mean", "it is about numbers, and here labels are classes.", TAKE_ONE
        )
    schema = log.collect_schema()
    label, others = pl.col("label").cast(pl.Float64), pl.exclude("example", "annotator", "label")
    pair = ["example", "annotator", is_labelled(schema["label"]).alias("is_labelled")]
    found = log.group_by(pair, maintain_order=True).agg(label.mean(), others.first())
    return found.select(list(schema))


def no_annotations() -> AnnotationError:
    return AnnotationError(
        "has no annotations: no row has a label.",
        "Check the label column and your filters.",
        source="the log",
    )


def null_ids(log: pl.LazyFrame, column: str) -> AnnotationError:
    rows = log.filter(pl.col(column).is_null()).select(KEY_COLUMNS).collect()
    return AnnotationError(
        f"is null in {counted(rows.height, 'row')}:\n{rows_shown(rows)}",
        f"Every annotation needs its {column}.",
        drop_nulls(column),
        source="the log",
        column=column,
    )


def drop_nulls(column: str) -> Advice:
    """What to do about rows without an id."""
    return Advice(
        f"Fill in the {column}s, or drop these rows", python=f"log.drop_nulls({column!r})"
    )


def unknown_labels(log: pl.LazyFrame, classes: pl.Series, advice: Advice | str) -> AnnotationError:
    """`advice`: how other classes are had, which depends on where these come from."""
    known = pl.col("label").is_in(classes.implode())
    rows = log.filter(~known).select(KEY_COLUMNS).collect()
    labels = rows["label"].unique().sort().to_list()
    return AnnotationError(
        f"has {counted(rows.height, 'row')} with labels that are not among the "
        f"classes {shown(classes.to_list(), 20)}: {shown(labels)}.\n{rows_shown(rows)}",
        *near_classes(labels, classes.to_list()),
        advice,
        source="the log",
        column="label",
    )


GIVE_COLUMNS = "Give pred_probs a column for each of these classes, or filter the rows out."
IN_STORE = "The classes of a store stay: filter the rows out, or make it anew with all classes."
DECLARE = Advice(
    "Filter these rows out, or declare all classes, in order",
    python="classes=[...]",
    command="--classes A,B,C",
)


def near_classes(labels: Sequence[Any], classes: Sequence[Any]) -> list[str]:
    """Which classes may be meant by labels that are no classes.

    >>> near_classes(["Yes", "maybe"], ["NO", "YES"])
    ["'Yes' may be meant to be 'YES'."]
    """
    known = {str(one): one for one in classes}
    texts = [label for label in labels if isinstance(label, str)][:SHOWN]
    near = {label: nearest(label, known, cutoff=0.75) for label in texts}
    return [
        f"{shown_value(label)} may be meant to be {shown_value(known[one])}."
        for label, one in near.items()
        if one is not None
    ]


def suspect_pairs(log: pl.LazyFrame) -> pl.LazyFrame:
    """How many pairs of (example, annotator) may be there twice: equal pairs have equal hashes, so that
    without equal neighbours among sorted hashes none is."""
    pairs = log.select(pair=pl.col("example").hash() + pl.col("annotator").hash(1)).sort("pair")
    return pairs.select(suspects=(pl.col("pair") == pl.col("pair").shift(1)).sum())


def repeats(log: pl.LazyFrame) -> pl.DataFrame:
    """The pairs of (example, annotator) that are there more than once, their `rows` and first labels."""
    pairs = log.group_by("example", "annotator").agg(
        pl.len().alias("rows"), pl.col("label").head(5)
    )
    return pairs.filter(pl.col("rows") > 1).sort("example", "annotator").collect()


def duplicate_annotations(log: pl.LazyFrame) -> AnnotationError:
    twice = repeats(log)
    return AnnotationError(
        f"columns 'example', 'annotator' of the log: {counted(twice.height, 'pair')} with more than one "
        f"annotation, {counted(int(twice['rows'].sum()), 'row')} in all:\n"
        f"{rows_shown(twice, *twice.columns)}",
        CHOOSE_DUPLICATES,
    )


TAKE_ONE = Advice(
    "Take one of them", python="duplicates='first' or 'last'", command="--duplicates first or last"
)
CHOOSE_DUPLICATES = Advice(
    "Say which to use (with all, each row counts)",
    python="duplicates='first', 'last' or 'all'",
    command="--duplicates first, last or all",
)


def single_annotations(n_examples: int) -> AnnotationError:
    return AnnotationError(
        f"each of the {counted(n_examples, 'example')} has one annotation only, so annotators cannot be "
        "compared and CROWDLAB has nothing to weigh.",
        Advice(
            "The labels are their own majority vote",
            python="pc.majority_vote(log)",
            command="leave out --pred-probs",
        ),
        "To score them against the model alone use a label-quality score such as the model's probability "
        "of the label, or collect second annotations for some examples.",
    )


def warn_of_unlabelled(examples: pl.Series) -> None:
    """A warning of examples without any label, if there are such."""
    n, has = len(examples), "has" if len(examples) == 1 else "have"
    if n:
        warn(
            f"{counted(n, 'example')} {has} no label at all, and no result: {shown(examples.to_list())}."
        )


def audit(
    log: pl.LazyFrame,
    votes: pl.LazyFrame,
    classes: pl.Series | None,
    duplicates: Duplicates,
    advice: Advice | str = DECLARE,
) -> pl.LazyFrame:
    """No rows, or the error or the warnings that the log deserves, when it is collected. To concatenate to a
    result.

    `log` may have rows without a label, which are no annotations; `votes` are of those with one. `advice`
    says how other classes are had.
    """
    dtype = log.collect_schema()["label"]
    labelled = is_labelled(dtype)
    given, log = log, log.filter(labelled)
    null = {f"null_{c}s": (labelled & pl.col(c).is_null()).sum() for c in ("example", "annotator")}
    counts = [given.select(rows=labelled.sum(), without_label=(~labelled).sum(), **null)]
    if classes is None and not isinstance(dtype, pl.Enum):
        by_label = votes.group_by("label").agg(annotations=pl.col("votes").cast(pl.Int64).sum())
        counts.append(by_label.select(labels=pl.struct("label", "annotations").implode()))
    if classes is not None:
        unknown = ~pl.col("label").is_in(classes.implode())
        counts.append(votes.select(unknown_labels=unknown.sum()))
    if duplicates == "error":
        counts.append(suspect_pairs(log))

    def judge(found: pl.DataFrame) -> pl.DataFrame:
        found = found.head(1)  # a sink of Polars 1 may repeat the counts
        sizes = found.select(pl.exclude("labels")).row(0, named=True)
        _raise_findings(sizes, log, classes, advice)
        if "labels" in found:
            labels = found.select(pl.col("labels").explode(empty_as_null=False))
            warn_of_labels(labels.unnest("labels").sort("label"))
        if sizes["without_label"]:
            warn_of_unlabelled(_examples_without_label(given, labelled))
        return found.select(num_annotations="rows").clear()

    schema = {"num_annotations": pl.UInt32}
    return pl.concat(counts, how=HORIZONTAL).map_batches(judge, schema=schema)


def _examples_without_label(log: pl.LazyFrame, labelled: pl.Expr) -> pl.Series:
    none = log.group_by("example").agg(none=(~labelled).all()).filter("none")
    return none.drop_nulls("example").select("example").sort("example").collect()["example"]


def _raise_findings(
    found: dict[str, int], log: pl.LazyFrame, classes: pl.Series | None, advice: Advice | str
) -> None:
    if not found["rows"]:
        raise no_annotations()
    for column in ("example", "annotator"):
        if found[f"null_{column}s"]:
            raise null_ids(log, column)
    if classes is not None and found["unknown_labels"]:
        raise unknown_labels(log, classes, advice)
    if found.get("suspects"):
        pairs = log.group_by("example", "annotator").len().filter(pl.col("len") > 1)
        if pairs.head(1).collect().height:
            raise duplicate_annotations(log)
