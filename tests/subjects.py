"""Everything that a log can be asked, in one table: what must hold of all of it is tested by this table.

A method of truth inference and a coefficient of agreement are here by being registered; another function of
a log is a line of `OTHERS`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
import polars as pl
from hypothesis import strategies as st

import polars_crowd as pc
from polars_crowd.reliability.registry import COEFFICIENTS, ICC_FORMS
from polars_crowd.truth.registry import METHODS, Method
from tests.cases import CROWDLAB_OPTIONS, Case, cases, log_of

Answer = dict[str, pl.DataFrame]
Options = dict[str, Any]

EXAMPLES = ("example", "left", "right", "winner")
ANNOTATORS = ("annotator", "annotator_1", "annotator_2")
LABELS = (
    *("label", "true_label", "consensus_label", "worst_class", "class", "label_1", "label_2"),
    "most_used_label",
)
"""The columns with ids of examples, of annotators, and with labels, in logs and tables."""
KEYS = (
    "coefficient",
    "method",
    "what",
    *EXAMPLES[:3],
    *ANNOTATORS,
    "true_label",
    *LABELS[4:7],
    "flag",
)
"""The columns by which tables are sorted before they are compared."""

NO_OPTIONS: st.SearchStrategy[Options] = st.just({})


@dataclass(frozen=True)
class Subject:
    """What is asked of a log, or of a log and models."""

    name: str
    function: Callable[..., Any]
    """(log, *models, **options) to a table or to what has TABLES."""
    options: st.SearchStrategy[Options] = NO_OPTIONS
    labels: str = "classes"
    """What labels are: classes with names, numbers, sets of classes, or the winners of comparisons."""
    models: tuple[int, int] = (0, 0)
    """How many models it is asked with, at least and at most."""
    most_classes: int = 4
    most_annotators: int = 6
    climbs: bool = False
    """Whether its trace is an objective that no iteration lowers."""
    neutral: bool = False
    """Whether the order of classes decides nothing but the label of a tied example."""
    tolerance: float = 1e-9
    """... of what may be summed in another order, or in many steps."""
    draws: int = 4
    """How many logs it is asked of."""
    names_matter: bool = False
    """Whether names are what it is about, or what it draws by."""
    resamples: bool = False
    """Whether its intervals go by draws of all the examples there are."""

    in_text: bool = True
    """Whether decimals in a text file are numbers to it: `007` and `3.0` are text to others."""

    def __repr__(self) -> str:
        return self.name

    @property
    def asks(self) -> Callable[..., Any]:
        """The function without the options that it is given."""
        function = self.function
        while isinstance(function, partial):
            function = function.func
        return function

    @cached_property
    def takes(self) -> frozenset[str]:
        """The options that its function has."""
        return frozenset(inspect.signature(self.asks).parameters)

    def answer(self, log: Any, probs: Any = (), **options: Any) -> Answer:
        """All the tables, sorted by their keys; of a store `probs` says whether its models are used."""
        if isinstance(probs, list):
            probs = (probs,) if probs else ()
        found = self.function(log, *probs, **options)
        return {name: by_key(table.lazy().collect()) for name, table in tables_of(found).items()}


def tables_of(found: Any) -> dict[str, Any]:
    if isinstance(found, (pl.DataFrame, pl.LazyFrame)):
        return {"table": found}
    if isinstance(found, dict):
        return found
    tables = {name: getattr(found, name, None) for name in (*found.TABLES, "trace")}
    framed = {n: t.to_frame() if isinstance(t, pl.Series) else t for n, t in tables.items()}
    return {name: table for name, table in framed.items() if table is not None}


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


# --- what is asked ---------------------------------------------------------------------------------


def compared(log: Any, **options: Any) -> dict[str, pl.LazyFrame]:
    """The tables of a comparison, but for the seconds that it took."""
    found = pc.compare(log, ["majority_vote", "wawa", "one_coin_dawid_skene"], **options)
    labels = found.labels.lazy().collect().unpivot(index="example", variable_name="method")
    return {
        "methods": found.methods.drop("seconds").lazy(),
        "labels": labels.rename({"value": "consensus_label"}).lazy(),
    }


def difference(log: Any, **options: Any) -> pl.DataFrame:
    return pc.agreement_difference(
        log, coefficient="fleiss_kappa", other="gwet_ac1", n_boot=20, **options
    )


def annotator_report(
    log: Any, *, classes: Any = None, duplicates: Any = "error"
) -> dict[str, pl.DataFrame]:
    """The tables of a report, but for what goes by the order of rows, repeats, and names in reasons."""
    found = pc.annotator_report(log, classes=classes, duplicates=duplicates)
    by_rows = ("longest_run", "num_repeated", "repeat_consistency")
    return {
        "annotators": found.annotators.drop(by_rows),
        "confusion": found.confusion,
        "flags": found.flags.drop("reason"),
    }


def findings(log: Any) -> pl.DataFrame:
    """What is found without a word about the classes, of which a store has its own."""
    return pc.check_annotations(log)


CHEAPER: dict[str, Options] = {"ebcc": {"n_subtypes": 3, "restarts": 2}}
FEWER = {"blend": 2, "ebcc": 2}
"""Draws of what takes long."""
ADJUSTED = st.tuples(CROWDLAB_OPTIONS, st.booleans()).map(
    lambda drawn: {**drawn[0], "adjust_pred_probs": drawn[1] and "entropy" not in str(drawn[0])}
)
CROWDLAB = [
    Subject("crowdlab", pc.crowdlab, ADJUSTED, models=(1, 1)),
    Subject("crowdlab of an ensemble", pc.crowdlab, ADJUSTED, models=(2, 2)),
]


def of_method(
    of: Method, name: str = "", models: tuple[int, int] = (0, 0), **given: Any
) -> Subject:
    given = {**CHEAPER.get(of.name, {}), **given}
    return Subject(
        name or of.name,
        partial(of.function, **given) if given else of.function,
        st.just({"max_iter": 10, "tol": 1e-6} if "tol" in of.options else {}),
        labels=of.labels,
        models=models,
        most_classes=of.most_classes or 4,
        climbs=of.climbs,
        neutral=of.neutral,
        tolerance=1e-7,
        draws=FEWER.get(of.name, 4),
    )


TRUTH = [
    *(of_method(method) for method in METHODS.values()),
    of_method(METHODS["mace"], "mace by variational Bayes", method="vb"),
]
WITH_MODELS = [
    of_method(method, f"{method.name} with models", (1, 2))
    for method in METHODS.values()
    if "pred_probs" in method.options
]


def of_coefficients(name: str, names: tuple[str, ...], **more: Any) -> Subject:
    return Subject(name, partial(pc.agreement, coefficients=names), **more)


OF_NUMBERS = of_coefficients("icc", ICC_FORMS, labels="numbers")
EACH_COEFFICIENT = [
    *(
        of_coefficients(c.name, (c.name,), most_annotators=c.annotators or 6)
        for c in COEFFICIENTS
        if c.name != "icc"
    ),
    OF_NUMBERS,
]
OF_CLASSES = [c for c in COEFFICIENTS if c.name != "icc"]
BOOTSTRAP: Options = {"interval": "bootstrap", "n_boot": 20}
AGREEMENT = [
    of_coefficients("agreement of two", tuple(c.name for c in OF_CLASSES), most_annotators=2),
    of_coefficients("agreement", tuple(c.name for c in OF_CLASSES if not c.annotators)),
    of_coefficients(
        "agreement by bootstrap",
        tuple(c.name for c in OF_CLASSES if not c.asks_who_voted),
        options=st.just(BOOTSTRAP),
        resamples=True,
    ),
    OF_NUMBERS,
    Subject("agreement_by_class", pc.agreement_by_class),
    Subject("agreement_by_annotator", pc.agreement_by_annotator),
    Subject("example_agreement", pc.example_agreement),
    Subject("vote_shares", pc.vote_shares),
    Subject("kendall_w", pc.kendall_w, labels="numbers", in_text=False),
    Subject("spearman", pc.spearman, labels="numbers", in_text=False),
    Subject("pairwise_agreement", pc.pairwise_agreement),
    Subject("disagreements", pc.disagreements),
    Subject("agreement_difference", difference, names_matter=True),
    Subject("multilabel_agreement", pc.multilabel_agreement, labels="sets"),
]
OTHERS = [
    Subject("majority_vote", pc.majority_vote),
    Subject("overlap", pc.overlap, names_matter=True),
    Subject("annotator_pairs", pc.annotator_pairs, tolerance=1e-7),
    Subject("majority_vote with models", pc.majority_vote, models=(1, 2)),
    Subject("activelab", pc.activelab, models=(1, 2)),
    Subject(
        "multilabel_crowdlab",
        pc.multilabel_crowdlab,
        CROWDLAB_OPTIONS,
        labels="sets",
        models=(1, 2),
        draws=3,
    ),
    Subject("multilabel_activelab", pc.multilabel_activelab, labels="sets", models=(1, 2)),
    Subject("compare", compared, st.just({"folds": 2}), names_matter=True, draws=2),
    Subject("check_annotations", findings, names_matter=True),
    Subject("annotator_report", annotator_report),
]
SUBJECTS = [*CROWDLAB, *TRUTH, *WITH_MODELS, *AGREEMENT, *OTHERS]
ASKED = {of_itself.__name__ for of_itself in (subject.asks for subject in SUBJECTS)} | {
    *("compare", "check_annotations", "agreement_difference"),
    *(c.name for c in COEFFICIENTS),
}
"""The public functions that the subjects ask."""
NOT_OF_A_LOG_ALONE = {
    "annotator_drift": "of times",
    "label_budget": "logs that are drawn from a fit",
    "gold_report": "of known labels",
    "intra_rater_agreement": "of repeats, which are duplicates to all others",
    "report": "words about what others find",
    "refine": "of features, and of a model that is trained",
    "corrected_prevalence": "of known labels beside it",
    "judge_report": "of judges and humans, which are told by name",
    "explain": "of a fit, and of a log beside votes",
    "to_wide": "a table of the annotations as they are",
}
"""Functions of a log that are no subjects, and why."""


# --- what it is asked of ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Trial:
    """A log and models with which a subject is asked."""

    subject: Subject
    log: pl.DataFrame
    probs: list[pl.DataFrame]
    classes: list[Any]
    """In order."""
    options: Options = field(default_factory=dict)

    def answer(self, log: Any = None, probs: Any = None, **options: Any) -> Answer:
        """The answer, or that to another log, models or options."""
        log = self.log if log is None else log
        probs = self.probs if probs is None else probs
        return self.subject.answer(log, probs, **{**self.options, **options})


def trial_of(subject: Subject, case: Case, options: Options, told: bool = False) -> Trial:
    """A case as the subject takes it; with its classes said, if they can be."""
    log, probs = case.log, case.pred_probs[: subject.models[1]]
    classes: list[Any] = list(range(case.n_classes)) if subject.labels == "classes" else []
    if subject.labels == "numbers":
        log = numbers_of(case)
    elif subject.labels == "comparisons":
        log = comparisons_of(case)
    elif subject.labels == "sets":
        log, probs = sets_of(case), [in_text(p) for p in probs]
        classes = [f"c{k}" for k in range(case.n_classes)]
    if told and classes and "classes" in subject.takes:
        options = {**options, "classes": classes}
    return Trial(subject, log, probs, classes, options)


def trials(subject: Subject, *, ties: bool = False) -> st.SearchStrategy[Trial]:
    """Random logs, now and then of the kinds that have little to say, and options to ask with."""
    fewest, most = subject.models
    drawn = cases(
        max_annotators=subject.most_annotators,
        max_classes=subject.most_classes,
        max_models=max(most, 1),
        ties=ties,
    ).filter(lambda case: len(case.models) >= fewest)
    return st.builds(
        trial_of,
        st.just(subject),
        st.one_of(drawn, drawn, drawn.map(thinned), drawn.map(alike)),
        subject.options,
        told=st.booleans(),
    )


def thinned(case: Case) -> Case:
    """One annotation of each example but the first."""
    labels = case.labels.copy()
    for e, row in enumerate(labels[1:], start=1):
        row[np.arange(len(row)) != np.flatnonzero(row >= 0)[e % (row >= 0).sum()]] = -1
    return Case(labels[:, (labels >= 0).any(axis=0)], case.models)


def alike(case: Case) -> Case:
    """Everybody of one opinion."""
    return Case(np.minimum(case.labels, 0), case.models)


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


def sets_of(case: Case) -> pl.DataFrame:
    """Each annotation as the set of the classes below its own, and of one more for some."""
    k, other = pl.col("label"), (pl.col("example") + pl.col("annotator")) % case.n_classes
    chosen = [pl.when((k > c) | (other == c)).then(pl.lit(f"c{c}")) for c in range(case.n_classes)]
    return case.log.with_columns(label=pl.concat_list(chosen).list.drop_nulls())


def in_text(probs: pl.DataFrame) -> pl.DataFrame:
    """Probabilities of classes c0, c1, ..."""
    return probs.rename({c: f"c{c}" for c in probs.columns if c != "example"})
