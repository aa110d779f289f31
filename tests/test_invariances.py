"""What must stay true of everything that is asked of a log: only the annotations matter.

Every method of truth inference and every coefficient of agreement is here by being registered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import polars_crowd as pc
from polars_crowd.numerics.mixture import TIE
from polars_crowd.reliability.registry import COEFFICIENTS, ICC_FORMS
from polars_crowd.truth.registry import METHODS, Method
from tests.cases import Case, assert_same, cases, dense, frame_of, log_of, text_case
from tests.truth.truth_cases import assert_never_lower, every_pattern

pytestmark = pytest.mark.filterwarnings("ignore::polars_crowd.AnnotationWarning")

Answer = dict[str, pl.DataFrame]
KEYS = ("coefficient", "left", "right", "example", "annotator", "true_label")
"""The columns by which tables are sorted before they are compared."""
BY_CLASS = ["example", "label"]
NAMES = {
    "example": ("example", "left", "right", "winner"),
    "annotator": ("annotator",),
    "label": ("label", "true_label", "consensus_label", "worst_class"),
}
"""The columns that a renaming renames."""

NO_OPTIONS: st.SearchStrategy[dict[str, Any]] = st.just({})
seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=6)


@dataclass(frozen=True)
class Subject:
    """What is asked of a log, or of a log and models."""

    name: str
    ask: Callable[..., dict[str, Any]]
    """(log, probs, **options) to tables."""
    options: st.SearchStrategy[dict[str, Any]] = NO_OPTIONS
    most_models: int = 1
    most_classes: int = 4
    most_annotators: int = 6
    climbs: bool = False
    """Whether its trace is an objective that no iteration lowers."""
    labels: str = "classes"
    """What labels are: classes with names, numbers, or the winners of comparisons."""
    tolerance: float = 1e-9
    """... of what may be summed in another order."""

    def __repr__(self) -> str:
        return self.name

    def answer(self, log: Any, probs: Any, **options: Any) -> Answer:
        """All the tables, sorted by their keys."""
        found = self.ask(log, probs, **options)
        return {name: by_key(table.lazy().collect()) for name, table in found.items()}

    def trials(self, *, ties: bool = False) -> st.SearchStrategy[tuple[Case, dict[str, Any]]]:
        """Logs, and options to ask with."""
        drawn = cases(
            max_annotators=self.most_annotators,
            max_classes=self.most_classes,
            max_models=self.most_models,
            ties=ties,
        )
        return st.tuples(drawn, self.options)

    def log(self, case: Case) -> pl.DataFrame:
        if self.labels == "numbers":
            return numbers_of(case)
        return comparisons_of(case) if self.labels == "comparisons" else case.log


def by_key(table: pl.DataFrame) -> pl.DataFrame:
    """Sorted by the columns that tell its rows apart; quantiles of numbers by their probability."""
    ends = ("probability",) if by_quantiles(table) else ("label",)
    keys = [key for key in (*KEYS, *ends) if key in table.columns]
    return table.sort(keys) if keys else table


def by_quantiles(posterior: pl.DataFrame) -> bool:
    """Whether it says numbers by probability, not probabilities by class."""
    return (
        "probability" in posterior.columns and posterior.schema.get("label", pl.Float64).is_float()
    )


def settled(found: Answer) -> Answer:
    """Without the consensus of examples whose best classes tie up to rounding."""
    if not ({"posterior", "examples"} <= found.keys()) or by_quantiles(found["posterior"]):
        return found
    best = pl.col("probability").top_k(2)
    gap = found["posterior"].group_by("example").agg(gap=best.max() - best.min(), n=pl.len())
    clear = (pl.col("gap") > 1e-6) | (pl.col("n") == 1)
    examples = found["examples"].join(gap, on="example", maintain_order="left")
    labels = examples.with_columns(pl.when(clear).then("consensus_label").alias("consensus_label"))
    return {**found, "examples": labels.drop("gap", "n")}


def numbers_of(case: Case) -> pl.DataFrame:
    """Labels that are numbers, no two the same."""
    apart = np.sqrt(np.arange(case.labels.size)).reshape(case.labels.shape) % 1
    return log_of(np.where(case.labels < 0, np.nan, case.labels + apart))


def comparisons_of(case: Case) -> pl.DataFrame:
    """Each annotation as a comparison of its example with the next one, won by the first if it is class 0."""
    left, n = pl.col("example"), len(case.labels)
    right = (left + 1) % n
    winner = pl.when(pl.col("label") == 0).then(left).otherwise(right)
    return case.log.select("annotator", left=left, right=right, winner=winner)


# --- what is asked ---------------------------------------------------------------------------------


def crowdlab(log: Any, probs: Any, **given_options: Any) -> dict[str, Any]:
    """CROWDLAB's tables, and the majority vote with the same policies."""
    fit = pc.crowdlab(log, probs, **given_options)
    policies = {k: given_options[k] for k in ("classes", "duplicates") if k in given_options}
    return {
        "majority": pc.majority_vote(log, probs, **policies),
        "examples": fit.examples,
        "annotations": fit.annotations,
        "annotators": fit.annotators,
    }


def truth(of: Method, log: Any, probs: Any, **given_options: Any) -> dict[str, Any]:
    """The tables of a method of truth inference."""
    fit = of.function(log, **CHEAPER.get(of.name, {}), **given_options)
    return {name: getattr(fit, name) for name in of.tables} | {"trace": fit.trace.to_frame()}


def coefficients(names: tuple[str, ...], log: Any, probs: Any, **options: Any) -> dict[str, Any]:
    return {"agreement": pc.agreement(log, coefficients=names, **options)}


CHEAPER: dict[str, dict[str, Any]] = {"ebcc": {"n_subtypes": 3, "restarts": 2}}
CROWDLAB_OPTIONS = st.fixed_dictionaries(
    {
        "consensus_method": st.sampled_from(["best_quality", "majority_vote"]),
        "quality_method": st.sampled_from(["crowdlab", "agreement"]),
        "label_quality_method": st.sampled_from(["self_confidence", "normalized_margin"]),
        "adjust_pred_probs": st.booleans(),
        "calibrate": st.booleans(),
    }
)
CROWDLAB = [
    Subject(name, crowdlab, CROWDLAB_OPTIONS, most_models=n)
    for name, n in (("crowdlab", 1), ("crowdlab of an ensemble", 2))
]


def of_method(of: Method, name: str = "", **variant: Any) -> Subject:
    return Subject(
        name or of.name,
        partial(truth, of, **variant),
        st.just({"max_iter": 10, "tol": 1e-6} if "tol" in of.options else {}),
        labels=of.labels,
        most_classes=of.most_classes or 4,
        climbs=of.climbs,
        tolerance=1e-7,
    )


TRUTH = [
    *(of_method(method) for method in METHODS.values()),
    of_method(METHODS["mace"], "mace by variational Bayes", method="vb"),
]
AGREEMENT = [
    *(
        Subject(c.name, partial(coefficients, (c.name,)), most_annotators=c.annotators or 6)
        for c in COEFFICIENTS
        if c.name != "icc"
    ),
    Subject("icc", partial(coefficients, ICC_FORMS), labels="numbers"),
]
SUBJECTS = [*CROWDLAB, *TRUTH, *AGREEMENT]
OF_EXAMPLES = [subject for subject in SUBJECTS if subject.labels != "comparisons"]
OF_CLASSES = [subject for subject in SUBJECTS if subject.labels == "classes"]

every = pytest.mark.parametrize("subject", SUBJECTS, ids=repr)
of_examples = pytest.mark.parametrize("subject", OF_EXAMPLES, ids=repr)
of_classes = pytest.mark.parametrize("subject", OF_CLASSES, ids=repr)


def assert_same_answer(left: Answer, right: Answer, tolerance: float = 1e-9) -> None:
    assert left.keys() == right.keys()
    for name in left:
        assert_same(left[name], right[name], tolerance)


def renamed(found: Answer, **names: dict[Any, Any]) -> Answer:
    """The answer with other ids and labels, sorted anew."""
    mapping = {c: names[kind] for kind in names for c in NAMES[kind]}
    return {
        table: by_key(
            frame.with_columns(
                pl.col(c).replace_strict(mapping[c]) for c in frame.columns if c in mapping
            )
        )
        for table, frame in found.items()
    }


def shuffled(names: list[Any], seed: int) -> dict[int, Any]:
    """Codes 0, 1, ... to names in a random order."""
    return dict(enumerate(np.random.default_rng(seed).permutation(names).tolist()))


# --- order, engine, partitions ---------------------------------------------------------------------


@every
@few
@given(data=st.data(), seed=seeds)
def test_the_order_of_rows_does_not_matter(
    subject: Subject, data: st.DataObject, seed: int
) -> None:
    case, options = data.draw(subject.trials(ties=True))
    log = subject.log(case)
    probs = [p.sample(fraction=1, shuffle=True, seed=seed) for p in case.pred_probs]
    found = subject.answer(log.sample(fraction=1, shuffle=True, seed=seed), probs, **options)
    assert_same_answer(found, subject.answer(log, case.pred_probs, **options))


@every
@few
@given(data=st.data())
def test_the_engine_does_not_matter(subject: Subject, data: st.DataObject) -> None:
    case, options = data.draw(subject.trials(ties=True))
    found = []
    for engine in ("in-memory", "streaming"):
        with pl.Config(engine_affinity=engine):
            found.append(subject.answer(subject.log(case).lazy(), case.pred_probs, **options))
    assert_same_answer(found[0], found[1])


@every
@few
@given(data=st.data(), n_parts=st.integers(1, 4))
def test_how_the_log_is_cut_into_parts_does_not_matter(
    subject: Subject, data: st.DataObject, n_parts: int
) -> None:
    case, options = data.draw(subject.trials())
    parts = [subject.log(case).gather_every(n_parts, i) for i in range(n_parts)]
    expected = subject.answer(subject.log(case), case.pred_probs, **options)
    for log in (parts, pl.concat(parts, rechunk=False)):
        assert_same_answer(subject.answer(log, case.pred_probs, **options), expected)


@of_examples
@settings(max_examples=5)
@given(data=st.data(), n=st.integers(2, 5))
def test_a_store_gives_the_answer_of_memory(
    tmp_path_factory: pytest.TempPathFactory, subject: Subject, data: st.DataObject, n: int
) -> None:
    case, options = data.draw(subject.trials())
    models = [case.pred_probs] if subject in CROWDLAB else []
    path = tmp_path_factory.mktemp("store") / "store"
    store = pc.AnnotationStore.create(path, subject.log(case), *models, partitions=n)
    expected = subject.answer(subject.log(case), case.pred_probs, **options)
    found = subject.answer(store, None, **options)
    assert_same_answer(settled(found), settled(expected), subject.tolerance)


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
    case, options = data.draw(subject.trials())
    single = [p.cast({pl.Float64: pl.Float32}) for p in case.pred_probs]
    double = [p.cast({pl.Float32: pl.Float64}) for p in single]
    found, expected = ranked(case, single, **options), ranked(case, double, **options)
    assert_same_answer(found, expected)


def ranked(case: Case, probs: list[pl.DataFrame], **options: Any) -> Answer:
    """CROWDLAB's tables, and ActiveLab's scores with an example that nobody labelled."""
    more = [pl.concat([p, p.head(1).with_columns(example=pl.lit(-1, pl.Int64))]) for p in probs]
    scores = by_key(pc.activelab(case.log, more).lazy().collect())
    return {**CROWDLAB[0].answer(case.log, probs, **options), "scores": scores}


# --- names -----------------------------------------------------------------------------------------


@every
@few
@given(data=st.data(), seed=st.tuples(seeds, seeds, seeds))
def test_renaming_renames_the_answer(
    subject: Subject, data: st.DataObject, seed: tuple[int, int, int]
) -> None:
    """Of examples, annotators and classes. The order of classes is kept, as it breaks ties."""
    case, options = data.draw(subject.trials())
    names = {
        "example": shuffled([f"e{e}" for e in range(len(case.labels))], seed[0]),
        "annotator": shuffled([f"a{a}" for a in range(case.labels.shape[1])], seed[1]),
    }
    if subject.labels == "classes":
        names["label"] = shuffled([f"c{c}" for c in range(case.n_classes)], seed[2])
    columns = {c: m for kind, m in names.items() for c in NAMES[kind]}
    log = subject.log(case)
    log = log.with_columns(
        pl.col(c).replace_strict(columns[c]) for c in log.columns if c in columns
    )
    labels = {str(c): name for c, name in names.get("label", {}).items()}
    probs = [
        p.rename(labels, strict=False).with_columns(
            pl.col("example").replace_strict(names["example"])
        )
        for p in case.pred_probs
    ]
    expected = subject.answer(
        subject.log(case), case.pred_probs, **options, **classes_of(subject, range(case.n_classes))
    )
    found = subject.answer(log, probs, **options, **classes_of(subject, labels.values()))
    assert_same_answer(settled(found), settled(renamed(expected, **names)), subject.tolerance)


def classes_of(subject: Subject, names: Iterable[Any]) -> dict[str, list[Any]]:
    """The option that says the order of classes; with pred_probs it is that of their columns."""
    told = subject.labels == "classes" and subject not in CROWDLAB
    return {"classes": list(names)} if told else {}


@of_classes
@few
@given(data=st.data())
def test_strings_and_integers_give_the_same_answer(subject: Subject, data: st.DataObject) -> None:
    case, options = data.draw(subject.trials())
    log, probs, classes = text_case(case)
    found = subject.answer(log, probs, **options)
    expected = subject.answer(case.log, case.pred_probs, **options)
    names = {
        "example": {e: f"e{e:03}" for e in range(len(case.labels))},
        "annotator": {a: f"a{a:03}" for a in range(case.labels.shape[1])},
        "label": dict(enumerate(classes)),
    }
    assert_same_answer(found, renamed(expected, **names))


@every
@few
@given(
    data=st.data(), dtype=st.sampled_from([pl.Categorical, pl.Enum, pl.UInt64, pl.Int8, pl.Date])
)
def test_the_type_of_ids_does_not_matter(subject: Subject, data: st.DataObject, dtype: Any) -> None:
    """Text that sorts like the numbers, and numbers of other widths; ids keep their type."""
    case, options = data.draw(subject.trials())
    log = subject.log(case)
    ids = [c for c in (*NAMES["example"], *NAMES["annotator"]) if c in log.columns]
    typed = log.with_columns(typed_id(column, dtype) for column in ids)
    probs = [p.with_columns(typed_id("example", dtype)) for p in case.pred_probs]
    found = subject.answer(typed, probs, **options)
    expected = subject.answer(log, case.pred_probs, **options)
    ids_of = pl.DataFrame({"id": range(20)}).select(typed_id("id", dtype).cast(pl.String))
    back = {name: number for number, name in enumerate(ids_of.to_series())}
    for frame in found.values():
        there = [c for c in (*NAMES["example"], *NAMES["annotator"]) if c in frame.columns]
        assert {frame.schema[c] for c in there} <= {typed.schema[ids[0]]}
    numbered = {
        table: by_key(
            frame.with_columns(
                pl.col(c).cast(pl.String).replace_strict(back).cast(pl.Int64)
                for c in (*NAMES["example"], *NAMES["annotator"])
                if c in frame.columns
            )
        )
        for table, frame in found.items()
    }
    assert_same_answer(numbered, expected)


def typed_id(column: str, dtype: Any) -> pl.Expr:
    """Integer ids in another type, in the same order."""
    number = pl.col(column).cast(pl.Int32)
    if dtype not in (pl.Categorical, pl.Enum):
        return number.cast(dtype)
    names = [f"{i:02}" for i in range(20)]
    text = number.replace_strict(dict(enumerate(names)))
    return text.cast(pl.Enum(names) if dtype == pl.Enum else pl.Categorical)


# --- duplicates ------------------------------------------------------------------------------------


@of_examples
@few
@given(data=st.data(), seed=seeds)
def test_first_and_last_of_duplicates(subject: Subject, data: st.DataObject, seed: int) -> None:
    """Other annotations of the same pairs, after the log or before it."""
    case, options = data.draw(subject.trials())
    log, rng = subject.log(case), np.random.default_rng(seed)
    some = log.sample(fraction=0.5, seed=seed)
    others = pl.Series(rng.choice(log["label"].to_numpy(), some.height))
    other = some.with_columns(label=others.cast(log.schema["label"]))
    expected = subject.answer(log, case.pred_probs, **options)
    for policy, both in (("first", [log, other]), ("last", [other, log])):
        found = subject.answer(both, case.pred_probs, duplicates=policy, **options)
        assert_same_answer(found, expected)


@settings(max_examples=30)
@given(CROWDLAB[0].trials())
def test_a_copy_of_all_annotations_changes_no_share(trial: tuple[Case, dict[str, Any]]) -> None:
    case, options = trial
    log = [case.log, case.log]
    twice = CROWDLAB[0].answer(log, case.pred_probs, duplicates="all", **options)
    once = CROWDLAB[0].answer(case.log, case.pred_probs, **options)
    counts = (2 * (case.labels >= 0).sum(axis=1)).tolist()
    assert twice["examples"]["num_annotations"].to_list() == counts
    votes = (found["majority"]["annotator_agreement"].to_list() for found in (twice, once))
    assert next(votes) == next(votes)


# --- degenerate logs -------------------------------------------------------------------------------


def plain(labels: list[list[int]], probs: NDArray[np.float64] | None = None, k: int = 2) -> Answer:
    """The answer for a matrix of labels (-1: none), by default with a model that knows nothing."""
    matrix = np.array(labels)
    p = np.full((len(matrix), k), 1 / k) if probs is None else probs
    case = Case(matrix, [p])
    found = CROWDLAB[0].answer(case.log, frame_of(p))
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
            pl.DataFrame({"example": 0, "annotator": range(3000), "label": [0, 1, 1] * 1000}),
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
"""Those for which the votes of a thousand annotators are independent evidence."""


@pytest.mark.parametrize("name", [*DEGENERATE, *OF_MANY_CLASSES])
@pytest.mark.parametrize("subject", [s for s in TRUTH if s.labels == "classes"], ids=repr)
def test_degenerate_logs_have_a_posterior(subject: Subject, name: str) -> None:
    log = {**DEGENERATE, **OF_MANY_CLASSES}[name]
    if name in OF_MANY_CLASSES and subject.most_classes == 2:
        with pytest.raises(pc.AnnotationError, match="classes"):
            subject.answer(log, None)
        return
    found = subject.answer(log, None)
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
    case, options = data.draw(subject.trials())
    found = subject.answer(case.log, None, **options)
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
@pytest.mark.parametrize("subject", AGREEMENT, ids=repr)
def test_degenerate_logs_have_a_value_or_a_reason(subject: Subject, name: str) -> None:
    log = {**DEGENERATE, **OF_MANY_CLASSES}[name]
    if subject.labels == "numbers":
        log = log.with_columns(label=pl.col("label").rank("dense").cast(pl.Float64))
    if log["annotator"].n_unique() == 1:
        with pytest.raises(pc.AnnotationError, match="one annotator"):
            subject.answer(log, None)
        return
    found = subject.answer(log, None)["agreement"]
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
