"""Majority vote: the label with the most votes, and what breaks its ties.

With c[e,k] votes for class k on example e, the candidates on e are the classes with the largest c[e,k].
Ties are narrowed, each step among the classes still tied, by

1. the largest model probability p[e,k], where pred_probs are given;
2. the smallest number of annotations of k in the whole log;
3. the largest mean, over the annotators who chose k on e, of their agreement with the majority vote of
   the examples whose vote had one winner from the start (who has no such example gets the others' mean);
4. the first class in class order.

Steps 1 to 3 are those of Goh, Tkachenko and Mueller (2022, arXiv 2210.06812) and their implementation;
the fourth replaces its random draw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Unpack

import numpy as np
import polars as pl

from polars_crowd.arrays import Floats
from polars_crowd.compatible import by, engine_for
from polars_crowd.errors import OptionError
from polars_crowd.inputs import checks
from polars_crowd.inputs.log import LOG_COLUMNS, is_labelled, scan_annotations
from polars_crowd.inputs.pred_probs import PredProbs, open_models
from polars_crowd.inputs.probabilities import lookup
from polars_crowd.inputs.probability_audit import audit_probabilities
from polars_crowd.numerics import mixture
from polars_crowd.numerics.glance import Models
from polars_crowd.numerics.mixture import EXACT
from polars_crowd.rounds.opening import Opening, OpenOptions
from polars_crowd.rounds.partitions import Partition, Partitioned
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.rounds.summaries import Merged, Summary, dense
from polars_crowd.runs import codes
from polars_crowd.runs.classes import Runs
from polars_crowd.runs.codes import class_order, declared_values, resolve_classes
from polars_crowd.signatures import shares

# --- the narrowing of candidates -------------------------------------------------------------------
#
# A candidate is a row `example`, `label` and what it is judged by. Each step keeps, of every example,
# the candidates that are best by one thing. Votes come lazily from a scan, or from sorted runs.


def largest(candidates: pl.LazyFrame, by: str, tolerance: float = 0) -> pl.LazyFrame:
    """The candidates of each example that are largest by a column."""
    return candidates.filter(pl.col(by) >= pl.col(by).max().over("example") - tolerance)


def smallest(candidates: pl.LazyFrame, by: str) -> pl.LazyFrame:
    """... that are smallest by it."""
    return candidates.filter(pl.col(by) == pl.col(by).min().over("example"))


def tied(candidates: pl.LazyFrame) -> pl.LazyFrame:
    """The candidates that are not alone on their example."""
    return candidates.filter(pl.len().over("example") > 1)


@dataclass(frozen=True)
class Contest:
    """The votes under way: the examples with one leader from the start, and the candidates on the others."""

    clear: pl.LazyFrame
    candidates: pl.LazyFrame
    leaders: pl.LazyFrame
    """Both, as they were before any tie-break; `alone` says which is which."""

    @classmethod
    def of(cls, votes: pl.LazyFrame, hold: Callable[[pl.LazyFrame], pl.LazyFrame]) -> Contest:
        """From `example`, `label`, `votes` and more; `hold` keeps a frame that is used several times."""
        leaders = hold(largest(votes, "votes").with_columns(alone=pl.len().over("example") == 1))
        clear, candidates = leaders.filter("alone"), leaders.filter(~pl.col("alone"))
        return cls(clear.drop("alone"), candidates.drop("alone"), leaders)

    def beside(self, clear: pl.LazyFrame) -> Contest:
        """The same, with further examples, whose leader is the only one."""
        leaders = clear.with_columns(alone=pl.lit(value=True))
        return replace(
            self,
            clear=pl.concat([clear, self.clear]),
            leaders=pl.concat([leaders, self.leaders]),
        )

    def by_probability(self, judge: Callable[[pl.LazyFrame], pl.LazyFrame]) -> Contest:
        """Step 1: the class with the largest `probability`, a column that `judge` adds."""
        judged = judge(self.candidates)
        return self._with(largest(judged, "probability").drop("probability"))

    def by_rarity(self, labels: pl.LazyFrame) -> Contest:
        """Step 2: the class with the fewest `annotations` in the whole log."""
        counted = self.candidates.join(labels, on="label")
        return self._with(smallest(counted, "annotations").drop("annotations"))

    def by_agreement(self, rows: pl.LazyFrame, agreement: pl.LazyFrame) -> Contest:
        """Step 3: the class whose annotators agree most with the winners of other examples."""
        share = agreement.select("annotator", share=pl.col("agreeing") / pl.col("judged"))
        others = share.select(others=pl.col("share").mean().fill_null(0.0))
        of_candidates = (
            rows.join(tied(self.candidates), on=["example", "label"], how="semi")
            .join(share, on="annotator", how="left")
            .join(others, how="cross")
            .group_by("example", "label")
            .agg(agreement=pl.col("share").fill_null(pl.col("others")).mean())
        )
        judged = self.candidates.join(of_candidates, on=["example", "label"], how="left")
        judged = judged.with_columns(pl.col("agreement").fill_null(0.0))
        return self._with(largest(judged, "agreement", EXACT).drop("agreement"))

    def winners(self, order: pl.Expr) -> list[pl.LazyFrame]:
        """One class for each example: by step 4, the first in order, where several are left."""
        first = smallest(self.candidates.with_columns(order=order), "order").drop("order")
        return [self.clear, first]

    def held(self, hold: Callable[[pl.LazyFrame], pl.LazyFrame]) -> Contest:
        """The same, with the candidates that are left kept for the next steps."""
        return self._with(hold(self.candidates))

    def _with(self, candidates: pl.LazyFrame) -> Contest:
        return replace(self, candidates=candidates)


def count_labels(votes: pl.LazyFrame, label: str | pl.Expr = "label") -> pl.LazyFrame:
    """Summary by label: `annotations` of each class in the log."""
    return votes.group_by(label).agg(annotations=pl.col("votes").cast(pl.Int64).sum())


def count_agreement(rows: pl.LazyFrame, winners: pl.LazyFrame) -> pl.LazyFrame:
    """Summary by annotator: `judged` annotations on the winners' examples, `agreeing` with them."""
    winner = winners.select("example", winner="label")
    return (
        rows.join(winner, on="example")
        .group_by("annotator")
        .agg(agreeing=(pl.col("label") == pl.col("winner")).cast(pl.Int64).sum(), judged=pl.len())
    )


# --- the majority vote of a partition's runs --------------------------------------------------------


@dataclass(frozen=True)
class TieBreaks:
    """What the tie-breaks of an example need of all the others."""

    rarity: Floats | None = None
    """The rank of each class by its annotations, shape (K,), if a tie is left after step 1."""
    agreement: Floats | None = None
    """Agreement per annotator (NaN if unknown; as many as are known), if a tie is left after step 2."""

    @property
    def labels(self) -> pl.LazyFrame:
        """`label`, `annotations` for step 2."""
        return _by_code("label", annotations=self.rarity)

    @property
    def shares(self) -> pl.LazyFrame:
        """`annotator`, `agreeing`, `judged` for step 3."""
        shares = _by_code("annotator", agreeing=self.agreement)
        return shares.filter(pl.col("agreeing").is_not_nan()).with_columns(judged=1.0)


def _by_code(code: str, **values: Floats | None) -> pl.LazyFrame:
    return pl.LazyFrame(values).with_row_index(code)


def in_memory(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Runs are in memory, and sorted: the engine that makes use of it."""
    return frame.collect(engine="in-memory").lazy()


def contest_by_probability(part: Partition) -> Contest:
    """The votes after step 1: the class that the models' mean probability prefers."""

    def narrowed() -> Contest:
        contest = contest_of(part.runs).held(in_memory)
        models = part.runs.models
        if not models or not count_tied(contest):
            return contest
        return contest.by_probability(lambda rows: _at_votes(models, rows)).held(in_memory)

    return part.once("contest", narrowed)


def contest_of(run: Runs) -> Contest:
    """The votes under way. Most examples have a class that more than half of the annotators chose: votes are
    compared on the others only."""
    votes, engine = run.votes.lazy(), engine_for(run.votes.height)
    chosen = votes.filter(2 * pl.col("votes") > run.there(run.examples["num_annotations"]))
    clear = chosen.collect(engine=engine)
    is_open = np.ones(run.examples.height, dtype=bool)
    is_open[clear["example"].to_numpy()] = False
    contested = votes.filter(run.there(pl.Series(is_open))).collect(engine=engine)
    return Contest.of(contested.lazy(), in_memory).beside(clear.lazy())


def _at_votes(models: Models, candidates: pl.LazyFrame) -> pl.LazyFrame:
    at = candidates.collect(engine="in-memory")
    probability = mixture.at_votes(models, at["example"].to_numpy(), at["label"].to_numpy())
    return at.with_columns(probability=probability).lazy()


def count_tied(contest: Contest) -> int:
    """How many candidates there are beyond one for each example: ties to break."""
    examples = contest.candidates.select("example").collect(engine="in-memory")["example"]
    return len(examples) - examples.n_unique()


def count_ties(part: Partition) -> Summary:
    """Summary: the classes' annotations, and how many ties there are to break after step 1."""
    labels = count_labels(part.runs.votes.lazy(), by("label"))
    n_tied = count_tied(contest_by_probability(part))
    return {("label",): labels, (): pl.DataFrame({"tied": [n_tied]})}


def count_judged(part: Partition, rarity: Floats) -> Summary:
    """Summary by annotator: agreement with the clear votes; and how many ties are left after step 2."""
    contest = contest_by_probability(part).by_rarity(TieBreaks(rarity).labels)
    counts = count_agreement(part.runs.vote_rows(), contest.clear)
    return {("annotator",): counts, (): pl.DataFrame({"tied": [count_tied(contest)]})}


def break_ties(rounds: Rounds, counted: Merged) -> TieBreaks:
    """The tie-breaks that the log needs, from the merged `count_ties`."""
    if not counted[()]["tied"].item():
        return TieBreaks()
    annotations = dense(counted[("label",)], "label", "annotations", rounds.n_classes)
    rarity = np.unique(annotations, return_inverse=True)[1].astype(np.float64)
    judged = rounds.run(count_judged, rarity, remember=True)
    if not judged[()]["tied"].item():
        return TieBreaks(rarity)
    shares = judged[("annotator",)].with_columns(share=pl.col("agreeing") / pl.col("judged"))
    n_judged = codes.largest(shares["annotator"]) + 1 if shares.height else 0
    return TieBreaks(rarity, dense(shares, "annotator", "share", n_judged, float("nan")))


def majority_labels(part: Partition, ties: TieBreaks) -> pl.Series:
    """The majority vote of a partition's examples, as codes."""

    def decide() -> pl.DataFrame:
        contest = contest_by_probability(part)
        if ties.rarity is not None and count_tied(contest):
            contest = contest.by_rarity(ties.labels).held(in_memory)
        if ties.agreement is not None and count_tied(contest):
            contest = contest.by_agreement(part.runs.vote_rows(), ties.shares)
        part.forget("contest")
        labels = np.empty(part.runs.examples.height, dtype=np.uint32)
        for winners in contest.winners(order=pl.col("label")):
            found = winners.collect(engine="in-memory")
            labels[found["example"].to_numpy()] = found["label"].to_numpy()
        return pl.DataFrame({"label": labels})

    return part.keep("majority", decide, ties)["label"]


def majority_table(part: Partition, ties: TieBreaks) -> pl.DataFrame:
    """The majority vote of a partition's examples."""
    label = majority_labels(part, ties)
    return part.runs.examples.select(
        "example",
        consensus_label=pl.lit(part.runs.book.classes.gather(label)),
        annotator_agreement=pl.lit(part.runs.agreement_with(label)),
        num_annotations="num_annotations",
    )


# --- the majority vote of a log, as one lazy plan --------------------------------------------------


@shares(OpenOptions, Opening)
def majority_vote(
    log: Any,
    pred_probs: Any = None,
    **options: Unpack[OpenOptions],
) -> pl.LazyFrame:
    """The majority vote of each example, as one lazy plan: nothing is computed until it is collected.

    The label with the most votes c[e,k]. Ties are narrowed, each step among the labels still tied, by the
    largest model probability, the fewest annotations of the label in the whole log, the largest mean
    agreement of its annotators with the undisputed votes, and the first class in class order (Goh, Tkachenko
    and Mueller 2022, arXiv 2210.06812; the last step replaces a random draw). Of a store, or with `into`,
    ties are settled now.

    Parameters
    ----------
    log
        The annotations: whatever `scan_annotations` takes, with columns `example, annotator, label`; or
        an `AnnotationStore`.
    pred_probs
        A model's probabilities for the first tie-break: whatever `scan_pred_probs` takes; of a list of
        models, their mean. Every annotated example needs them, as in `crowdlab`. A store uses those it has.

    Returns
    -------
    LazyFrame
        `example`; `consensus_label`; `annotator_agreement` = c[e, consensus] / n[e], in (0, 1];
        `num_annotations` = n[e]. One row per example, sorted by example.

    Raises
    ------
    AnnotationError
        Now, if a column is missing. On collecting, if the log is empty, ids are null, annotations are
        duplicated, labels are not among the classes, or pred_probs are missing, repeated or no
        probabilities of an annotated example.

    Agrees with
    -----------
    `cleanlab.multiannotator.get_majority_vote_label` of cleanlab 2.9, up to its random draws.

    Examples
    --------
    >>> import polars as pl
    >>> log = pl.DataFrame({
    ...     "example": ["e1", "e1", "e1", "e2", "e2"],
    ...     "annotator": ["a", "b", "c", "a", "b"],
    ...     "label": ["cat", "cat", "dog", "dog", "cat"],
    ... })
    >>> majority_vote(log).collect().rows()
    [('e1', 'cat', 0.666..., 3), ('e2', 'dog', 0.5, 2)]
    """
    asked = Opening(**options)
    if isinstance(log, Partitioned) or asked.into is not None or asked.executor is not None:
        rounds = asked.open(log, pred_probs, anonymous=True).claim("Majority vote")
        ties = break_ties(rounds, rounds.run(count_ties, remember=True))
        return rounds.only("examples", majority_table, ties)
    if asked.progress:
        raise OptionError(
            "progress",
            ...,
            "shows the partitions of a store, or what is written; this is a lazy plan.",
        )
    return lazy_plan(log, pred_probs, asked.classes, asked.duplicates)


def lazy_plan(
    log: Any, pred_probs: Any, classes: Sequence[Any] | None, duplicates: checks.Duplicates
) -> pl.LazyFrame:
    """The votes, their ties narrowed step by step, and what is wrong with the log, as one plan."""
    given = scan_annotations(log, keep_missing=True)
    given = checks.without_duplicates(given, duplicates).select(LOG_COLUMNS)
    rows = given.filter(is_labelled(given.collect_schema()["label"]))
    models = open_models(pred_probs, classes) if pred_probs is not None else []
    schema = rows.collect_schema()
    values, names = _known_classes(schema["label"], models, classes)
    votes = rows.group_by("example", "label").agg(votes=pl.len()).cache()
    sized = votes.with_columns(num_annotations=pl.col("votes").sum().over("example"))
    contest = Contest.of(sized, pl.LazyFrame.cache)
    findings = checks.audit(
        given, votes, values, duplicates, checks.GIVE_COLUMNS if models else checks.DECLARE
    )
    if values is not None and models:
        probability = partial(_look_up, models, values, names, schema["example"])
        contest = contest.by_probability(probability)
        findings = audit_probabilities(
            findings, models, contest.leaders, _count_examples(contest), schema["example"], names
        )
    contest = contest.by_rarity(count_labels(votes)).held(pl.LazyFrame.cache)
    contest = contest.by_agreement(rows, _agreement_if_tied(contest, rows))
    winners = contest.winners(class_order(schema["label"], values))
    return (
        pl.concat([*winners, findings], how="diagonal")
        .sort("example")
        .select(
            "example",
            consensus_label="label",
            annotator_agreement=pl.col("votes") / pl.col("num_annotations"),
            num_annotations="num_annotations",
        )
    )


def _known_classes(
    dtype: pl.DataType, models: Sequence[PredProbs], classes: Sequence[Any] | None
) -> tuple[pl.Series | None, tuple[str, ...]]:
    """The classes, if the caller or the models name them."""
    if models:
        return resolve_classes(dtype, models[0].names, classes)
    if classes is not None:
        return declared_values(classes, dtype)
    return None, ()


def _look_up(
    models: Sequence[PredProbs],
    values: pl.Series,
    names: tuple[str, ...],
    example: pl.DataType,
    candidates: pl.LazyFrame,
) -> pl.LazyFrame:
    """The models' mean `probability` of each candidate's own class, from lazy frames."""
    columns = []
    for m, model in enumerate(models):
        probs = lookup(model, example, names, prefix=f"model_{m}_")
        candidates = candidates.join(probs, on="example", how="left")
        own = (
            pl.when(pl.col("label") == pl.lit(value)).then(pl.col(f"model_{m}_{k}"))
            for k, value in enumerate(values)
        )
        columns.append(pl.coalesce(*own).cast(pl.Float64))
    mean = sum(columns[1:], start=columns[0]) / len(columns)
    return candidates.with_columns(probability=mean).drop(pl.selectors.starts_with("model_"))


def _count_examples(contest: Contest) -> pl.LazyFrame:
    alone = pl.col("alone")
    return contest.leaders.select(
        examples=alone.sum() + pl.col("example").filter(~alone).n_unique()
    )


def _agreement_if_tied(contest: Contest, rows: pl.LazyFrame) -> pl.LazyFrame:
    """The annotators' agreement with clear votes; without a row where no tie is left to break."""
    gate = tied(contest.candidates).head(1).select(any_tied=pl.lit(value=True))
    return count_agreement(rows.join(gate, how="cross").drop("any_tied"), contest.clear)
