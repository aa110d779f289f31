"""Why a fit says what it says of an example: what each annotation adds, and what else there is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from polars_crowd.annotators.accounts import POSTERIOR, Account, Line, accounts_of
from polars_crowd.consensus.calibration import tempered
from polars_crowd.consensus.model import Posterior, vote_shares
from polars_crowd.consensus.refine import Refined
from polars_crowd.consensus.result import Crowdlab
from polars_crowd.consensus.steady import subset
from polars_crowd.errors import Advice, AnnotationError, OptionError, counted, did_you_mean, shown
from polars_crowd.inputs.log import LOG_COLUMNS
from polars_crowd.inputs.matching import ids_like
from polars_crowd.inputs.pred_probs import open_models
from polars_crowd.rounds.opening import open_rounds
from polars_crowd.rounds.parameters import Kept
from polars_crowd.rounds.partitions import InMemory, Partition
from polars_crowd.rounds.results import Results
from polars_crowd.runs.classes import Runs, sort_runs
from polars_crowd.signatures import checked
from polars_crowd.truth.result import Answers

VOTE = "Majority vote"
COLUMNS = ("example", "method", "part", "annotator", "label", "weight", "scale")
NEEDS_LOG = Advice("Give its log", python="log=", command="--log LOG")
FITS = (
    "Give a fit of majority_vote, crowdlab, blend or a method of truth inference for classes, or its results "
    "opened again."
)


@checked
def explain(fit: Any, example: Any, *, log: Any = None, pred_probs: Any = None) -> pl.DataFrame:
    """Why a fit says what it says of an example: what each annotation, the model and the prior add to it.

    Of votes, weighted votes and CROWDLAB the parts are shares of the posterior. Of methods with a likelihood
    (Dawid-Skene and its kin) they are logs, whose sum is the log of the posterior: a part that adds 0.7 more
    to one class than to another one doubles the odds. See `polars_crowd/annotators/accounts.py` for the
    formulas.

    Parameters
    ----------
    fit
        A fit of `majority_vote`, `crowdlab`, `refine`, `blend` or a method of truth inference for classes; or
        such results, opened again (`open_results`, of Parquet).
    example
        The id of an example of the fit, or a list of them.
    log
        For the frame that `majority_vote` returns, and its results: the log that it is of.
    pred_probs
        For results that were opened again, of a fit with models: the same probabilities, which results do
        not hold.

    Returns
    -------
    DataFrame
        `example`; `method`; `part`; `annotator` and `label` of annotations; `weight`; `scale`; and a column
        per class, named as the class (`class NAME`, where that is the name of another column). Of each
        example and method the rows before the last add up to the last, the `posterior`, which is that of the
        fit: their sum is it where `scale` is "probability", and its log where it is "log".

        Parts are the `prior` (shares of the classes); each `model`, by its weight; each `annotation`, whose
        weight is its annotator's in the method (or how much more it adds to its own label than to the
        others, on the mean); `subtypes` of EBCC; `gold`, a known label; `tempering`, by its exponent; and
        `normalisation`, which is the same for all classes. Of a blend the accounts of its members come first,
        and their parts in its posterior last.

    Raises
    ------
    AnnotationError
        An example is not in the fit; results are not of Parquet; pred_probs are not of the fit's classes.
    ValueError
        `log` or `pred_probs` is needed, or has no effect.

    Examples
    --------
    >>> import polars as pl
    >>> import polars_crowd as pc
    >>> data = pc.datasets.tutorial()
    >>> found = pc.explain(pc.crowdlab(data.log, data.pred_probs), "000")
    >>> for row in found.select("part", "annotator", "label", pl.col("0", "1", "2").round(3)).rows():
    ...     print(row)
    ('model', None, None, 0.619, 0.088, 0.022)
    ('annotation', 'A0014', 0, 0.1, 0.017, 0.017)
    ('annotation', 'A0016', 2, 0.018, 0.018, 0.102)
    ('posterior', None, None, 0.736, 0.122, 0.142)
    """
    known = case_of(fit, log, pred_probs)
    found = known.examples(wanted(example))
    frames = (table(known, name, accounts) for name, accounts in found)
    return pl.concat(frames)


def wanted(example: Any) -> pl.Series:
    """The ids that are asked for."""
    several = isinstance(example, (list, tuple, np.ndarray, pl.Series))
    ids = pl.Series("example", example if several else [example], strict=False)
    if ids.is_empty() or ids.null_count():
        raise OptionError("example", example, "give the id of an example, or several.")
    return ids.unique(maintain_order=True)


# --- what a fit is made of --------------------------------------------------------------------------


@dataclass(frozen=True)
class Explained:
    """What is explained: a method, the parameters of its posterior, and where the examples are."""

    method: str
    kept: Kept
    parts: Sequence[Any]
    """Handles of partitions."""

    def examples(self, ids: pl.Series) -> Iterator[tuple[pl.Series, list[Account]]]:
        """The accounts of examples, in the order in which they are asked for."""
        found = dict(self._found(ids))
        missing = [i for i in range(len(ids)) if i not in found]
        if missing:
            raise not_there(ids.gather(missing), self.parts[0].runs().examples["example"])
        for i in range(len(ids)):
            runs = found[i]
            part = Partition(InMemory(runs))
            accounts = accounts_of(self.kept.source, part, self.method)
            yield runs.examples["example"], accounts

    def _found(self, ids: pl.Series) -> Iterator[tuple[int, Runs]]:
        """The runs of each example, by its place among the ids."""
        left = set(range(len(ids)))
        for handle in self.parts:
            if not left:
                return
            runs = handle.runs()
            places = places_of(ids, runs.examples["example"])
            rows = pl.Series(sorted({row for _, row in places}), dtype=pl.Int64)
            every = pl.int_range(runs.examples.height, eager=True)
            few = subset(runs, every.is_in(rows.implode()))
            for i, row in places:
                left.discard(i)
                yield i, subset(few, rows == row)


def places_of(ids: pl.Series, known: pl.Series) -> list[tuple[int, int]]:
    """The place of each id that is there, and its row."""
    like = ids_like("example", ids.dtype, known.dtype, "example=")
    asked = ids.to_frame().select(like.alias("example")).with_row_index("place")
    there = known.alias("example").to_frame().with_row_index("row")
    return asked.drop_nulls().join(there, on="example").select("place", "row").rows()


def not_there(missing: pl.Series, some: pl.Series) -> AnnotationError:
    """The error for examples that the fit has no annotations of."""
    names = missing.to_list()
    meant = did_you_mean(str(names[0]), some.cast(pl.String).to_list()) if len(names) == 1 else ""
    return AnnotationError(
        f"{counted(len(names), 'example')} without annotations in the fit: {shown(names)}.{meant} It has "
        f"{shown(some.to_list())}.",
        "Only examples with annotations have a posterior that is made of them.",
    )


def case_of(fit: Any, log: Any, pred_probs: Any) -> Explained:
    """What is explained of a fit, of results or of a frame of votes."""
    if isinstance(fit, Refined):
        fit = fit.fit
    is_vote = isinstance(fit, (pl.LazyFrame, pl.DataFrame)) or getattr(fit, "method", None) == VOTE
    if is_vote:
        return of_vote(fit, log, pred_probs)
    if log is not None:
        raise OptionError("log", ..., "is for votes: other fits have their annotations.")
    if isinstance(fit, Results):
        return of_results(fit, pred_probs)
    if pred_probs is not None:
        raise OptionError("pred_probs", ..., "is for results that were opened again.")
    if isinstance(fit, Answers):
        return Explained(fit.method, fit._kept, fit._fitted.rounds.handles)
    if isinstance(fit, Crowdlab):
        return Explained(fit.method, fit._kept, fit._rounds.handles)
    raise OptionError("fit", ..., f"is no fit that can be explained. {FITS}")


def of_vote(vote: Any, log: Any, pred_probs: Any) -> Explained:
    """The shares of the votes of a log."""
    if isinstance(vote, (pl.LazyFrame, pl.DataFrame)):
        columns = vote.lazy().collect_schema().names()
        if "consensus_label" not in columns:
            wrong = (
                f"is a frame with the columns {shown(columns, 20)}, which are not those of a vote."
            )
            raise OptionError("fit", ..., f"{wrong} {FITS}")
    if log is None:
        raise OptionError("log", ..., "is needed: votes are counted, and not kept.", NEEDS_LOG)
    if pred_probs is not None:
        raise OptionError(
            "pred_probs", ..., "break ties of a vote, and have no part in its shares."
        )
    rounds = open_rounds(log, anonymous=True)
    return Explained(VOTE, Kept(Posterior(None, vote_shares), rounds.book, 0), rounds.handles)


def of_results(results: Results, pred_probs: Any) -> Explained:
    """Results that were opened again, with the probabilities that they do not hold."""
    kept = results._kept
    if kept is None:
        raise AnnotationError(
            f"the results of {results.method} hold no parameters.",
            FITS,
            "CSV and workbooks hold none: write them in Parquet.",
        )
    n_models = kept.n_models
    if pred_probs is None and n_models:
        wrong = (
            f"is needed: the fit had {counted(n_models, 'model')}, and results do not hold them."
        )
        raise OptionError("pred_probs", ..., wrong)
    if pred_probs is not None and not n_models:
        raise OptionError("pred_probs", ..., "has no effect: the fit had no model.")
    return Explained(results.method, kept, [Reread(results, kept, pred_probs)])


@dataclass(frozen=True)
class Reread:
    """The annotations of results, as runs."""

    results: Results
    kept: Kept
    pred_probs: Any

    def runs(self) -> Runs:
        rows = self.results._by_our_names(self.results.annotations.lazy())
        models = [] if self.pred_probs is None else open_models(self.pred_probs, None)
        if len(models) != self.kept.n_models:
            wrong = f"has {counted(len(models), 'model')}, the fit {self.kept.n_models}."
            raise OptionError("pred_probs", ..., wrong)
        for model in models:
            if {*model.names} != {*self.kept.book.names}:
                names = f"{shown([*model.names], 20)}, the fit {shown([*self.kept.book.names], 20)}"
                raise OptionError("pred_probs", ..., f"has the classes {names}.")
        log, book = rows.select(LOG_COLUMNS), self.kept.book
        runs = sort_runs(log, models, duplicates="all", book=book)
        return runs if self.kept.temperatures is None else tempered(runs, self.kept.temperatures)


# --- the table --------------------------------------------------------------------------------------


def class_columns(names: Sequence[str]) -> list[str]:
    """The columns of the classes.

    >>> class_columns(["cat", "part"])
    ['cat', 'class part']
    """
    return [f"class {name}" if name in COLUMNS else name for name in names]


def table(case: Explained, example: pl.Series, accounts: Sequence[Account]) -> pl.DataFrame:
    """The accounts of an example as rows."""
    book = case.kept.book
    lines = [(account, line) for account in accounts for line in account.lines]
    values = np.stack([line.values for _, line in lines])
    place = pl.Series([0] * len(lines), dtype=pl.UInt32)
    of_classes = {
        name: values[:, k] for k, name in enumerate(class_columns([*map(str, book.names)]))
    }
    return pl.DataFrame(
        {
            "example": example.gather(place),
            "method": [account.method for account, _ in lines],
            "part": [line.part for _, line in lines],
            "annotator": book.annotators.gather(codes([line.annotator for _, line in lines])),
            "label": book.classes.gather(codes([line.label for _, line in lines])),
            "weight": pl.Series([line.weight for _, line in lines], dtype=pl.Float64),
            "scale": [scale_of(account, line) for account, line in lines],
            **of_classes,
        }
    )


def codes(values: Sequence[int | None]) -> pl.Series:
    return pl.Series(values, dtype=pl.UInt32)


def scale_of(account: Account, line: Line) -> str:
    return "log" if account.is_log and line.part != POSTERIOR else "probability"
