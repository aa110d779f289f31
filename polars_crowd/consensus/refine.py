"""The virtuous cycle: better labels train a better model, which finds better labels.

    y_0      = majority vote
    p_r      = out-of-sample probabilities of a classifier fitted to y_(r-1)
    y_r      = consensus labels of CROWDLAB under p_r

for r = 1, 2, ... until labels stop changing (Goh, Tkachenko and Mueller 2022, arXiv 2210.06812, train on the
majority vote once; Goh and Mueller 2023, arXiv 2301.11856, retrain in every round of labelling).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import polars as pl

from polars_crowd.arrays import Floats, Ints
from polars_crowd.consensus.crowdlab import crowdlab
from polars_crowd.consensus.majority_vote import majority_vote
from polars_crowd.consensus.out_of_sample import cross_predicted, fitted, predicted
from polars_crowd.consensus.result import Crowdlab
from polars_crowd.errors import Advice, AnnotationError, counted, missing_column, shown
from polars_crowd.inputs import checks
from polars_crowd.inputs.log import scan_annotations
from polars_crowd.inputs.matching import ids_like
from polars_crowd.inputs.numbers import as_numbers
from polars_crowd.inputs.parts import is_read_from_text, settled
from polars_crowd.inputs.pred_probs import class_names
from polars_crowd.inputs.sources import open_parts, stacked
from polars_crowd.numerics.mixture import SMALLEST_LOG
from polars_crowd.option_checks import check_estimator
from polars_crowd.reports import MANY, Heads
from polars_crowd.rounds.results import Fit
from polars_crowd.runs.classes import classes_of
from polars_crowd.signatures import checked


@dataclass(frozen=True, repr=False)
class Refined(Fit):
    """What `refine` ended with.

    Attributes
    ----------
    fit : Crowdlab
        CROWDLAB of the last round.
    pred_probs : DataFrame
        `example` and a column per class: the probabilities of the last round, out of sample for annotated
        examples, and for the others in `features` by a model fitted to all consensus labels.
    trace : DataFrame
        A row per round: `round`; `changed`, how many consensus labels differ from those that the model was
        fitted to; `mean_quality` of the consensus labels; `log_loss` of the probabilities against the
        annotations, mean over examples of -sum_k c[e,k] / n[e] log p[e,k].
    converged : bool
        Whether the last round changed no label.
    examples, annotations, posterior, annotators
        Those of the fit.
    """

    fit: Crowdlab
    pred_probs: pl.DataFrame
    trace: pl.DataFrame
    converged: bool

    TABLES: ClassVar[tuple[str, ...]] = (*Crowdlab.TABLES, "pred_probs", "trace")
    VALUES: ClassVar[tuple[str, ...]] = ("converged",)
    HEADS: ClassVar[Heads] = {"trace": ("rounds", MANY), **Crowdlab.HEADS}

    @property
    def method(self) -> str:
        return f"Refined {self.fit.method}"

    @property
    def examples(self) -> pl.LazyFrame:
        return self.fit.examples

    @property
    def annotations(self) -> pl.LazyFrame:
        return self.fit.annotations

    @property
    def posterior(self) -> pl.LazyFrame:
        return self.fit.posterior

    @property
    def annotators(self) -> pl.DataFrame:
        return self.fit.annotators

    def _header(self) -> str:
        state = "labels stopped changing" if self.converged else "labels were still changing"
        return f"Refined: {counted(self.trace.height, 'round')}, {state}; {self.fit._header()}"


@checked
def refine(
    log: Any,
    features: Any,
    estimator: Any,
    *,
    rounds: int = 5,
    cv: int = 5,
    seed: int = 0,
    calibrate: bool = True,
    classes: Sequence[Any] | None = None,
    duplicates: checks.Duplicates = "error",
) -> Refined:
    """Consensus labels and a classifier that improve each other, in rounds.

    See the formulas at the head of `polars_crowd/consensus/refine.py`. Needs the extra `sklearn`.

    Parameters
    ----------
    log
        The annotations, which are read into memory: whatever `scan_annotations` takes, or an
        `AnnotationStore`.
    features
        `example` and one numeric column per feature: whatever `scan_annotations` takes. Every annotated
        example must be there; others get probabilities too.
    estimator
        A scikit-learn classifier with `predict_proba`; it is copied, never fitted itself.
    rounds
        How many at most, at least 1. It ends before where no label changes, or the labels are those of an
        earlier round.
    cv
        Folds of the cross-validation, at least 2.
    seed
        Of the folds, and of the estimator if its `random_state` is None.
    calibrate
        As for `crowdlab`: a model that is fitted to clean labels grows surer than the annotators are.
    classes, duplicates
        As for `crowdlab`; the classes are by default the Enum's, else the labels there are, sorted.

    Raises
    ------
    AnnotationError
        The log cannot be used (see `crowdlab`), or an annotated example has no features, or a feature is no
        number.
    ValueError
        `rounds` is below 1 or `cv` below 2.

    Examples
    --------
    >>> import polars_crowd as pc
    >>> from sklearn.linear_model import LogisticRegression
    >>> data = pc.datasets.tutorial()
    >>> refined = refine(data.log, data.features, LogisticRegression(), rounds=3)
    >>> refined.trace.columns
    ['round', 'changed', 'mean_quality', 'log_loss']
    """
    check_estimator(estimator)
    rows = checks.without_duplicates(scan_annotations(log), duplicates).collect().lazy()
    values, names = classes_of(rows, rows.collect_schema()["label"], (), classes)
    vote = majority_vote(rows, classes=values.to_list(), duplicates=duplicates).collect()
    examples = vote["example"]
    if len(examples) < 2:
        raise AnnotationError(
            "has labels of one example, and a model is asked of examples that it has not seen.",
            "Label another one first.",
            source="the log",
        )
    X, rest_ids, rest = _features(features, examples)
    share = _shares(rows, examples, values)
    y, trace = _codes(vote["consensus_label"], values), []
    seen = {y.tobytes()}
    for number in range(1, rounds + 1):
        p = cross_predicted(estimator, X, y, len(values), cv=cv, seed=seed)
        probs = _frame(examples, p, names)
        fit = crowdlab(
            rows, probs, classes=values.to_list(), duplicates=duplicates, calibrate=calibrate
        )
        found = fit.examples.select("consensus_label", "consensus_quality_score").collect()
        new = _codes(found["consensus_label"], values)
        trace.append(
            {
                "round": number,
                "changed": int((new != y).sum()),
                "mean_quality": found["consensus_quality_score"].mean(),
                "log_loss": float(
                    -(share * np.log(np.maximum(p, SMALLEST_LOG))).sum(axis=1).mean()
                ),
            }
        )
        y = new
        if y.tobytes() in seen:
            break
        seen.add(y.tobytes())
    if len(rest):
        q = predicted(fitted(estimator, X, y, seed), rest, y, len(values))
        probs = pl.concat([probs, _frame(rest_ids, q, names)])
    return Refined(fit, probs, pl.DataFrame(trace), not trace[-1]["changed"])


ENCODE = Advice("Encode these columns as numbers, or drop them")


def _features(source: Any, examples: pl.Series) -> tuple[Floats, pl.Series, Floats]:
    """The features of the annotated examples, and the ids and features of the others."""
    parts = open_parts(source, "features")
    features = stacked(settled(parts), "features")
    names = [c for c in features.collect_schema() if c != "example"]
    of_text = [c for c in names if is_read_from_text(c, parts)]
    frame = as_numbers(features, of_text, "features", advice=ENCODE).collect()
    if "example" not in frame.columns:
        raise missing_column(
            "features", "example", frame.columns, "Rename the column of ids to it."
        )
    columns = [c for c in frame.columns if c != "example"]
    numbers = pl.selectors.numeric() | pl.selectors.boolean()
    texts = frame.select(pl.exclude("example")).select(~numbers).columns
    if texts or not columns:
        raise AnnotationError(
            f"features: the columns {shown(texts or columns)} hold no numbers. Encode or drop them."
        )
    _check_values(frame, columns)
    given = frame.schema["example"]
    frame = frame.with_columns(ids_like("example", given, examples.dtype, "features"))
    known = examples.alias("example").to_frame()
    lacking = known.join(frame, on="example", how="anti")["example"]
    if len(lacking):
        raise AnnotationError(
            f"features: {counted(len(lacking), 'annotated example')} without a row: "
            f"{shown(lacking.to_list())}. Give their features, or leave them out of the log."
        )
    own = known.join(frame, on="example", how="left", maintain_order="left")
    rest = frame.join(known, on="example", how="anti", maintain_order="left")
    X, others = (f.select(pl.col(columns).cast(pl.Float64)).to_numpy() for f in (own, rest))
    return X, rest["example"], others


def _check_values(frame: pl.DataFrame, columns: list[str]) -> None:
    """One row per example, and every value is a number."""
    repeated = frame.height - frame["example"].n_unique()
    if repeated:
        raise AnnotationError(
            f"features: {counted(repeated, 'example')} with more than one row. Keep one row per example."
        )
    missing = pl.col(columns).cast(pl.Float64).fill_nan(None).null_count()
    n_missing = sum(frame.select(missing).row(0))
    if n_missing:
        raise AnnotationError(
            f"features: {counted(n_missing, 'value')} are null or NaN. Fill them, or drop these columns."
        )


def _shares(rows: pl.LazyFrame, examples: pl.Series, classes: pl.Series) -> Floats:
    """c[e,k] / n[e]."""
    position = pl.DataFrame({"example": examples}).with_row_index("e").lazy()
    coded = rows.join(position, on="example").select("e", "label").collect()
    counts = np.zeros((len(examples), len(classes)))
    np.add.at(counts, (coded["e"].to_numpy(), _codes(coded["label"], classes)), 1)
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def _codes(labels: pl.Series, classes: pl.Series) -> Ints:
    names = pl.Enum(class_names(classes.to_list()))
    text = pl.Series(class_names(labels.to_list()), dtype=names)
    return text.to_physical().to_numpy().astype(np.int64)


def _frame(examples: pl.Series, p: Floats, names: Sequence[str]) -> pl.DataFrame:
    return pl.DataFrame({"example": examples, **dict(zip(names, p.T, strict=True))})
