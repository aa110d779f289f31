"""A model's probabilities: all forms give the same numbers, and what is no probability is refused."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import polars_crowd as pc
from polars_crowd.errors import AnnotationError, OptionError
from polars_crowd.inputs import probabilities
from polars_crowd.inputs.pred_probs import open_pred_probs
from polars_crowd.runs import classes as runs

LOG = pl.DataFrame(
    {
        "example": ["e1", "e1", "e1", "e2", "e2", "e3", "e3"],
        "annotator": ["a", "b", "c", "a", "b", "b", "c"],
        "label": ["cat", "cat", "dog", "dog", "ant", "cat", "dog"],
    }
)
PROBS = pl.DataFrame(
    {
        "example": ["e1", "e2", "e3"],
        "cat": [0.6, 0.25, 0.375],
        "dog": [0.25, 0.25, 0.5],
        "ant": [0.15, 0.5, 0.125],
    }
)
CLASSES = ["cat", "dog", "ant"]
MATRIX = PROBS.drop("example").to_numpy()
LONG = PROBS.unpivot(index="example", variable_name="label", value_name="probability")
AS_ARRAY = PROBS.select("example", probs=pl.concat_arr(CLASSES))
AS_LIST = PROBS.select("example", probs=pl.concat_list(CLASSES))


def scanned(source: Any, **options: Any) -> pl.DataFrame:
    probs = pc.scan_pred_probs(source, **options)
    assert isinstance(probs, pl.LazyFrame)
    return probs.collect()


def refused(probs: Any, message: str, log: Any = LOG, **options: Any) -> None:
    with pytest.raises(pc.AnnotationError, match=re.escape(message)):
        pc.crowdlab(log, probs, **options)


# --- forms -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "options"),
    [
        (PROBS, {}),
        (PROBS.lazy(), {}),
        (PROBS.to_arrow(), {}),
        (PROBS.to_pandas(), {}),
        (PROBS.to_pandas().set_index("example"), {}),
        (PROBS.select("ant", "example", "dog", "cat"), {"classes": CLASSES}),
        (PROBS.with_columns(seconds=1.5, note=pl.lit("x")), {"classes": CLASSES}),
        (PROBS.rename({"example": "task"}), {"example": "task"}),
        (
            PROBS.rename({"cat": "p0", "dog": "p1", "ant": "p2"}),
            {"classes": {"p0": "cat", "p1": "dog", "p2": "ant"}},
        ),
        (AS_ARRAY, {"classes": CLASSES}),
        (AS_LIST, {"classes": CLASSES}),
        (AS_LIST.to_arrow(), {"classes": CLASSES}),
        (AS_LIST.to_pandas(), {"classes": CLASSES}),
        (LONG, {"classes": CLASSES}),
        (LONG.sample(fraction=1, shuffle=True, seed=1), {"classes": CLASSES}),
        (MATRIX, {"example": ["e1", "e2", "e3"], "classes": CLASSES}),
        (MATRIX, {"example": PROBS["example"], "classes": np.array(CLASSES)}),
        (np.asfortranarray(MATRIX), {"example": np.array(["e1", "e2", "e3"]), "classes": CLASSES}),
    ],
)
def test_forms(source: Any, options: dict[str, Any]) -> None:
    assert_frame_equal(scanned(source, **options).sort("example"), PROBS)
    fit = pc.crowdlab(LOG, pc.scan_pred_probs(source, **options))
    assert_frame_equal(fit.examples.collect(), pc.crowdlab(LOG, PROBS).examples.collect())


def test_files(tmp_path: Any) -> None:
    PROBS.write_csv(tmp_path / "probs.csv")
    AS_ARRAY.write_parquet(tmp_path / "array.parquet")
    assert_frame_equal(scanned(tmp_path / "probs.csv"), PROBS)
    assert_frame_equal(scanned(str(tmp_path / "array.parquet"), classes=CLASSES), PROBS)


def test_a_list_is_an_ensemble() -> None:
    flat = PROBS.with_columns(pl.lit(1 / 3).alias(c) for c in CLASSES)
    models = pc.scan_pred_probs([PROBS, flat.to_arrow()])
    assert isinstance(models, list)
    assert_frame_equal(models[0].collect(), PROBS)
    assert_frame_equal(models[1].collect(), flat)
    matrices = [MATRIX, np.full_like(MATRIX, 1 / 3)]
    of_matrices = pc.scan_pred_probs(matrices, example=["e1", "e2", "e3"], classes=CLASSES)
    expected = pc.crowdlab(LOG, [PROBS, flat]).examples.collect()
    for given in (models, of_matrices, [PROBS, flat.select("ant", "example", "dog", "cat")]):
        assert_frame_equal(pc.crowdlab(LOG, given).examples.collect(), expected)


def test_absent_pairs_of_a_long_frame_are_zero() -> None:
    certain = LONG.filter(pl.col("probability") > 0.2)
    filled = scanned(certain, classes=CLASSES).sort("example")
    assert filled["ant"].to_list() == [0.0, 0.5, 0.0]


@pytest.mark.parametrize("dtype", [pl.Float32, pl.Decimal(10, 4), pl.Int8])
def test_types_of_probabilities(dtype: Any) -> None:
    certain = PROBS.with_columns(
        (pl.col(c) == pl.max_horizontal(CLASSES)).cast(pl.Float64) for c in CLASSES
    )
    expected = pc.crowdlab(LOG, certain).examples.collect()
    found = pc.crowdlab(LOG, certain.cast(dict.fromkeys(CLASSES, dtype))).examples.collect()
    assert_frame_equal(found, expected)


def test_scanning_reads_only_a_schema() -> None:
    def fail(frame: pl.DataFrame) -> pl.DataFrame:
        raise AssertionError("rows were read")

    declared: dict[str, Any] = {"classes": CLASSES}
    sources: Any = (
        (PROBS, {}),
        (PROBS, declared),
        (AS_ARRAY, declared),
        (AS_LIST, declared),
        (LONG, declared),
    )
    for frame, options in sources:
        unread = frame.lazy().map_batches(fail, schema=frame.schema)
        pc.scan_pred_probs(unread, **options)
        pc.majority_vote(LOG, pc.scan_pred_probs(unread, **options))


def test_the_callers_probabilities_are_left_alone() -> None:
    frame, matrix = PROBS.clone(), MATRIX.copy()
    probs = pc.scan_pred_probs(matrix, example=PROBS["example"], classes=CLASSES)
    pc.crowdlab(LOG, [frame, probs], calibrate=True)
    assert_frame_equal(frame, PROBS)
    np.testing.assert_array_equal(matrix, MATRIX)


# --- classes by name -------------------------------------------------------------------------------

KINDS: list[tuple[Any, tuple[Any, Any], tuple[str, str]]] = [
    (pl.Int64, (9, 10), ("9", "10")),
    (pl.UInt8, (9, 10), ("9.0", "10.0")),
    (pl.Int8, (-1, 1), ("-1", "1")),
    (pl.Boolean, (True, False), ("true", "false")),
    (pl.Boolean, (True, False), ("True", "False")),
    (pl.Boolean, (True, False), ("1", "0")),
    (pl.Float64, (1.0, 2.0), ("1", "2")),
    (pl.Categorical, ("y", "n"), ("y", "n")),
    (pl.Enum(["n", "y", "other"]), ("y", "n"), ("y", "n")),
    (pl.Date, (dt.date(2024, 1, 2), dt.date(2024, 1, 1)), ("2024-01-02", "2024-01-01")),
]


@pytest.mark.parametrize(("dtype", "values", "columns"), KINDS)
@pytest.mark.parametrize("swap", [False, True])
def test_columns_are_matched_by_the_name_of_the_class(
    dtype: Any, values: tuple[Any, Any], columns: tuple[str, str], swap: bool
) -> None:
    """Whatever the type of the labels, and in whatever order the columns are."""
    log = LOG.with_columns(label=pl.Series(list("AABBAAB")))
    probs = pl.DataFrame(
        {"example": ["e1", "e2", "e3"], "A": [0.2, 0.4, 0.9], "B": [0.8, 0.6, 0.1]}
    )
    expected = pc.crowdlab(log, probs)
    meaning = dict(zip("AB", values, strict=True))
    typed = pl.Series([meaning[label] for label in log["label"]], dtype=dtype)
    named = probs.rename(dict(zip("AB", columns, strict=True)))
    found = pc.crowdlab(
        log.with_columns(label=typed),
        named.select("example", *(columns[::-1] if swap else columns)),
    )
    labels = found.examples.collect()["consensus_label"]
    assert labels.dtype == typed.dtype
    assert labels.to_list() == [meaning[c] for c in expected.examples.collect()["consensus_label"]]
    for table in ("examples", "annotations"):
        scores = (getattr(fit, table).collect().sort(pl.nth(0, 1)) for fit in (expected, found))
        left, right = (
            table.select(pl.selectors.contains("quality", "agreement")) for table in scores
        )
        assert_frame_equal(left, right, rel_tol=1e-12)
    assert set(found.posterior.collect()["label"]) == set(values)


def test_integer_classes_are_told_apart_from_their_position() -> None:
    log = LOG.with_columns(label=pl.Series([2, 2, 1, 1, 2, 2, 1]))
    probs = pl.DataFrame(
        {"example": ["e1", "e2", "e3"], "2": [0.9, 0.1, 0.8], "1": [0.1, 0.9, 0.2]}
    )
    found = pc.crowdlab(log, probs).examples.collect()["consensus_label"]
    assert found.to_list() == [2, 1, 2]


def posterior_classes(log: pl.DataFrame, probs: Any, **options: Any) -> list[str]:
    posterior = pc.crowdlab(log, probs, **options).posterior.collect()
    classes: list[str] = posterior["label"].unique(maintain_order=True).to_list()
    return classes


def test_order_of_classes() -> None:
    """The declared order, else the Enum's, else that of the columns; sorted for a long frame."""
    in_enum = LOG.with_columns(pl.col("label").cast(pl.Enum(["dog", "cow", "ant", "cat"])))
    assert posterior_classes(LOG, PROBS) == CLASSES
    assert posterior_classes(LOG, LONG) == ["ant", "cat", "dog"]
    assert posterior_classes(in_enum, PROBS) == ["dog", "ant", "cat"]
    for log in (LOG, in_enum):
        assert posterior_classes(log, PROBS, classes=["ant", "cat", "dog"]) == ["ant", "cat", "dog"]


@pytest.mark.parametrize(
    ("options", "first"),
    [({}, "dog"), ({"classes": ["ant", "cat", "dog"]}, "ant"), ({"classes": CLASSES}, "cat")],
)
def test_order_of_classes_breaks_the_last_tie(options: dict[str, Any], first: str) -> None:
    log = pl.DataFrame({"example": [1] * 3, "annotator": [1, 2, 3], "label": CLASSES})
    in_enum = log.with_columns(pl.col("label").cast(pl.Enum(["dog", "ant", "cat"])))
    vote = pc.majority_vote(in_enum, **options).collect()
    assert vote["consensus_label"].to_list() == [first]
    flat = pl.DataFrame({"example": [1], "cat": [1 / 3], "dog": [1 / 3], "ant": [1 / 3]})
    vote = pc.majority_vote(log, flat, **options).collect()
    assert vote["consensus_label"].to_list() == [first if options else "cat"]


def test_classes_nobody_chose() -> None:
    """They are classes as soon as pred_probs or classes= name them: here the fourth changes CROWDLAB."""
    with_cow = PROBS.with_columns(cow=0.0)
    assert posterior_classes(LOG, with_cow) == [*CLASSES, "cow"]
    declared = [*CLASSES, "cow"]
    assert posterior_classes(LOG, LONG, classes=declared) == declared
    same = pc.crowdlab(LOG, LONG, classes=declared).examples.collect()
    assert_frame_equal(same, pc.crowdlab(LOG, with_cow).examples.collect(), rel_tol=1e-12)
    with pytest.raises(AssertionError):
        assert_frame_equal(same, pc.crowdlab(LOG, PROBS).examples.collect(), rel_tol=1e-12)
    missing = (
        "pred_probs has no column 'cow'; its columns are 'cat', 'dog', 'ant'. Name the columns"
    )
    refused(PROBS, missing, classes=declared)


def test_columns_may_be_mapped_where_they_are_used() -> None:
    columns = {"p0": "cat", "p1": "dog", "p2": "ant"}
    options: dict[str, Any] = {"classes": columns}
    probs = PROBS.rename({name: column for column, name in columns.items()})
    found, expected = pc.crowdlab(LOG, probs, **options), pc.crowdlab(LOG, PROBS)
    assert_frame_equal(found.posterior.collect(), expected.posterior.collect())
    vote = pc.majority_vote(LOG, probs, **options).collect()
    assert_frame_equal(vote, pc.majority_vote(LOG, PROBS).collect())


# --- what cannot be --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("probs", "message"),
    [
        (
            PROBS.rename({"example": "task"}),
            "pred_probs has no column 'example'; its columns are 'task', 'cat', 'dog', 'ant'. "
            "Say which column it is: pc.scan_pred_probs(probs, example=...).",
        ),
        (
            PROBS.with_columns(note=pl.lit("x"), day=pl.lit(dt.date(2024, 1, 1))),
            "pred_probs: the columns 'note', 'day' hold no numbers. Drop them, or say which columns "
            "are classes: pc.scan_pred_probs(probs, classes=[...]).",
        ),
        (
            AS_ARRAY.with_columns(more=pl.concat_arr(pl.col("probs").arr.get(0))),
            "pred_probs has several Array or List columns ('probs', 'more'). Keep one.",
        ),
        (
            MATRIX,
            "a numpy matrix of pred_probs needs the ids of its rows. "
            "Give them: pc.scan_pred_probs(matrix, example=ids, classes=[...]).",
        ),
        ([], "pred_probs is an empty list; give the probabilities of at least one model."),
        (
            [PROBS, PROBS.rename({"ant": "bee"})],
            "the pred_probs of an ensemble must have the same classes: 'cat', 'dog', 'ant' in one, "
            "'cat', 'dog', 'bee' in another.",
        ),
        (
            PROBS.with_columns(example=pl.Series([1, 2, 3])),
            "3 of 3 annotated examples have no pred_probs: 'e1', 'e2', 'e3'. Predict them too (out of "
            "sample, by cross-validation), or leave them out: log.join(pred_probs, on='example', "
            "how='semi'). In pred_probs: 1, 2, 3; in the log: 'e1', 'e2', 'e3'. Say which column "
            "holds the examples, or give them the ids of the log.",
        ),
        (
            PROBS.select("example", cat=1.0),
            "pred_probs has 1 class ('cat'); at least 2 are needed. For two classes give a column each.",
        ),
    ],
)
def test_frames_that_are_no_pred_probs(probs: Any, message: str) -> None:
    refused(probs, message)


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (
            AS_ARRAY,
            {"classes": ["cat", "dog"]},
            "'probs' of pred_probs has 3 entries a row, but 2 classes are declared.",
        ),
        (
            MATRIX,
            {"example": ["e1"]},
            "pred_probs of shape (3, 3) do not fit 1 example ids; the matrix",
        ),
        (MATRIX[0], {"example": ["e1"] * 3}, "pred_probs of shape (3,) do not fit 3 example ids"),
        (
            MATRIX,
            {"example": ["e1", "e2", "e3"], "classes": ["cat"]},
            "pred_probs has 3 columns, but classes has 1.",
        ),
    ],
)
def test_shapes_that_do_not_fit(source: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(pc.AnnotationError, match=re.escape(message)):
        pc.scan_pred_probs(source, **options)


def test_ids_beside_a_frame() -> None:
    with pytest.raises(TypeError, match="ids beside the probabilities go with a numpy matrix only"):
        pc.scan_pred_probs(PROBS, example=["e1", "e2", "e3"])


def test_lists_of_unequal_length_are_told_when_they_are_read() -> None:
    ragged = AS_LIST.with_columns(
        pl.when(pl.col("example") == "e2").then(pl.col("probs").list.head(2)).otherwise("probs")
    )
    message = (
        "column 'probs' of pred_probs has not 3 entries, one per class, in 1 row, "
        "for the examples 'e2'. Give each row all classes."
    )
    probs = pc.scan_pred_probs(ragged, classes=CLASSES)
    refused(probs, message)
    refused(ragged, message, classes=CLASSES)


def test_classes_that_are_not_those_of_the_log() -> None:
    log = LOG.with_columns(label=pl.Series([1, 1, 2, 2, 3, 1, 2]))
    refused(
        PROBS,
        "pred_probs: the columns 'cat', 'dog', 'ant' do not name classes of the log, whose labels are "
        "Int64. Rename them: pc.scan_pred_probs(probs, classes={'column': class}).",
        log,
    )
    refused(
        PROBS.rename({"ant": "bee"}),
        "column 'label' of the log has 1 row with labels that are not among the classes 'cat', 'dog', "
        "'bee': 'ant'.\n  example='e2', annotator='b', label='ant'\nGive pred_probs a column for each "
        "of these classes, or filter the rows out.",
    )
    with pytest.raises(OptionError, match=r"classes='cat', 'dog', 'cat'; .* each of them once"):
        pc.crowdlab(LOG, AS_ARRAY, classes=["cat", "dog", "cat"])
    refused(
        pc.scan_pred_probs(AS_ARRAY),
        "pred_probs has no column 'cat'; its columns are '0', '1', '2'. Name the columns by class",
        classes=CLASSES,
    )


VALUES: list[tuple[Callable[[pl.Expr], pl.Expr], str]] = [
    (
        lambda p: pl.when(pl.col("example") != "e1").then(p),
        "pred_probs are null in 1 row of the columns 'dog', for the examples 'e1'. "
        "Every class needs a probability; fill or drop them.",
    ),
    (
        lambda p: pl.when(pl.col("example") != "e1").then(p).otherwise(float("nan")),
        "pred_probs are NaN in 1 row:\n  example='e1': cat: 0.6, dog: nan, ant: 0.15; sum nan\n"
        "Every class needs a probability; fill or drop these rows.",
    ),
    (
        lambda p: p - 0.4,
        "pred_probs are negative in 2 rows:\n  example='e1': cat: 0.6, dog: -0.15, ant: 0.15; sum 0.6\n"
        "  example='e2': cat: 0.25, dog: -0.15, ant: 0.5; sum 0.6\n"
        "Probabilities lie in [0, 1]; if these are logits, apply a softmax first.",
    ),
    (
        lambda p: p * 100,
        "pred_probs are above 1 in 3 rows:\n  example='e1': cat: 0.6, dog: 25, ant: 0.15; sum 25.75\n",
    ),
    (
        lambda p: p * 1.5,
        "pred_probs do not sum to 1 in 3 rows (off by up to 0.25; 0.001 is allowed):\n"
        "  example='e1': cat: 0.6, dog: 0.375, ant: 0.15; sum 1.125\n",
    ),
    (
        lambda p: p + 0.0011,
        "pred_probs do not sum to 1 in 3 rows (off by up to 0.0011; 0.001 is allowed):\n",
    ),
]


@pytest.mark.parametrize(("change", "message"), VALUES)
@pytest.mark.parametrize("in_array", [False, True])
def test_values_that_are_no_probabilities(
    change: Callable[[pl.Expr], pl.Expr], message: str, in_array: bool
) -> None:
    probs = PROBS.with_columns(change(pl.col("dog")).alias("dog"))
    if in_array:
        probs = probs.select("example", probs=pl.concat_arr(CLASSES))
        message = message.replace("columns 'dog'", "columns 'pred_probs'")
        refused(probs, message, classes=CLASSES)
    else:
        refused(probs, message)
        refused([PROBS, probs], message)


def test_sums_may_be_off_by_rounding() -> None:
    pc.crowdlab(LOG, PROBS.with_columns(pl.col("dog") + 0.0009))
    pc.crowdlab(LOG, PROBS.with_columns(pl.col("dog") - 0.0009))
    pc.crowdlab(LOG, PROBS.with_columns(pl.col("dog").cast(pl.Float32)))


def test_at_most_five_rows_and_eight_probabilities_are_shown() -> None:
    n, k = 20, 12
    log = pl.DataFrame({"example": np.repeat(np.arange(n), 2), "annotator": [0, 1] * n, "label": 0})
    matrix = np.full((n, k), 1 / 24)
    probs = pc.scan_pred_probs(matrix, example=np.arange(n))
    with pytest.raises(pc.AnnotationError) as raised:
        pc.crowdlab(log, probs)
    lines = str(raised.value).splitlines()
    assert "in 20 rows" in lines[0]
    assert len(lines) == 7
    assert lines[5].startswith("  example=4: 0: 0.04167, ")
    assert lines[5].endswith("7: 0.04167, ...; sum 0.5")


# --- examples --------------------------------------------------------------------------------------


def test_annotated_examples_without_probabilities() -> None:
    refused(
        PROBS.head(2),
        "1 of 3 annotated examples has no pred_probs: 'e3'. Predict them too (out of sample, by "
        "cross-validation), or leave them out: log.join(pred_probs, on='example', how='semi').",
    )
    many = pl.DataFrame({"example": range(9), "annotator": "a", "label": "cat"})
    log = pl.concat([many, many.with_columns(annotator=pl.lit("b"))])
    probs = PROBS.with_columns(example=pl.Series([0, 1, 99]))
    refused(
        probs, "7 of 9 annotated examples have no pred_probs: 2, 3, 4, 5, 6, ... (2 more).", log
    )


def test_every_annotated_example_needs_probabilities_for_the_vote() -> None:
    """... whether it is tied or not: the lazy plan and CROWDLAB say the same."""
    vote = pc.majority_vote(LOG, PROBS.head(1))
    message = "2 of 3 annotated examples have no pred_probs: 'e2', 'e3'."
    with pytest.raises(pc.AnnotationError, match=message):
        vote.collect()
    clear = pc.majority_vote(LOG.filter(pl.col("example") == "e1"), PROBS.head(1))
    assert clear.collect()["consensus_label"].to_list() == ["cat"]


def test_examples_nobody_annotated_are_left_aside() -> None:
    more = PROBS.with_columns(pl.format("unlabelled {}", "example").alias("example"))
    expected = pc.crowdlab(LOG, PROBS).examples.collect()
    for probs in (pl.concat([more, PROBS]), pl.concat([PROBS, more])):
        assert_frame_equal(pc.crowdlab(LOG, probs).examples.collect(), expected)


def test_an_example_twice_or_without_an_id() -> None:
    refused(
        pl.concat([PROBS, PROBS.tail(2)]),
        "column 'example' of pred_probs: 2 examples with more than one row:\n"
        "  example='e2', rows=2\n  example='e3', rows=2\n"
        "Keep one row per example. Give the models of an ensemble one by one: [probs_a, probs_b].",
    )
    refused(
        PROBS.with_columns(example=pl.Series(["e1", None, "e3"])),
        "column 'example' of pred_probs is null in 1 row:\n  row=1, example=None\n"
        "Every row needs its example; drop those without.",
    )


@pytest.mark.parametrize(
    ("in_log", "in_probs"),
    [
        (pl.Int8, pl.Int64),
        (pl.UInt64, pl.Int16),
        (pl.Enum(["1", "2", "3"]), pl.String),
        (pl.Categorical, pl.Enum(["3", "2", "1", "200"])),
        (pl.Date, pl.Datetime("ms")),
    ],
)
def test_ids_of_a_kind_are_the_same_ids(in_log: Any, in_probs: Any) -> None:
    """An id that the log's type cannot hold belongs to an example nobody annotated."""

    def typed(ids: pl.Expr, dtype: Any) -> pl.Expr:
        text = dtype in (pl.String, pl.Categorical) or isinstance(dtype, pl.Enum)
        return ids.cast(pl.Int32 if dtype == pl.Date else pl.String if text else dtype).cast(dtype)

    number = pl.col("example").str.slice(1).cast(pl.Int64)
    log = LOG.with_columns(typed(number, in_log))
    other = pl.DataFrame({"example": ["e200"], "cat": [1.0], "dog": [0.0], "ant": [0.0]})
    probs = pl.concat([PROBS, other] if in_probs != pl.Datetime("ms") else [PROBS])
    if in_probs == pl.Datetime("ms"):
        probs = probs.with_columns(typed(number, pl.Date).cast(pl.Datetime("ms")))
    else:
        probs = probs.with_columns(typed(number, in_probs))
    found = pc.crowdlab(log, probs).examples.collect().drop("example")
    assert_frame_equal(found, pc.crowdlab(LOG, PROBS).examples.collect().drop("example"))


def test_columns_that_are_one_class_to_the_log() -> None:
    log = pl.DataFrame({"example": [1, 1], "annotator": ["a", "b"], "label": [1, 2]})
    probs = pl.DataFrame({"example": [1], "1": [0.5], "01": [0.25], "2": [0.25]})
    for call in (pc.crowdlab, pc.activelab, lambda *given: pc.majority_vote(*given).collect()):
        with pytest.raises(
            pc.AnnotationError, match="the columns of pred_probs '1', '01' are one class"
        ):
            call(log, probs)


@pytest.mark.parametrize("hashed", [lambda ids: ids.hash(), lambda ids: ids.str.len_bytes()])
def test_rows_in_another_order_are_found_by_hashes_and_where_these_collide(
    hashed: Callable[[pl.Series], pl.Series], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probabilities, "hashes", hashed)
    ids = pl.Series("example", ["b", "a", "cc", "d"])
    probs = open_pred_probs(pl.DataFrame({"example": ids, "x": [0.1, 0.2, 0.3, 0.4]}))
    probs = replace(probs, independent=True)
    found = probabilities.read_probabilities(probs, pl.Series("example", ["a", "b", "cc"]), ("x",))
    assert found[:, 0].tolist() == [0.2, 0.1, 0.3]
    with pytest.raises(AnnotationError, match="'e', 'f'"):
        probabilities.read_probabilities(probs, pl.Series(["f", "e", "d"]).sort(), ("x",))


# --- files are looked through ----------------------------------------------------------------------


@pytest.fixture
def of_few_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "FEW_CLASSES", 2)


@pytest.mark.usefixtures("of_few_classes")
@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
@pytest.mark.parametrize("dtype", [pl.Float32, pl.Float64])
def test_files_say_the_same_as_frames(suffix: str, dtype: Any, tmp_path: Path) -> None:
    more = pl.DataFrame({"example": ["e0"], "cat": [1.0], "dog": [0.0], "ant": [0.0]})
    shuffled = pl.concat([PROBS[::-1], more]).cast({pl.Float64: dtype})
    file = tmp_path / f"probs.{suffix}"
    write = shuffled.write_parquet if suffix == "parquet" else shuffled.write_ipc
    write(file)
    held, looked_through = pc.crowdlab(LOG, shuffled), pc.crowdlab(LOG, file)
    for table in ("examples", "annotations", "annotators", "posterior"):
        one, other = (getattr(fit, table).lazy().collect() for fit in (held, looked_through))
        assert_frame_equal(one, other, check_exact=True)


@pytest.mark.usefixtures("of_few_classes")
@pytest.mark.parametrize("wrong", [-0.25, 1.5, float("nan"), 0.75, None])
def test_files_are_refused_like_frames(wrong: float | None, tmp_path: Path) -> None:
    spoilt = PROBS.with_columns(dog=pl.Series([0.25, wrong, 0.5]))
    spoilt.write_parquet(tmp_path / "probs.parquet")
    with pytest.raises(pc.AnnotationError) as of_frame:
        pc.crowdlab(LOG, spoilt)
    refused(tmp_path / "probs.parquet", str(of_frame.value))


@pytest.mark.usefixtures("of_few_classes")
def test_a_file_that_was_looked_through_is_read_when_the_posterior_is_asked_for(
    tmp_path: Path,
) -> None:
    file = tmp_path / "probs.parquet"
    PROBS.write_parquet(file, compression="uncompressed")
    fits = [pc.crowdlab(LOG, file) for _ in range(3)]
    assert_frame_equal(fits[0].posterior.collect(), pc.crowdlab(LOG, PROBS).posterior.collect())
    other = PROBS.select("example", cat="dog", dog="cat", ant="ant")
    other.write_parquet(file, compression="uncompressed")
    with pytest.raises(pc.AnnotationError, match="are no longer what they were"):
        fits[1].posterior.collect()
    file.unlink()
    with pytest.raises(pc.AnnotationError, match=r"probs.parquet cannot be read"):
        fits[2].posterior.collect()
    assert fits[0].posterior.collect().height == 9
