"""`check_annotations` tells of all that is odd about a log, and methods warn of what labels may be."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import polars_crowd as pc
from tests.inputs.test_checks import LOG, PROBS, lost_classes_are_fine


def finding(log: Any, name: str, **options: Any) -> dict[str, Any]:
    """The one row of `check_annotations` of this name."""
    found = pc.check_annotations(log, **options).filter(what=name)
    assert found.height == 1, found
    return found.row(0, named=True)


def test_a_good_log_has_no_findings() -> None:
    found = pc.check_annotations(LOG)
    assert found.height == 0
    assert found.schema == {
        "severity": pl.String,
        "what": pl.String,
        "column": pl.String,
        "count": pl.Int64,
        "shown": pl.List(pl.String),
        "advice": pl.String,
    }


def odd_log() -> pl.DataFrame:
    """Everything at once."""
    rows = [
        *LOG.rows(),
        (1, "a", "y"),  # a duplicate
        (None, "a", "x"),
        (2, None, "x"),
        (3, "c", None),
        *((example, "lone", "x") for example in range(10, 17)),
    ]
    return pl.DataFrame(rows, schema=LOG.schema, orient="row")


def test_findings_of_an_odd_log() -> None:
    found = pc.check_annotations(odd_log(), classes=["x", "z", "w"])
    seen = {
        row["what"]: (row["severity"], row["column"], row["count"], row["shown"])
        for row in found.iter_rows(named=True)
    }
    assert seen == {
        "null examples": ("error", "example", 1, ["(None, 'a', 'x')"]),
        "null annotators": ("error", "annotator", 1, ["(2, None, 'x')"]),
        "duplicate annotations": ("error", "example, annotator", 1, ["1, a: 2 rows"]),
        "labels outside the classes": ("error", "label", 1, ["y"]),
        "classes never chosen": ("note", "label", 2, ["z", "w"]),
        "examples with one annotation": ("note", "example", 7, ["10", "11", "12", "13", "14"]),
        "annotators without overlap": ("note", "annotator", 1, ["lone"]),
        "annotators who give one label": ("note", "annotator", 1, ["lone"]),
        "rows without a label": ("note", "label", 1, ["(3, 'c', None)"]),
        "annotators who abstain": ("note", "annotator", 1, ["c: 1 of 1 row"]),
        "examples that some annotators skip": ("note", "example", 1, ["3: 1 of 3 rows"]),
    }
    assert found["severity"].to_list() == sorted(found["severity"])
    assert found["advice"].str.ends_with(".").all()


def test_findings_come_from_any_source(tmp_path: Any) -> None:
    log = odd_log()
    log.write_parquet(tmp_path / "log.parquet")
    expected = pc.check_annotations(log)
    for source in (log.lazy(), tmp_path / "log.parquet", log.to_arrow(), [log[:5], log[5:]]):
        assert_frame_equal(pc.check_annotations(source), expected)
    assert_frame_equal(log.crowd.check_annotations(), expected)  # type: ignore[attr-defined]


def test_findings_of_a_store(tmp_path: Any) -> None:
    more = pl.DataFrame({"example": [7, 8, 9], "annotator": "lone", "label": "x"})
    log = pl.concat([LOG, more])
    store = pc.AnnotationStore.create(tmp_path / "store", log, partitions=3)
    expected = pc.check_annotations(log)
    assert expected.height == 3
    assert_frame_equal(pc.check_annotations(store), expected)


def test_findings_do_not_depend_on_the_order_of_rows() -> None:
    log = odd_log()
    shuffled = log.sample(fraction=1, shuffle=True, seed=2)
    assert_frame_equal(pc.check_annotations(shuffled), pc.check_annotations(log))


def test_a_log_without_annotations() -> None:
    found = finding(LOG.clear(), "no annotations")
    assert (found["severity"], found["count"]) == ("error", 1)
    assert "Check the label column" in found["advice"]
    empty = LOG.with_columns(label=pl.lit(None, pl.String))
    assert finding(empty, "no annotations")["severity"] == "error"
    assert finding(empty, "rows without a label")["count"] == LOG.height


def test_one_annotation_each() -> None:
    alone = LOG.unique("example", keep="first", maintain_order=True)
    found = finding(alone, "every example has one annotation")
    assert (found["severity"], found["count"], found["shown"]) == ("error", 3, ["1", "2", "3"])
    assert "pc.majority_vote" in found["advice"]


def test_classes_of_an_enum() -> None:
    log = LOG.with_columns(pl.col("label").cast(pl.Enum(["z", "y", "x"])))
    assert finding(log, "classes never chosen")["shown"] == ["z"]
    assert "classes never chosen" not in pc.check_annotations(log, classes=["x", "y"])["what"]


@pytest.mark.parametrize(
    ("label", "classes"),
    [
        (pl.Series([1, 1, 2, 1, 2, 2]), ["1", "2", 3]),
        (pl.Series([True, True, False, True, False, False]), [True, "false", 3]),
    ],
)
def test_classes_are_known_by_name(label: pl.Series, classes: list[Any]) -> None:
    """As in pred_probs and from a command line, where they are text."""
    found = pc.check_annotations(LOG.with_columns(label=label), classes=classes)
    assert found.select("what", "shown").rows() == [("classes never chosen", ["3"])]


def test_one_class_only() -> None:
    same = LOG.with_columns(label=pl.lit("x"))
    assert finding(same, "only one class is chosen")["shown"] == ["x"]
    assert finding(same, "annotators who give one label")["count"] == 2


def test_up_to_five_are_shown() -> None:
    n = 12
    more = pl.DataFrame({"example": range(100, 100 + n), "annotator": "a", "label": "x"})
    found = finding(pl.concat([LOG, more]), "examples with one annotation")
    assert (found["count"], found["shown"]) == (n, ["100", "101", "102", "103", "104"])


@lost_classes_are_fine
@pytest.mark.parametrize(
    "change",
    [
        lambda log: log,
        lambda log: log.with_columns(annotator=pl.lit("a")),
        lambda log: log.with_columns(
            pl.when(pl.col("label") != "y").then("example").alias("example")
        ),
        lambda log: log.unique("example"),
        lambda log: log.clear(),
        lambda log: log.with_columns(label=pl.lit("x")),
        lambda log: log.with_columns(label=pl.Series([None, *"xyxyy"])),
    ],
)
def test_errors_are_what_crowdlab_refuses(change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    log = change(LOG)
    errors = pc.check_annotations(log).filter(severity="error")
    if errors.height:
        with pytest.raises(pc.AnnotationError):
            pc.crowdlab(log, PROBS)
    else:
        pc.crowdlab(log, PROBS)


def test_missing_column_of_a_log_to_check() -> None:
    with pytest.raises(pc.AnnotationError, match="the log has no column 'label'; its columns are"):
        pc.check_annotations(LOG.drop("label"))


# --- what labels and ids may be -------------------------------------------------------------------

MISSING, SPELLINGS = "labels that look like missing values", "spellings of one label"
NUMBERS, ONCE, RARE = (
    "numbers taken for classes",
    "labels chosen once",
    "classes chosen once or twice",
)
SUSPICIONS: dict[str, tuple[Any, dict[str, list[str]]]] = {
    # labels, each chosen twice: what is found, and shown
    "plain": (["yes", "no"], {}),
    "scale": ([1, 2, 3, 4, 5], {}),
    "sentiment": ([-1, 0, 1], {}),
    "scale about 0": ([-2, -1, 0, 1, 2], {}),
    "percents": ([10, 20, 99, 100], {}),
    "to 99": (list(range(90, 100)), {}),
    "NA": (["yes", "NA", "n/a"], {MISSING: ["'NA' (2 rows)", "'n/a' (2 rows)"]}),
    "blank": (["yes", " ", "no"], {MISSING: ["' ' (2 rows)"]}),
    "marks": (["a", "b", "-", "?"], {MISSING: ["'-' (2 rows)", "'?' (2 rows)"]}),
    "signs": (["+", "-", "--"], {}),
    "words": (
        ["a", "None", "#N/A", "null", "nan"],
        {MISSING: ["'#N/A'", "'None'", "'nan'", "'null'"]},
    ),
    "-1": ([-1, 0, 1, 2], {MISSING: ["-1 (2 rows)"]}),
    "99": ([1, 2, 3, 4, 99], {MISSING: ["99 (2 rows)"]}),
    "999 as text": (["1", "2", "3", "999"], {MISSING: ["'999' (2 rows)"]}),
    "999.0": ([1.0, 2.0, 999.0], {MISSING: ["999.0 (2 rows)"]}),
    "NA in a scale": (["1", "2", "NA"], {MISSING: ["'NA' (2 rows)"]}),
    "case": (["Yes", "yes", "no"], {SPELLINGS: ["'Yes' (2 rows), 'yes' (2 rows)"]}),
    "space": (["a b", "a  b ", "c"], {SPELLINGS: ["'a  b ' (2 rows), 'a b' (2 rows)"]}),
    "form": (
        ["caf\u00e9", "cafe\u0301"],
        {SPELLINGS: ["'cafe\u0301' (2 rows), 'caf\u00e9' (2 rows)"]},
    ),
    "fractions": ([0.5, 1.0, 2.0], {NUMBERS: ["0.5 (2 rows)"]}),
    "fractions as text": (["0.5", "1", "NA"], {NUMBERS: ["'0.5' (2 rows)"], MISSING: ["'NA'"]}),
    "floats": ([1.0, 2.0], {}),
    "many numbers": (list(range(101)), {NUMBERS: [f"{k} (2 rows)" for k in range(5)]}),
    "a hundred": (list(range(100)), {}),
    "many texts": ([f"t{k}" for k in range(101)], {RARE: ["'t0' (2 rows)", "'t1' (2 rows)"]}),
}


def of_labels(labels: list[Any]) -> pl.DataFrame:
    """A log in which two annotators agree on every label."""
    examples = pl.DataFrame({"example": range(len(labels)), "label": labels})
    return pl.concat([examples.with_columns(annotator=pl.lit(who)) for who in "ab"])


@pytest.mark.parametrize("name", SUSPICIONS)
def test_what_labels_may_be(name: str) -> None:
    labels, expected = SUSPICIONS[name]
    found = pc.check_annotations(of_labels(labels))
    seen = {row["what"]: row["shown"] for row in found.to_dicts() if row["column"] == "label"}
    assert seen.keys() == expected.keys()
    for what, shown in expected.items():
        assert [s.startswith(e) for s, e in zip(seen[what], shown, strict=False)] == [True] * len(
            shown
        )
    assert set(found["severity"]) <= {"warning"}


@pytest.mark.parametrize("name", SUSPICIONS)
def test_declared_classes_are_what_is_meant(name: str) -> None:
    log = of_labels(SUSPICIONS[name][0])
    assert pc.check_annotations(log, classes=log["label"].unique().to_list()).is_empty()


ADVICE = {
    "NA": "missing=['NA', 'n/a'])",
    "-1": "missing=[-1])",
    "case": "normalize=['case'])",
    "space": "normalize=['strip'])",
    "form": "normalize=['unicode'])",
    "fractions": "pc.agreement(log, level='interval')",
    "many texts": "Is this the label column?",
}


@pytest.mark.parametrize("name", ADVICE)
def test_advice_mends_what_is_found(name: str) -> None:
    log = of_labels(SUSPICIONS[name][0])
    advice = pc.check_annotations(log)["advice"].item()
    assert ADVICE[name] in advice
    if "missing" in ADVICE[name]:
        values = SUSPICIONS[name][0]
        mended = pc.check_annotations(log, missing=[v for v in values if str(v) in advice])
    elif "normalize" in ADVICE[name]:
        mended = pc.check_annotations(log, normalize=[ADVICE[name].split("'")[1]])  # type: ignore[list-item]
    else:
        return
    assert not {MISSING, SPELLINGS} & set(mended["what"])


def test_a_label_that_is_chosen_once_is_told() -> None:
    slip = pl.DataFrame({"example": [0], "label": [10], "annotator": ["c"]})
    found = finding(pl.concat([of_labels([0, 1, 2, 3]), slip]), ONCE)
    assert (found["severity"], found["count"], found["shown"]) == ("note", 1, ["10 (by c)"])


def test_numbers_are_not_taken_for_classes() -> None:
    log = of_labels([0.5, 1.5, 99])
    assert NUMBERS not in pc.check_annotations(log, label_type="number")["what"]


@pytest.mark.parametrize("column", ["example", "annotator"])
def test_spellings_of_an_id(column: str) -> None:
    ids = pl.Series(["w1", "W1", "w2", "w2 ", "w3", "w4"])
    found = finding(LOG.with_columns(ids.alias(column)), f"spellings of one {column}")
    assert (found["severity"], found["column"], found["count"]) == ("warning", column, 2)
    assert found["shown"] == ["'W1', 'w1'", "'w2', 'w2 '"]
    assert "normalize=['strip', 'case']" in found["advice"]
    log = pc.scan_annotations(LOG.with_columns(ids.alias(column)), normalize=["strip", "case"])
    assert log.collect()[column].n_unique() == 4


def test_examples_and_annotators_without_labels_are_counted() -> None:
    log = pl.DataFrame(
        {
            "example": [1, 1, 1, 2, 2, 3, 3],
            "annotator": ["a", "b", "c", "a", "b", "a", "c"],
            "label": ["x", "y", None, None, None, "x", None],
        }
    )
    for kept in (log, pc.scan_annotations(log, keep_missing=True)):
        assert finding(kept, "examples without any label")["shown"] == ["2"]
        assert finding(kept, "rows without a label")["count"] == 4
        abstain = finding(kept, "annotators who abstain")
        assert abstain["shown"] == ["c: 2 of 2 rows", "a: 1 of 3 rows", "b: 1 of 2 rows"]
        skipped = finding(kept, "examples that some annotators skip")
        assert skipped["shown"] == ["1: 1 of 3 rows", "3: 1 of 2 rows"]
    assert "rows without a label" not in pc.check_annotations(pc.scan_annotations(log))["what"]


def test_a_file_is_checked_with_the_names_and_options_of_its_reading(tmp_path: Any) -> None:
    path = tmp_path / "log.csv"
    path.write_text("task;worker;answer\n1;a;1\n1;b;NA\n2;a;99\n2;b;2\n2;c;1\n1;c;3\n")

    def found(**options: Any) -> pl.DataFrame:
        return pc.check_annotations(
            path, example="task", annotator="worker", label="answer", separator=";", **options
        )

    shown = ["'99' (1 row)", "'NA' (1 row)"]
    assert found().select("column", "shown").rows() == [("answer", shown)]
    assert found(missing=["NA", 99])["column"].to_list() == ["answer", "task", "worker"]


# --- at the door of methods -----------------------------------------------------------------------

METHODS: dict[str, Callable[[Any], Any]] = {
    "majority_vote": lambda log: pc.majority_vote(log).collect(),
    "agreement": pc.agreement,
    "example_agreement": lambda log: pc.example_agreement(log).collect(),
    "pairwise_agreement": pc.pairwise_agreement,
    "dawid_skene": pc.dawid_skene,
    "wawa": pc.wawa,
    "compare": lambda log: pc.compare(log, ["majority_vote", "wawa"], folds=0),
}
at_the_door = pytest.mark.parametrize("name", METHODS)


def warned(call: Callable[[], Any]) -> list[str]:
    """The warnings about labels and examples."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        call()
    words = ("may not hold what is meant", "no label at all")
    return [str(w.message) for w in said if any(word in str(w.message) for word in words)]


def crowd(labels: list[Any]) -> pl.DataFrame:
    """Six annotators who all agree, so that methods have nothing else to say."""
    examples = pl.DataFrame({"example": range(len(labels)), "label": labels})
    return pl.concat([examples.with_columns(annotator=pl.lit(f"w{k}")) for k in range(6)])


@at_the_door
def test_methods_warn_once_of_what_labels_may_be(name: str, tmp_path: Any) -> None:
    log = crowd(["yes", "no", "NA", "Yes", "yes", "no"])
    said = warned(lambda: METHODS[name](log))
    assert said == [
        "column 'label' of the log may not hold what is meant. Labels that look like missing values: "
        "'NA' (6 rows). Spellings of one label: 'Yes' (6 rows), 'yes' (12 rows). If they say that there "
        "is no label, leave them out: pc.scan_annotations(log, missing=['NA']). If they are classes, "
        "declare all: classes=[...]. To take them for one: pc.scan_annotations(log, normalize=['case'])."
    ]
    log.lazy().sink_parquet(tmp_path / "log.parquet")
    assert warned(lambda: METHODS[name](tmp_path / "log.parquet")) == said
    mended = pc.scan_annotations(log, missing=["NA"], normalize=["case"])
    assert warned(lambda: METHODS[name](mended)) == []


@at_the_door
def test_methods_warn_of_numbers_that_are_taken_for_classes(name: str) -> None:
    log = crowd([0.5, 1.0, 2.5, 2.0])
    if name == "compare":
        return  # which takes methods for numbers
    (said,) = warned(lambda: METHODS[name](log))
    assert "Numbers taken for classes: 0.5 (6 rows); 2.5 (6 rows)" in said
    assert "pc.agreement(log, level='interval')" in said


@at_the_door
def test_methods_do_not_warn_of_classes_that_are_declared(name: str) -> None:
    labels = pl.Series(["yes", "NA", "Yes", "no"], dtype=pl.Enum(["yes", "NA", "Yes", "no"]))
    log = crowd(labels.to_list()).with_columns(pl.col("label").cast(labels.dtype))
    assert warned(lambda: METHODS[name](log)) == []
    assert (
        warned(lambda: pc.dawid_skene(log.cast({"label": pl.String}), classes=labels.to_list()))
        == []
    )


def test_methods_for_numbers_warn_of_codes_only() -> None:
    log = crowd([1, 2, 3, 99, 2, 1])
    (said,) = warned(lambda: pc.mean_truth(log))
    assert "Labels that look like missing values: 99.0 (6 rows)" in said
    assert warned(lambda: pc.mean_truth(crowd([0.5, 1.5, 2.0]))) == []
    assert warned(lambda: pc.agreement(crowd([0.5, 1.5, 2.0]), level="interval")) == []


def test_sets_of_classes_are_no_missing_values() -> None:
    log = crowd([["a"], [], ["a", "b"], ["b"]])
    assert warned(lambda: pc.multilabel_agreement(log)) == []


def test_a_store_is_made_with_a_warning(tmp_path: Any) -> None:
    log = crowd(["yes", "no", "NA"])
    (said,) = warned(lambda: pc.AnnotationStore.create(tmp_path / "store", log))
    assert "Labels that look like missing values: 'NA' (6 rows)" in said
    create = pc.AnnotationStore.create
    assert warned(lambda: create(tmp_path / "b", log, classes=["yes", "no", "NA"])) == []
    assert warned(lambda: create(tmp_path / "c", log, missing=["NA"])) == []


def test_reports_say_what_labels_may_be() -> None:
    with pytest.warns(pc.AnnotationWarning, match=r"may not hold|nothing tells"):
        report = str(pc.dawid_skene(crowd(["yes", "no", "NA", "yes", "no"])))
    assert "labels that look like missing values: see check_annotations" in report


# --- rows without a label -------------------------------------------------------------------------

ABSTAINED = pl.concat(
    [
        crowd(["yes", "no", "yes", "no", "yes"]),
        pl.DataFrame({"example": [0, 7, 8, 8], "label": None, "annotator": ["x", "w0", "w0", "x"]}),
    ],
    how="vertical_relaxed",
)
TWO = "2 examples have no label at all, and no result: 7, 8."


@pytest.mark.parametrize("name", ["majority_vote", "example_agreement", "dawid_skene", "wawa"])
@pytest.mark.parametrize("duplicates", ["error", "first"])
def test_examples_without_any_label_are_told(name: str, duplicates: str) -> None:
    functions: dict[str, Callable[..., Any]] = {
        "majority_vote": lambda log, **o: pc.majority_vote(log, **o).collect(),
        "example_agreement": lambda log, **o: pc.example_agreement(log, **o).collect(),
        "dawid_skene": pc.dawid_skene,
        "wawa": pc.wawa,
    }
    for log in (ABSTAINED, ABSTAINED.lazy(), pc.scan_annotations(ABSTAINED, keep_missing=True)):
        assert warned(lambda: functions[name](log, duplicates=duplicates)) == [TWO]  # noqa: B023
    assert warned(lambda: functions[name](pc.scan_annotations(ABSTAINED))) == []


PROBS_OF_CROWD = pl.DataFrame({"example": range(5), "yes": 0.6, "no": 0.4})
FITS: dict[str, Callable[[Any], Any]] = {
    "crowdlab": lambda log: pc.crowdlab(log, PROBS_OF_CROWD),
    "dawid_skene": pc.dawid_skene,
    "gaussian_truth": lambda log: pc.gaussian_truth(
        log.with_columns(pl.col("label").replace_strict({"yes": 1.0, "no": 2.0}))
    ),
}


@pytest.mark.filterwarnings("ignore:2 examples have no label:polars_crowd.AnnotationWarning")
@pytest.mark.filterwarnings("ignore:.*nothing tells:polars_crowd.AnnotationWarning")
@pytest.mark.parametrize("name", FITS)
def test_annotators_who_abstain_are_counted_beside_their_quality(name: str) -> None:
    fit = FITS[name](ABSTAINED)
    counts = dict(fit.annotators.select("annotator", "num_abstained").rows())
    assert counts == {"w0": 2, **{f"w{k}": 0 for k in range(1, 6)}}
    assert "2 examples without any label: see check_annotations" in str(fit)
    without = FITS[name](ABSTAINED.drop_nulls("label"))
    assert "num_abstained" not in without.annotators.columns
    assert_frame_equal(fit.annotators.drop("num_abstained"), without.annotators)
    assert_frame_equal(fit.examples.collect(), without.examples.collect())


# --- too many classes -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", [pc.dawid_skene, pc.ibcc, pc.ebcc])
def test_methods_with_confusion_matrices_refuse_too_many_classes(
    method: Callable[..., Any],
) -> None:
    log = crowd(["a", "b", "c"])
    message = (
        "column 'label' of the log has 3 classes, and this method a matrix of 3 x 3 for each of "
        "6 annotators: 'a', 'b', 'c', ... Is this the label column?"
    )
    with pytest.raises(pc.AnnotationError, match=re.escape(message)):
        method(log, max_classes=2)
    with pytest.raises(ValueError, match="max_classes=0"):
        method(log, max_classes=0)
    assert inspect.signature(method).parameters["max_classes"].default == 1_000


def test_a_timestamp_is_no_label() -> None:
    times = [f"2024-01-01 00:{k // 60:02}:{k % 60:02}" for k in range(1_001)]
    log = pl.DataFrame({"example": range(1_001), "annotator": "a", "label": times})
    with (
        pytest.warns(pc.AnnotationWarning, match="Is this the label column"),
        pytest.raises(pc.AnnotationError, match="has 1,001 classes"),
    ):
        pc.dawid_skene(log)


def test_anonymous_annotators_are_not_judged() -> None:
    log = pl.DataFrame({"example": [1, 1, 2, 2, 3, 3], "label": list("xyxyxy")})
    assert pc.check_annotations(log, annotator=None).is_empty()
    more = pl.concat([log, pl.DataFrame({"example": [3, 4], "label": ["N/A", None]})])
    found = pc.check_annotations(more, annotator=None)
    none, unlabelled = "examples without any label", "rows without a label"
    assert found["what"].to_list() == [none, MISSING, unlabelled, ONCE]
    assert found["shown"].to_list()[-1] == ["'N/A'"]
