"""What must stay true of everything that is asked of a log: only the annotations matter.

Not the order of their rows, the names and types of ids, the files, parts and partitions they lie in, the
engine, the threads, or what else the log says. `tests/subjects.py` has what is asked.
"""

from __future__ import annotations

import inspect
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import polars_crowd as pc
from polars_crowd.numerics.mixture import TIE
from tests.cases import Case, assert_same, cases, dense, frame_of
from tests.subjects import (
    ANNOTATORS,
    ASKED,
    CROWDLAB,
    EACH_COEFFICIENT,
    EXAMPLES,
    LABELS,
    NOT_OF_A_LOG_ALONE,
    SUBJECTS,
    TRUTH,
    Answer,
    Subject,
    Trial,
    by_key,
    by_quantiles,
    trial_of,
    trials,
)
from tests.truth.truth_cases import assert_never_lower, every_pattern

pytestmark = pytest.mark.filterwarnings("ignore::polars_crowd.AnnotationWarning")

ROOT = Path(__file__).parents[1]
Random = np.random.Generator
Names = dict[str, dict[Any, Any]]
"""What each column's values are called instead."""

BY_CLASS = ["example", "label"]
PARTITIONS = (1, 2, 3, 20)
seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=6)


# --- the same log, told in another way -------------------------------------------------------------


def other_order(trial: Trial, random: Random) -> Answer:
    """The rows of the log and of the models, shuffled."""
    log, *probs = (
        frame.sample(fraction=1, shuffle=True, seed=int(random.integers(2**32)))
        for frame in (trial.log, *trial.probs)
    )
    return trial.answer(log, probs)


def other_engine(trial: Trial, random: Random) -> Answer:
    """The streaming engine."""
    with pl.Config(engine_affinity="streaming"):
        return trial.answer(trial.log.lazy())


def other_chunks(trial: Trial, random: Random) -> Answer:
    """Many chunks, of rows from everywhere."""
    return trial.answer(pl.concat(parts_of(trial.log, random), rechunk=False))


def several_logs(trial: Trial, random: Random) -> Answer:
    """A list of frames."""
    return trial.answer(parts_of(trial.log, random))


def parts_of(log: pl.DataFrame, random: Random) -> list[pl.DataFrame]:
    n = int(random.integers(2, 5))
    return [part for i in range(n) if (part := log.gather_every(n, i)).height]


def files(trial: Trial, random: Random) -> Answer:
    """A file, or several by a list or a glob, of Parquet or, where cells can hold it, of text."""
    is_text = trial.subject.in_text and trial.subject.labels != "sets"
    kinds = ["parquet", "csv"] if is_text else ["parquet"]
    kind = kinds[random.integers(len(kinds))]
    with TemporaryDirectory() as folder:
        parts = [trial.log, *parts_of(trial.log, random)]
        places = [Path(folder) / f"log {i}.{kind}" for i in range(len(parts))]
        for part, place in zip(parts, places, strict=True):
            part.write_csv(place) if kind == "csv" else part.write_parquet(place)
        where: list[Any] = [places[0], places[1:], f"{folder}/log [1-9].{kind}"]
        probs = [Path(folder) / f"probs {i}.parquet" for i in range(len(trial.probs))]
        for model, place in zip(trial.probs, probs, strict=True):
            model.write_parquet(place)
        return trial.answer(where[random.integers(3)], probs)


def partitions(trial: Trial, random: Random) -> Answer:
    """A store, with results that are written or not."""
    subject, models = trial.subject, trial.probs
    is_of_sets = subject.labels == "sets"
    kept = models or ([even(trial)] if is_of_sets else [])
    n, written = PARTITIONS[random.integers(4)], bool(random.integers(2))
    options = {name: value for name, value in trial.options.items() if name != "classes"}
    with TemporaryDirectory() as folder:
        place = Path(folder)
        store = pc.AnnotationStore.create(
            place / "store",
            trial.log,
            kept or None,
            partitions=n,
            classes=trial.options.get("classes"),
            multilabel=is_of_sets,
        )
        if written and "into" in subject.takes:
            options["into"] = place / "out"
        use = (True,) if models and trial.subject.tolerance > 1e-9 else ()
        return subject.answer(store, use, **options)


def even(trial: Trial) -> pl.DataFrame:
    """A model that knows nothing: a store of sets has one."""
    classes = dict.fromkeys(trial.classes, 0.5)
    return (
        trial.log.select("example")
        .unique()
        .with_columns(**{c: pl.lit(p) for c, p in classes.items()})
    )


def further_columns(trial: Trial, random: Random) -> Answer:
    """Columns that this is not about, of names that tables have, too."""
    numbers = pl.Series(random.integers(0, 3, trial.log.height))
    names = ("value", "coefficient", "weight", "num_annotations", "e1", "consensus", "note")
    others = {name: numbers for name in names if name not in trial.log.columns}
    found = trial.answer(trial.log.with_columns(**others))
    if "annotations" in found:
        found["annotations"] = by_key(found["annotations"].drop(others, strict=False))
    return found


def first_of_duplicates(trial: Trial, random: Random) -> Answer:
    """The log, and then other labels of some of its annotators."""
    return trial.answer([trial.log, relabelled(trial.log, random)], duplicates="first")


def last_of_duplicates(trial: Trial, random: Random) -> Answer:
    """Other labels of some annotators, and then the log."""
    return trial.answer([relabelled(trial.log, random), trial.log], duplicates="last")


def relabelled(log: pl.DataFrame, random: Random) -> pl.DataFrame:
    some = log[random.permutation(log.height)[: log.height // 2]]
    return some.with_columns(log["label"].gather(random.integers(0, log.height, some.height)))


def typed_ids(trial: Trial, random: Random) -> Answer:
    """Ids of another type in the same order; that of an Enum is its own. They keep their type."""
    size = 1 + max(
        trial.log.select(pl.selectors.by_name(*EXAMPLES, *ANNOTATORS, require_all=False))
        .max()
        .row(0)
    )
    dtype, ids = TYPES[random.integers(len(TYPES))](size, random)
    back = dict(enumerate(ids))
    found = with_names(trial, dict.fromkeys((*EXAMPLES, *ANNOTATORS), back), dtype)
    for table in found.values():
        there = [c for c in (*EXAMPLES, *ANNOTATORS) if c in table.columns]
        assert {table.schema[c] for c in there} <= {dtype}
    return restored(found, dict.fromkeys((*EXAMPLES, *ANNOTATORS), back))


def texts(size: int) -> list[str]:
    return [f"{i:03}" for i in range(size)]


def of_enum(size: int, random: Random) -> tuple[pl.DataType, list[Any]]:
    names = random.permutation(texts(size)).tolist()
    return pl.Enum(names), names


TYPES: list[Callable[[int, Random], tuple[pl.DataType, list[Any]]]] = [
    of_enum,
    lambda size, random: (pl.Categorical(), texts(size)),
    lambda size, random: (pl.String(), texts(size)),
    lambda size, random: (pl.UInt64(), [2**60 + i for i in range(size)]),
    lambda size, random: (pl.Int8(), list(range(size))),
    lambda size, random: (pl.Date(), [date(2026, 1, 5) + timedelta(i) for i in range(size)]),
]


def other_names(trial: Trial, random: Random) -> Answer:
    """Other examples, annotators and classes. The order of classes is kept, as it breaks ties."""
    names: Names = {}
    for columns, prefix in ((EXAMPLES, "e"), (ANNOTATORS, "a")):
        shuffled = random.permutation([f"{prefix}{i}" for i in range(30)]).tolist()
        names |= {c: dict(enumerate(shuffled)) for c in columns}
    options = {}
    if trial.classes:
        called = [f"k{i}" for i in range(len(trial.classes))]
        if trial.probs or "classes" in trial.options:
            called = random.permutation(called).tolist()
        names |= {c: dict(zip(trial.classes, called, strict=True)) for c in LABELS}
        options = {"classes": called} if "classes" in trial.options else {}
    return restored(with_names(trial, names, pl.String(), **options), names)


def with_names(trial: Trial, names: Names, dtype: Any, **options: Any) -> Answer:
    """What is answered where ids and classes are called so."""
    log, *probs = (
        called(frame, names, dtype).rename(
            {str(k): name for k, name in names.get("label", {}).items()} if i else {}, strict=False
        )
        for i, frame in enumerate((trial.log, *trial.probs))
    )
    return trial.answer(log, probs, **options)


def called(frame: pl.DataFrame, names: Names, dtype: Any) -> pl.DataFrame:
    return frame.with_columns(
        replaced(frame.schema[c], pl.col(c), names[c], dtype) for c in frame.columns if c in names
    )


def replaced(dtype: pl.DataType, values: pl.Expr, names: dict[Any, Any], into: Any) -> pl.Expr:
    if isinstance(dtype, pl.List):
        return values.list.eval(pl.element().replace_strict(names, return_dtype=into))
    return values.replace_strict(names, return_dtype=into)


def restored(found: Answer, names: Names) -> Answer:
    """The answer by the names that there were."""
    back = {c: {str(new): old for old, new in called.items()} for c, called in names.items()}
    return {name: by_key(in_pairs(spelt_back(table, back))) for name, table in found.items()}


def spelt_back(table: pl.DataFrame, back: Names) -> pl.DataFrame:
    columns = [c for c in table.columns if c in back]
    text = [
        pl.col(c) if table.schema[c].is_nested() else pl.col(c).cast(pl.String) for c in columns
    ]
    old = {
        c: pl.String if isinstance(next(iter(back[c].values())), str) else pl.Int64 for c in columns
    }
    return table.with_columns(text).with_columns(
        replaced(table.schema[c], pl.col(c), back[c], old[c]) for c in columns
    )


def in_pairs(table: pl.DataFrame) -> pl.DataFrame:
    """Which of two annotators comes first is a matter of names."""
    if "annotator_1" not in table.columns:
        return table
    pair = pl.col("annotator_1", "annotator_2")
    both = pl.concat_list(pair).list.sort()
    return table.with_columns(annotator_1=both.list.first(), annotator_2=both.list.last())


# --- groups ----------------------------------------------------------------------------------------


def in_groups(trial: Trial, random: Random) -> Answer:
    """A table of groups, of which each must be what its rows are alone; those that are none have no value."""
    groups = random.permutation(np.arange(trial.log.height) % 2)
    log = trial.log.with_columns(team=pl.Series(groups))
    together = trial.answer(log, by="team", **said(trial))["table"]
    for team, rows in log.group_by("team"):
        found = together.filter(team=team[0]).drop("team")
        try:
            alone = trial.answer(rows.drop("team"), **said(trial))["table"]
        except pc.AnnotationError:
            assert found["value"].null_count() == found.height
        else:
            known = [] if said(trial) else ["warning"]  # it counts the classes of the whole
            assert_same(found.drop(known), alone.drop(known))
    return trial.answer()


def said(trial: Trial) -> dict[str, Any]:
    """The classes, which are those of the whole also for a group in which not all occur."""
    there = trial.subject.labels == "classes" and "classes" in trial.subject.takes
    return {"classes": trial.classes} if there else {}


# --- all of it -------------------------------------------------------------------------------------

CHANGES: dict[Callable[[Trial, Random], Answer], Callable[[Subject], bool]] = {
    other_order: lambda subject: True,
    other_engine: lambda subject: True,
    other_chunks: lambda subject: True,
    several_logs: lambda subject: True,
    further_columns: lambda subject: True,
    files: lambda subject: True,
    partitions: lambda subject: subject.labels != "comparisons",
    first_of_duplicates: lambda subject: "duplicates" in subject.takes,
    last_of_duplicates: lambda subject: "duplicates" in subject.takes,
    typed_ids: lambda subject: not subject.names_matter,
    other_names: lambda subject: not subject.names_matter,
    in_groups: lambda subject: "by" in subject.takes and not subject.resamples,
}
"""Ways to tell the same, and whom they can be told."""
EXACT = (other_order, other_engine, other_chunks, several_logs, further_columns, files, typed_ids)
"""Those after which sums are as they were, also where they tie."""
every = pytest.mark.parametrize("subject", SUBJECTS, ids=repr)


@every
def test_only_the_annotations_matter(subject: Subject) -> None:
    answered = []

    @settings(max_examples=subject.draws, phases=[Phase.generate])
    @given(trial=trials(subject, ties=True), seed=seeds)
    def holds(trial: Trial, seed: int) -> None:
        expected: Answer | type[Exception]
        try:
            expected = trial.answer()
        except pc.AnnotationError as error:
            expected = type(error)
        answered.append(isinstance(expected, dict))
        changes = [change for change, can_be in CHANGES.items() if can_be(subject)]
        for change in changes[len(answered) % 2 :: 2]:  # one half and the other, in turn
            with told_of(change, trial):
                assert_told_again(trial, change, np.random.default_rng(seed), expected)

    holds()
    assert np.mean(answered) > 0.5, "most logs have an answer, not an error"


def test_all_functions_of_a_log_are_asked() -> None:
    functions = {name: getattr(pc, name) for name in pc.__all__}
    of_logs = {
        name
        for name, function in functions.items()
        if inspect.isfunction(function) and "log" in inspect.signature(function).parameters
    }
    assert of_logs - ASKED == {*NOT_OF_A_LOG_ALONE}


@contextmanager
def told_of(change: Callable[..., Any], trial: Trial) -> Iterator[None]:
    """What failed, and of which log."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"{change.__name__} {trial.options} of {trial.log.to_dict(as_series=False)}")
        raise


def assert_told_again(
    trial: Trial,
    change: Callable[[Trial, Random], Answer],
    random: Random,
    expected: Answer | type[Exception],
) -> None:
    if not isinstance(expected, dict):
        with pytest.raises(expected):
            change(trial, random)
    elif change in EXACT:
        assert_same_answer(change(trial, random), expected)
    else:
        found = change(trial, random)
        assert_same_answer(settled(found), settled(expected), trial.subject.tolerance)


def assert_same_answer(left: Answer, right: Answer, tolerance: float = 1e-9) -> None:
    assert left.keys() == right.keys()
    for name in left:
        assert_same(left[name], right[name], tolerance)


def settled(found: Answer) -> Answer:
    """Without the consensus of examples whose best classes tie up to rounding."""
    if not ({"posterior", "examples"} <= found.keys()) or by_quantiles(found["posterior"]):
        return found
    if "label" not in found["posterior"].columns:
        return found
    best = pl.col("probability").top_k(2)
    gap = found["posterior"].group_by("example").agg(gap=best.max() - best.min(), n=pl.len())
    clear = (pl.col("gap") > 1e-6) | (pl.col("n") == 1)
    examples = found["examples"].join(gap, on="example", maintain_order="left")
    labels = examples.with_columns(pl.when(clear).then("consensus_label").alias("consensus_label"))
    return {**found, "examples": labels.drop("gap", "n")}


def test_the_number_of_threads_does_not_matter(tmp_path: Path) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", f"from {__name__} import keep; keep({str(tmp_path / n)!r})"],
            cwd=ROOT,
            env={**os.environ, "POLARS_MAX_THREADS": n},
        )
        for n in ("1", "2")
    ]
    assert [process.wait() for process in started] == [0, 0]
    one, two = (pickle.loads((tmp_path / n).read_bytes()) for n in ("1", "2"))
    assert one.keys() == two.keys() == {subject.name for subject in SUBJECTS}
    for subject in SUBJECTS:
        assert_same_answer(one[subject.name], two[subject.name])


def keep(place: str) -> None:
    """Keep what all subjects answer to one larger log, of a process of its own."""
    found = {subject.name: larger(subject).answer() for subject in SUBJECTS}
    Path(place).write_bytes(pickle.dumps(found))


def larger(subject: Subject) -> Trial:
    """120 examples, of which annotators who are mostly right saw two of three."""
    random, k = np.random.default_rng(7), min(subject.most_classes, 3)
    shape = (120, subject.most_annotators)
    truth = random.integers(0, k, (120, 1))
    labels = np.where(random.random(shape) < 0.7, truth, random.integers(0, k, shape))
    labels[(random.random(shape) < 1 / 3) & (np.arange(shape[1]) > 1)] = -1
    models = [random.dirichlet(np.ones(k), 120) for _ in range(max(subject.models[0], 1))]
    options = {"max_iter": 5} if "max_iter" in subject.takes else {}
    return trial_of(subject, Case(labels, models), options)


# --- of some of it


of_neutral = pytest.mark.parametrize(
    "subject", [s for s in TRUTH if s.neutral and s.labels == "classes"], ids=repr
)


@of_neutral
@few
@given(data=st.data())
def test_the_order_of_classes_does_not_matter(subject: Subject, data: st.DataObject) -> None:
    """... but where the best classes tie."""
    trial = data.draw(trials(subject))
    forward, backward = (
        trial.answer(classes=classes)["posterior"]
        for classes in (trial.classes, trial.classes[::-1])
    )
    assert_same(forward, backward, subject.tolerance)


@pytest.mark.parametrize("subject", [s for s in TRUTH if s.labels == "classes"], ids=repr)
@few
@given(data=st.data())
def test_an_example_twice_is_judged_twice_the_same(subject: Subject, data: st.DataObject) -> None:
    trial = data.draw(trials(subject))
    log = [trial.log, trial.log.with_columns(pl.col("example") + 1000)]
    posterior = trial.answer(log)["posterior"]
    once, again = posterior.head(posterior.height // 2), posterior.tail(posterior.height // 2)
    assert_same(again.with_columns(pl.col("example") - 1000), once, 1e-12)


def test_results_may_be_the_log_of_another_run() -> None:
    """An earlier label_quality_score gives way to the new one; other columns stay."""
    data = pc.datasets.tutorial()
    first = pc.crowdlab(data.log.with_columns(seconds=1.5), data.pred_probs).annotations.collect()
    again = pc.crowdlab(first, data.pred_probs).annotations.collect()
    assert again.columns == ["example", "annotator", "label", "label_quality_score", "seconds"]
    assert_same(again, first)


@pytest.mark.parametrize("subject", CROWDLAB, ids=repr)
@few
@given(data=st.data())
def test_probabilities_of_single_precision_are_weighed_in_double(
    subject: Subject, data: st.DataObject
) -> None:
    trial = data.draw(trials(subject))
    single = [p.cast({pl.Float64: pl.Float32}) for p in trial.probs]
    double = [p.cast({pl.Float32: pl.Float64}) for p in single]
    assert_same_answer(ranked(trial, single), ranked(trial, double))


def ranked(trial: Trial, probs: list[pl.DataFrame]) -> Answer:
    """CROWDLAB's tables, and ActiveLab's scores with an example that nobody labelled."""
    more = [pl.concat([p, p.head(1).with_columns(example=pl.lit(-1, pl.Int64))]) for p in probs]
    scores = by_key(pc.activelab(trial.log, more).lazy().collect())
    return {**trial.answer(probs=probs), "scores": scores}


@settings(max_examples=30)
@given(cases())
def test_a_copy_of_all_annotations_changes_no_share(case: Case) -> None:
    votes, again = (
        pc.majority_vote(log, duplicates="all").collect() for log in (case.log, [case.log] * 2)
    )
    assert again["num_annotations"].equals(2 * votes["num_annotations"])
    assert_same(again.drop("num_annotations"), votes.drop("num_annotations"))


# --- degenerate logs -------------------------------------------------------------------------------


def plain(labels: list[list[int]], probs: NDArray[np.float64] | None = None, k: int = 2) -> Answer:
    """The answer for a matrix of labels (-1: none), by default with a model that knows nothing."""
    matrix = np.array(labels)
    p = np.full((len(matrix), k), 1 / k) if probs is None else probs
    case = Case(matrix, [p])
    found = CROWDLAB[0].answer(case.log, [frame_of(p)])
    found["majority"] = pc.majority_vote(case.log, frame_of(p)).collect()
    for table in ("examples", "annotations", "annotators"):
        floats = found[table].select(pl.selectors.float())
        assert all(s.drop_nulls().is_finite().all() for s in floats)
        assert all(
            s.drop_nulls().is_between(0, 1 + 1e-12).all()
            for s in floats.drop("annotator_weight", strict=False)
        )
    return found


@pytest.mark.parametrize(
    ("labels", "consensus"),
    [
        pytest.param([[0, 0]], [0], id="one example, agreed"),
        pytest.param([[0, 1]], [0], id="one example, tied"),
        pytest.param([[0, 1, 1]], [1], id="one example, outvoted"),
        pytest.param([[0, 1], [1, 0]], [0, 0], id="two annotators who never agree"),
        pytest.param([[0, 0], [0, 0]], [0, 0], id="one class"),
        pytest.param([[0, 1], [0, 1], [0, 1]], [0, 0, 0], id="all tied"),
        pytest.param([[0, 0, -1], [-1, -1, 1], [1, -1, -1]], [0, 1, 1], id="a single overlap"),
        pytest.param([[1, -1, -1, -1], [-1, 0, 0, -1], [-1, -1, -1, 1]], [1, 0, 1], id="islands"),
        pytest.param([[0] * 40], [0], id="more annotators than examples"),
    ],
)
def test_degenerate_logs_have_a_consensus(labels: list[list[int]], consensus: list[int]) -> None:
    found = plain(labels)
    assert found["examples"]["consensus_label"].to_list() == consensus
    assert found["majority"]["consensus_label"].to_list() == consensus
    counts = (np.array(labels) >= 0).sum(axis=0)
    assert found["annotators"]["num_examples_labeled"].to_list() == counts.tolist()


DEGENERATE = {
    "one annotator": pl.DataFrame({"example": [1, 2], "annotator": "a", "label": ["x", "y"]}),
    "one annotation": pl.DataFrame({"example": [1], "annotator": ["a"], "label": ["x"]}),
    "one class": pl.DataFrame({"example": [1, 1, 2], "annotator": [1, 2, 1], "label": ["x"] * 3}),
    "all tied": pl.DataFrame(
        {"example": [1, 1, 2, 2], "annotator": [1, 2, 1, 2], "label": [0, 1, 1, 0]}
    ),
    "tied alike": pl.DataFrame(
        {"example": [1, 1, 2, 2, 3, 3], "annotator": [1, 2] * 3, "label": [0, 1] * 3}
    ),
    "no overlap": pl.DataFrame({"example": [1, 2, 3], "annotator": [1, 2, 3], "label": [0, 1, 0]}),
    "every pattern": every_pattern(3, 2),
    "a crowd on one example": pl.concat(
        [
            pl.DataFrame({"example": 0, "annotator": range(900), "label": [0, 1, 1] * 300}),
            pl.DataFrame({"example": [1, 1], "annotator": [0, 1], "label": [0, 1]}),
        ],
        how="vertical_relaxed",
    ),
}
OF_MANY_CLASSES = {
    "every pattern of three": every_pattern(3, 3),
    "unused classes": pl.DataFrame(
        {"example": [1, 1, 2], "annotator": [1, 2, 1], "label": ["x", "y", "x"]},
        schema_overrides={"label": pl.Enum(["w", "x", "y", "z"])},
    ),
}


SURE = ("dawid_skene", "one_coin_dawid_skene", "zencrowd", "ibcc")
"""Those for which the votes of hundreds of annotators are independent evidence."""


@pytest.mark.parametrize("name", [*DEGENERATE, *OF_MANY_CLASSES])
@pytest.mark.parametrize("subject", [s for s in TRUTH if s.labels == "classes"], ids=repr)
def test_degenerate_logs_have_a_posterior(subject: Subject, name: str) -> None:
    log = {**DEGENERATE, **OF_MANY_CLASSES}[name]
    if name in OF_MANY_CLASSES and subject.most_classes == 2:
        with pytest.raises(pc.AnnotationError, match="classes"):
            subject.answer(log)
        return
    found = subject.answer(log)
    shares = found["posterior"].group_by("example").agg(pl.col("probability").sum())
    np.testing.assert_allclose(shares["probability"], 1)
    assert (found["posterior"]["probability"] >= 0).all()
    assert found["trace"]["objective"].is_finite().all()
    if subject.climbs:
        assert_never_lower(found["trace"]["objective"])
    assert found["examples"].height == log["example"].n_unique()
    if name == "a crowd on one example":
        assert found["examples"]["consensus_label"][0] == 1
        assert found["examples"]["consensus_quality_score"][0] > (
            0.999 if subject.name in SURE else 0.5
        )


@pytest.mark.parametrize("subject", [s for s in TRUTH if s.labels == "classes"], ids=repr)
@few
@given(data=st.data())
def test_posteriors_are_probabilities(subject: Subject, data: st.DataObject) -> None:
    found = data.draw(trials(subject)).answer()
    T = dense(found["posterior"].lazy())
    assert (T >= 0).all()
    np.testing.assert_allclose(T.sum(axis=1), 1, atol=1e-12)
    examples = found["examples"]
    own = examples.rename({"consensus_label": "label"}).join(found["posterior"], BY_CLASS)
    assert own["consensus_quality_score"].equals(own["probability"])
    assert own.height == len(T)
    best = examples["consensus_quality_score"].to_numpy()
    np.testing.assert_allclose(best, T.max(axis=1), rtol=0, atol=TIE)
    assert found["examples"]["annotator_agreement"].is_between(0, 1).all()
    assert found["annotators"]["annotator_quality"].is_between(0, 1 + 1e-12).all()
    assert found["trace"]["objective"].is_finite().all()


@pytest.mark.parametrize("name", [*DEGENERATE, *OF_MANY_CLASSES])
@pytest.mark.parametrize("subject", EACH_COEFFICIENT, ids=repr)
def test_degenerate_logs_have_a_value_or_a_reason(subject: Subject, name: str) -> None:
    log = {**DEGENERATE, **OF_MANY_CLASSES}[name]
    if subject.labels == "numbers":
        log = log.with_columns(label=pl.col("label").rank("dense").cast(pl.Float64))
    if log["annotator"].n_unique() == 1:
        with pytest.raises(pc.AnnotationError, match="one annotator"):
            subject.answer(log)
        return
    found = subject.answer(log)["table"]
    assert (found["value"].is_not_null() | found["reason"].is_not_null()).all()
    assert found["value"].drop_nulls().is_finite().all()


def test_a_model_that_is_always_right_and_one_that_is_always_wrong() -> None:
    labels = [[0, 0, 1], [1, 1, 0], [0, 0, 0], [1, 1, 1]]
    right = np.eye(2)[[0, 1, 0, 1]]
    for probs in (right, 1 - right):
        assert plain(labels, probs)["examples"]["consensus_label"].to_list() == [0, 1, 0, 1]


def test_many_classes_of_which_one_example_each() -> None:
    k = 50
    found = plain([[c, c] for c in range(k)], np.full((k, k), 1 / k), k)
    assert found["examples"]["consensus_label"].to_list() == list(range(k))
    assert found["annotators"]["agreement_with_consensus"].to_list() == [1.0, 1.0]


@settings(max_examples=30)
@given(cases())
def test_one_annotator_of_all_cannot_be_compared(case: Case) -> None:
    alone = case.log.filter(pl.col("annotator") == 0)
    assume(alone.height)
    with pytest.raises(pc.AnnotationError, match="has one annotation only"):
        pc.crowdlab(alone, case.pred_probs[0])
    vote = pc.majority_vote(alone).collect()
    assert vote["consensus_label"].to_list() == alone.sort("example")["label"].to_list()


@settings(max_examples=30)
@given(cases(max_models=2, ties=True))
def test_scores_are_probabilities_of_the_posterior(case: Case) -> None:
    fit = pc.crowdlab(case.log, case.pred_probs)
    q = dense(fit.posterior)
    np.testing.assert_allclose(q.sum(axis=1), 1, rtol=0, atol=1e-12)
    assert q.min() >= 0
    examples = fit.examples.collect()
    own = q[np.arange(len(q)), examples["consensus_label"].to_numpy()]
    np.testing.assert_allclose(examples["consensus_quality_score"], own, rtol=0, atol=1e-12)
    rows = fit.annotations.collect()
    given_labels = q[rows["example"].to_numpy(), rows["label"].to_numpy()]
    np.testing.assert_allclose(rows["label_quality_score"], given_labels, rtol=0, atol=1e-12)
