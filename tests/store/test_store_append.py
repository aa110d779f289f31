"""A store grown by appending is the store made at once; what does not fit changes nothing."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pytest

import polars_crowd as pc
from polars_crowd.rounds.opening import open_rounds
from tests.cases import assert_same
from tests.store.store_cases import contents

DATA = pc.datasets.tutorial()
NOTED = DATA.log.with_columns(
    note=pl.format("{}-{}", "example", "annotator"), id=pl.int_range(pl.len())
)
PROBS = DATA.pred_probs
BY_ROW = ["example", "annotator", "label"]
LATER = sorted(DATA.log["example"].unique())[::5]
"""Examples that come later."""
IS_LATER = pl.col("example").is_in(LATER)

PAIRS = pl.DataFrame(
    {
        "example": ["e1", "e1", "e2", "e2"],
        "annotator": ["a", "b", "a", "b"],
        "label": ["x", "x", "y", "x"],
        "time": [1, 2, 3, 4],
    }
)
AGAIN = pl.DataFrame(
    {"example": ["e1", "e3"], "annotator": ["a", "a"], "label": ["y", "y"], "time": [5, 6]}
)


def probabilities(store: pc.AnnotationStore) -> pl.DataFrame:
    probs = store.scan_pred_probs()
    assert isinstance(probs, pl.LazyFrame)
    return probs.collect().sort("example")


def assert_like(grown: pc.AnnotationStore, at_once: pc.AnnotationStore) -> None:
    """The same rows in the same partitions, and the same results."""
    assert_same(contents(grown), contents(at_once))
    assert_same(probabilities(grown), probabilities(at_once))
    assert grown.describe().drop("bytes").equals(at_once.describe().drop("bytes"))
    assert grown.verify().is_empty()
    found, expected = pc.crowdlab(grown), pc.crowdlab(at_once)
    assert_same(
        found.examples.collect().sort("example"), expected.examples.collect().sort("example")
    )
    assert_same(found.annotators.sort("annotator"), expected.annotators.sort("annotator"))


def refuses(store: pc.AnnotationStore, message: str, *args: Any, **options: Any) -> None:
    """Appending is an error, and the store is as it was, for whoever opens it too."""
    before = contents(store)
    with pytest.raises((pc.AnnotationError, ValueError), match=message):
        store.append(*args, **options)
    for same in (store, pc.AnnotationStore.open(store.path)):
        assert same.verify().is_empty()
        assert contents(same).equals(before)
    assert not list(store.path.glob(".spool*"))


@pytest.fixture
def small(tmp_path: Path) -> pc.AnnotationStore:
    return pc.AnnotationStore.create(tmp_path / "small", PAIRS, partitions=3)


# --- what comes in ---------------------------------------------------------------------------------


def test_annotations_and_new_examples_in_batches(tmp_path: Path) -> None:
    at_once = pc.AnnotationStore.create(tmp_path / "once", NOTED, PROBS, partitions=6)
    early = NOTED.filter(~IS_LATER)
    first = early.filter(pl.col("annotator") < "A0030")
    store = pc.AnnotationStore.create(
        tmp_path / "grown", first, PROBS.filter(~IS_LATER), partitions=6
    )
    store.append(early.filter(pl.col("annotator") >= "A0030"))
    store.append(NOTED.filter(IS_LATER).lazy(), PROBS.filter(IS_LATER))
    assert_like(store, at_once)


def test_unlabelled_examples_are_kept_until_they_are_annotated(tmp_path: Path) -> None:
    at_once = pc.AnnotationStore.create(tmp_path / "once", NOTED, PROBS, partitions=6)
    store = pc.AnnotationStore.create(
        tmp_path / "grown", NOTED.filter(~IS_LATER), PROBS, partitions=6
    )
    assert store.describe()["unlabelled"].sum() == len(LATER)
    assert f"{len(LATER)} unlabelled examples" in repr(store)
    assert_same(probabilities(store), PROBS.sort("example"))
    expected = pc.crowdlab(NOTED.filter(~IS_LATER), PROBS)
    assert_same(pc.crowdlab(store).examples.collect().sort("example"), expected.examples.collect())
    store.append(NOTED.filter(IS_LATER))
    assert store.describe()["unlabelled"].sum() == 0
    assert_like(store, at_once)


def test_only_the_partitions_in_question_are_written(tmp_path: Path) -> None:
    store = pc.AnnotationStore.create(tmp_path / "store", PAIRS, partitions=64)
    before = {part.annotations.name for part in store._parts.values()}
    store.append(AGAIN.tail(1))
    after = {part.annotations.name for part in store._parts.values()}
    assert before < after
    assert len(after - before) == 1


def test_pred_probs_replace_those_there_are(tmp_path: Path) -> None:
    better = PROBS.filter(IS_LATER).select("example", **{"2": "0", "0": "1", "1": "2"})
    replaced = pl.concat([PROBS.filter(~IS_LATER), better.select(PROBS.columns)])
    at_once = pc.AnnotationStore.create(tmp_path / "once", NOTED, replaced, partitions=6)
    store = pc.AnnotationStore.create(tmp_path / "grown", NOTED, PROBS, partitions=6)
    store.append(pred_probs=better)
    assert_like(store, at_once)


def test_pred_probs_of_another_precision(tmp_path: Path) -> None:
    store = pc.AnnotationStore.create(tmp_path / "grown", NOTED, PROBS, partitions=6)
    single = PROBS.filter(IS_LATER).with_columns(pl.exclude("example").cast(pl.Float32))
    store.append(pred_probs=single)
    found = probabilities(store).filter(IS_LATER)
    assert found.equals(single.cast(dict.fromkeys("012", pl.Float64)).sort("example"))
    assert_same(pc.crowdlab(store).annotators, pc.crowdlab(NOTED, probabilities(store)).annotators)


def test_an_ensemble(tmp_path: Path) -> None:
    models = [PROBS, PROBS.select("example", **{"0": "1", "1": "2", "2": "0"})]
    at_once = pc.AnnotationStore.create(tmp_path / "once", NOTED, models, partitions=4)
    store = pc.AnnotationStore.create(
        tmp_path / "grown",
        NOTED.filter(~IS_LATER),
        [model.filter(~IS_LATER) for model in models],
        partitions=4,
    )
    store.append(NOTED.filter(IS_LATER), [model.filter(IS_LATER) for model in models])
    assert_same(
        pc.crowdlab(store).examples.collect().sort("example"),
        pc.crowdlab(at_once).examples.collect().sort("example"),
    )
    refuses(store, "the store has the pred_probs of 2 models, and 1 are given", pred_probs=PROBS)
    lacking = [PROBS.with_columns(pl.col("example") + "x"), models[1]]
    refuses(store, r"of .* unlabelled examples? ha(s|ve) no pred_probs", None, lacking)


def test_two_writers_know_each_other_s_annotators(tmp_path: Path) -> None:
    one = pc.AnnotationStore.create(tmp_path / "store", PAIRS, partitions=2)
    other = pc.AnnotationStore.open(one.path)
    assert len(one.annotators) == 2
    news = [PAIRS.head(1).with_columns(annotator=pl.lit(name)) for name in ("z", "c")]
    other.append(news[0])
    one.append(news[1])
    assert one.annotators.to_list() == ["a", "b", "z", "c"]
    assert_same(contents(one), pl.concat([PAIRS, *news]).sort(PAIRS.columns))


@pytest.mark.parametrize("partitions", [1, 3])
def test_columns_that_are_missing_become_null(tmp_path: Path, partitions: int) -> None:
    store = pc.AnnotationStore.create(tmp_path / "store", PAIRS, partitions=partitions)
    store.append(AGAIN.drop("time").tail(1))
    expected = pl.concat([PAIRS, AGAIN.tail(1).with_columns(time=pl.lit(None, pl.Int64))])
    assert_same(contents(store), expected.sort(PAIRS.columns))


AWKWARD = ("id", "code", "key", "partition", "position", "num_annotations", "vote", "model_0_0")


def test_other_columns_of_any_name_survive(tmp_path: Path) -> None:
    wide = PAIRS.with_columns(
        *(pl.format("{} of {}", pl.lit(name), "time").alias(name) for name in AWKWARD),
        tags=pl.concat_list("label", "annotator"),
        at=pl.lit(dt.datetime(2026, 1, 1)),
    )
    store = pc.AnnotationStore.create(tmp_path / "store", wide, partitions=2)
    assert contents(store).equals(wide.sort(wide.columns))
    more = wide.with_columns(pl.col("example") + "+")
    store.append(more)
    assert contents(store).equals(pl.concat([wide, more]).sort(wide.columns))
    numbers = wide.with_columns(label=pl.col("time") / 3)
    numeric = pc.AnnotationStore.create(tmp_path / "numeric", numbers, partitions=2)
    assert contents(numeric).equals(numbers.sort(wide.columns))
    with pytest.raises(pc.AnnotationError, match="Rename or drop them"):
        pc.AnnotationStore.create(tmp_path / "x", PAIRS.with_columns(polars_crowd_order=1))


IDS: list[tuple[list[Any], pl.DataType]] = [
    ([1, 2, 1 << 40], pl.Int64()),
    ([1, 2, (1 << 64) - 1], pl.UInt64()),
    ([1, 2, 3], pl.UInt8()),
    ([False, True, True], pl.Boolean()),
    ([dt.date(2026, 1, 1), dt.date(2026, 1, 2), dt.date(1969, 1, 1)], pl.Date()),
    (
        [dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 2), dt.datetime(1969, 1, 1)],
        pl.Datetime("us"),
    ),
    (["b", "a", "c"], pl.Categorical()),
    (["b", "a", "c"], pl.Enum(["c", "b", "a"])),
    (["", "é", "c" * 300], pl.String()),
]


@pytest.mark.filterwarnings(
    "ignore:column 'label' of the log may not:polars_crowd.AnnotationWarning"
)
@pytest.mark.parametrize(("ids", "dtype"), IDS, ids=lambda value: str(value)[:24])
@pytest.mark.parametrize("column", ["example", "annotator", "label"])
def test_ids_and_labels_of_any_type(
    tmp_path: Path, column: str, ids: list[Any], dtype: pl.DataType
) -> None:
    base: dict[str, list[Any]] = {
        "example": ["u", "v", "w"],
        "annotator": [1, 2, 3],
        "label": [0, 1, 0],
    }
    frame = pl.DataFrame({**base, column: pl.Series(ids, dtype=dtype)})
    frame = pl.concat([frame, frame.with_columns(annotator=frame["annotator"].gather([1, 2, 0]))])
    frame = frame.unique(["example", "annotator"], maintain_order=True)
    store = pc.AnnotationStore.create(tmp_path / "store", frame.head(3), partitions=3)
    assert store.scan_annotations().collect_schema() == frame.schema
    if frame.height > 3:
        store.append(frame.slice(3))
    found = store.scan_annotations().collect().cast(pl.String)
    assert found.sort(found.columns).equals(frame.cast(pl.String).sort(found.columns))
    assert store.verify().is_empty()


# --- duplicates ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("duplicates", "kept"),
    [("first", {"e1": ["x"]}), ("last", {"e1": ["y"]}), ("all", {"e1": ["x", "y"]})],
)
def test_an_annotation_that_comes_again(
    small: pc.AnnotationStore,
    duplicates: Literal["first", "last", "all"],
    kept: dict[str, list[str]],
) -> None:
    small.append(AGAIN, duplicates=duplicates)
    mine = contents(small).filter(example="e1", annotator="a")
    assert mine["label"].to_list() == kept["e1"]
    assert set(mine["time"]) == {"first": {1}, "last": {5}, "all": {1, 5}}[duplicates]
    assert contents(small).filter(example="e3").height == 1
    assert contents(small).height == 5 + (duplicates == "all")


def test_an_annotation_that_comes_again_is_an_error(small: pc.AnnotationStore) -> None:
    message = r"1 pair with more than one annotation, 2 rows in all:\n  example='e1', annotator='a'"
    refuses(small, message, AGAIN)
    refuses(small, message, pl.concat([PAIRS.head(1)]))
    refuses(small, "1 pair with .* 2 rows", pl.concat([AGAIN.tail(1)] * 2))


def test_duplicates_within_the_log_are_counted_over_all_partitions(tmp_path: Path) -> None:
    twice = pl.concat([DATA.log, DATA.log.head(40)])
    message = "40 pairs with more than one annotation, 80 rows in all"
    with pytest.raises(pc.AnnotationError, match=message):
        pc.AnnotationStore.create(tmp_path / "store", twice, PROBS, partitions=5)
    assert list(tmp_path.iterdir()) == []


def test_duplicates_that_are_in_the_store_stay(tmp_path: Path) -> None:
    both = pl.concat([PAIRS, AGAIN])
    store = pc.AnnotationStore.create(tmp_path / "store", both, partitions=1, duplicates="all")
    more = AGAIN.with_columns(annotator=pl.lit("new"))
    for duplicates, annotator in (("error", "c"), ("first", "d"), ("last", "e")):
        news = more.with_columns(annotator=pl.lit(annotator))
        store.append(news, duplicates=duplicates)  # type: ignore[arg-type]
        both = pl.concat([both, news])
        assert_same(contents(store), both.sort(both.columns))


@pytest.mark.parametrize("duplicates", ["first", "last", "all"])
def test_duplicates_when_a_store_is_made(tmp_path: Path, duplicates: Any) -> None:
    twice = pl.concat(
        [
            NOTED,
            NOTED.head(300).with_columns(label=(pl.col("label") + 1) % 3, id=pl.lit(-1, pl.Int64)),
        ]
    )
    store = pc.AnnotationStore.create(
        tmp_path / "store", twice, PROBS, partitions=4, duplicates=duplicates
    )
    assert contents(store).height == (1756 if duplicates == "all" else 1456)
    expected = pc.crowdlab(twice, PROBS, duplicates=duplicates)
    assert_same(pc.crowdlab(store).examples.collect().sort("example"), expected.examples.collect())
    assert (contents(store)["id"] == -1).sum() == (0 if duplicates == "first" else 300)


def test_unknown_duplicates_are_refused(small: pc.AnnotationStore, tmp_path: Path) -> None:
    refuses(
        small, "duplicates='none'; it must be one of 'error', 'first'", AGAIN, duplicates="none"
    )
    with pytest.raises(ValueError, match="duplicates='none'"):
        pc.AnnotationStore.create(tmp_path / "x", PAIRS, duplicates="none")  # type: ignore[arg-type]


# --- what does not fit -----------------------------------------------------------------------------

LOSSY: list[tuple[dict[str, Any], str]] = [
    ({"label": pl.lit("z")}, r"2 rows with labels that are not among the classes 'x', 'y': 'z'"),
    ({"label": pl.lit(1)}, "column 'label' of the log is Int32, in the store String. Cast it"),
    ({"example": pl.lit(1)}, "column 'example' of the log is Int32, in the store String"),
    (
        {"time": pl.lit(1.5)},
        "column 'time' of the log is Float64, in the store Int64. Cast it first",
    ),
    (
        {"time": pl.lit(1 << 63, pl.UInt64)},
        "column 'time' of the log has 2 values that Int64.*cannot",
    ),
    (
        {"more": pl.lit(1)},
        "the log has the columns 'more', which the store does not have. Drop them",
    ),
    ({"example": pl.lit(None, pl.String)}, "column 'example' of the log is null in 2 rows"),
    ({"label": pl.lit(None, pl.String)}, "the log has no annotations"),
]


@pytest.mark.parametrize(("columns", "message"), LOSSY, ids=lambda value: str(value)[:30])
def test_rows_that_do_not_fit(
    small: pc.AnnotationStore, columns: dict[str, Any], message: str
) -> None:
    refuses(small, message, AGAIN.with_columns(**columns))


def test_narrower_types_fit(small: pc.AnnotationStore) -> None:
    narrow = AGAIN.tail(1).with_columns(
        pl.col("time").cast(pl.Int8), pl.col("label").cast(pl.Categorical)
    )
    small.append(narrow)
    assert_same(contents(small), pl.concat([PAIRS, AGAIN.tail(1)]).sort(PAIRS.columns))


def test_an_enum_does_not_grow(tmp_path: Path) -> None:
    enum = PAIRS.with_columns(pl.col("label").cast(pl.Enum(["y", "x"])))
    store = pc.AnnotationStore.create(tmp_path / "store", enum, partitions=2)
    assert store.classes is not None
    assert store.classes.to_list() == ["y", "x"]
    refuses(
        store,
        "'label' of the log has 1 value that Enum.* cannot",
        AGAIN.tail(1).with_columns(label=pl.lit("z")),
    )
    store.append(AGAIN.tail(1))
    assert contents(store).height == 5


def test_pred_probs_that_do_not_fit(tmp_path: Path, small: pc.AnnotationStore) -> None:
    refuses(small, "append needs a log, pred_probs or both")
    refuses(small, "the store has the pred_probs of 0 models, and 1 are given", None, PROBS)
    store = pc.AnnotationStore.create(tmp_path / "store", NOTED, PROBS, partitions=3)
    stranger = NOTED.head(2).with_columns(example=pl.Series(["?", "??"]))
    refuses(store, r"of .*annotated examples? ha(s|ve) no pred_probs", stranger)
    other = PROBS.rename({"2": "two"})
    refuses(
        store, "pred_probs has the classes '0', '1', 'two', the store '0', '1', '2'", None, other
    )
    null = PROBS.head(3).with_columns(example=pl.lit(None, pl.String))
    refuses(store, "column 'example' of pred_probs is null in 3 rows", None, null)
    twice = pl.concat([PROBS.head(2), PROBS.head(2)])
    refuses(
        store, "column 'example' of pred_probs: . examples? with more than one row", None, twice
    )
    high = PROBS.head(1).with_columns(pl.lit(3.0).alias("0"))
    refuses(store, "pred_probs", None, high)
    numbers = PROBS.with_row_index().select(pl.col("index").alias("example"), "0", "1", "2")
    store.append(None, numbers)
    assert {"0", "1"} <= set(probabilities(store)["example"])


def test_ids_of_pred_probs_that_the_log_s_type_cannot_hold(tmp_path: Path) -> None:
    log = pl.DataFrame(
        {"example": [1, 1], "annotator": ["a", "b"], "label": ["x", "y"]},
        schema_overrides={"example": pl.UInt8},
    )
    probs = pl.DataFrame({"example": [1, 300, 400], "x": 0.5, "y": 0.5})
    message = "'example' of pred_probs: 2 ids cannot be UInt8, the type of the log's: 300, 400"
    with pytest.raises(pc.AnnotationError, match=message):
        pc.AnnotationStore.create(tmp_path / "store", log, probs)
    assert list(tmp_path.iterdir()) == []


# --- numbers ---------------------------------------------------------------------------------------


def test_numbers(tmp_path: Path) -> None:
    log = DATA.log.with_columns(
        label=pl.col("label") + pl.col("annotator").hash() % 7 / 7, note=pl.lit("n")
    )
    store = pc.AnnotationStore.create(tmp_path / "store", log.head(900), partitions=5)
    assert store.classes is None
    assert "numbers" in repr(store)
    store.append(log.slice(900))
    store.append(log.head(1).with_columns(annotator=pl.lit("new"), label=pl.lit(7)))
    every = pl.concat([log, log.head(1).with_columns(annotator=pl.lit("new"), label=pl.lit(7.0))])
    assert contents(store).equals(every.sort(every.columns))
    rows = []
    for handle in open_rounds(store, numeric=True).handles:
        values = handle.values()
        assert values.rows["example"].is_sorted()
        ids = values.examples["example"].gather(values.rows["example"])
        annotators = values.annotators.gather(values.rows["annotator"])
        rows.append(
            pl.DataFrame({"example": ids, "annotator": annotators, "label": values.rows["value"]})
        )
        lengths = values.rows["example"].value_counts(sort=False).sort("example")["count"]
        assert lengths.equals(values.examples["num_annotations"], check_names=False)
    assert_same(pl.concat(rows).sort(BY_ROW), every.select(BY_ROW).sort(BY_ROW))
    with pytest.raises(pc.AnnotationError, match="holds numbers, not classes"):
        pc.majority_vote(store).collect()
    refuses(
        store,
        "column 'label' of the log is String, in the store Float64",
        log.head(1).with_columns(label=pl.lit("x")),
    )
    with pytest.raises(pc.AnnotationError, match="infinite in 1 row"):
        pc.AnnotationStore.create(
            tmp_path / "bad",
            log.with_columns(
                label=pl.when(pl.int_range(pl.len()) == 3)
                .then(pl.lit(float("inf")))
                .otherwise("label")
            ),
        )
    assert not (tmp_path / "bad").exists()


def test_integers_with_few_values_are_classes_and_numbers(tmp_path: Path) -> None:
    store = pc.AnnotationStore.create(tmp_path / "store", DATA.log, partitions=3)
    assert store.classes is not None
    assert (
        sum(handle.values().rows.height for handle in open_rounds(store, numeric=True).handles)
        == 1456
    )


# --- making ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("partitions", [0, -1, 2.5, 10**9])
def test_partitions_must_be_a_number(tmp_path: Path, partitions: Any) -> None:
    with pytest.raises(
        ValueError, match=r"partitions=.*; it must be (a whole number, at least 1|an integer)"
    ):
        pc.AnnotationStore.create(tmp_path / "x", PAIRS, partitions=partitions)


def test_bad_logs_leave_nothing_behind(tmp_path: Path) -> None:
    bad = [
        (PAIRS.head(0), None, "the log has no annotations"),
        (
            PAIRS.with_columns(annotator=pl.lit(None, pl.String)),
            None,
            "'annotator' of the log is null",
        ),
        (NOTED, PROBS.drop("2"), "that are not among the classes 0, 1: 2"),
        (NOTED, PROBS.filter(~IS_LATER), r"annotated examples? ha(ve|s) no pred_probs"),
        (NOTED, PROBS.with_columns(pl.lit(0.9).alias("0")), "pred_probs"),
        (NOTED, pl.concat([PROBS, PROBS]), "with more than one row"),
    ]
    for log, probs, message in bad:
        with pytest.raises(pc.AnnotationError, match=message):
            pc.AnnotationStore.create(tmp_path / "deep" / "store", log, probs, partitions=3)
        assert not list(tmp_path.rglob("*store*")), message


def test_what_is_there_is_not_overwritten(tmp_path: Path, small: pc.AnnotationStore) -> None:
    with pytest.raises(
        FileExistsError, match=r"is a store already. Choose another directory, or add to it"
    ):
        pc.AnnotationStore.create(small.path, PAIRS)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FileExistsError, match=r"is there already. Choose a directory"):
        pc.AnnotationStore.create(tmp_path / "file", PAIRS)
    (tmp_path / "empty").mkdir()
    assert pc.AnnotationStore.create(tmp_path / "empty", PAIRS).verify().is_empty()


def test_repeats_where_nothing_was_labelled_yet(tmp_path: Path) -> None:
    log = pl.DataFrame({"example": ["a", "b"], "annotator": "m", "label": ["x", "y"]})
    ids = [*"abcdefgh"]
    probs = pl.DataFrame({"example": ids, "x": 0.5, "y": 0.5})
    store = pc.AnnotationStore.create(tmp_path / "store", log, probs, partitions=4)
    twice = pl.DataFrame({"example": ids[2:], "annotator": "m", "label": "x"})
    twice = pl.concat([twice, twice.with_columns(label=pl.lit("y"))])
    with pytest.raises(pc.AnnotationError, match="6 pairs with more than one"):
        store.append(twice)
    assert contents(store).equals(log)
    store.append(twice, duplicates="last")
    assert contents(store)["label"].to_list() == ["x", *["y"] * 7]


ID_TYPES: dict[str, pl.Series] = {
    "Int128": pl.Series([1 << 100, -(1 << 100), 3], dtype=pl.Int128),
    "Binary": pl.Series([b"a", b"\xff\x00", b""], dtype=pl.Binary),
    "named categories": pl.Series([*"cab"], dtype=pl.Categorical(pl.Categories("of_a_store"))),
    "categories": pl.Series([*"cab"], dtype=pl.Categorical()),
    "Enum": pl.Series([*"cab"], dtype=pl.Enum([*"cab"])),
}


@pytest.mark.parametrize("column", ["example", "annotator"])
@pytest.mark.parametrize("kind", ID_TYPES)
def test_ids_of_any_type(kind: str, column: str, tmp_path: Path) -> None:
    other = "annotator" if column == "example" else "example"
    log = ID_TYPES[kind].alias(column).to_frame().join(pl.DataFrame({other: [*"rs"]}), how="cross")
    log = log.select("example", "annotator", label=pl.int_range(pl.len()) % 2)
    store = pc.AnnotationStore.create(tmp_path / "store", log.head(4), partitions=3)
    store.append(log.slice(4))
    found = pc.AnnotationStore.open(store.path).scan_annotations().collect()
    assert found.schema == log.schema
    assert sorted(map(repr, found.rows())) == sorted(map(repr, log.rows()))
    expected = pc.majority_vote(log).collect()
    assert sorted(map(repr, pc.majority_vote(store).collect().rows())) == sorted(
        map(repr, expected.rows())
    )
