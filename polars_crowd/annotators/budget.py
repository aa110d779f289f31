"""How many labels an example takes: what is simulated from annotators as they were fitted.

Of a fit with confusion matrices C_j[k,l] = P(j says l | k), from n[j,k] annotations, and class shares pi, a
log like this one is drawn: a truth k ~ pi for each example, n of the annotators for it (each as often as in
the log), and their labels from matrices that are not known better than the fit knows them,

    theta_j[k,.] ~ Dirichlet(g n[j,k] C_j[k,.] + 10 C[k,.])       labels l ~ theta_j[k,.]

where C are the shares of labels of all annotators, and g is the exponent by which the fit tempers its
posteriors: a fit has made its labels and its annotators agree, the more so the fewer annotations each has.
The labels are read as the fit would read them (Dawid and Skene 1979), tempered likewise:

    P(k | labels)  in proportion to  (pi[k] prod_j C_j[k,l_j])^g

Of one example, whose most probable classes are a and b with probabilities T, each further annotation raises
the log of the odds by g D[a,b] in the mean, with

    D[a,b] = mean over annotators of sum_l C_j[a,l] log(C_j[a,l] / C_j[b,l])

so that the odds of the target are reached after

    (logit(target) - logit(T[a])) / (g D[a,b])

of them, if a is true (Wald 1947, Sequential analysis: the expected size of a test).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Unpack

import numpy as np
import polars as pl

from polars_crowd.annotators.request import Judging, LogIntervals
from polars_crowd.arrays import Floats, Ints
from polars_crowd.errors import OptionError, counted, shown
from polars_crowd.inputs.log import scan_annotations
from polars_crowd.limits import check_memory
from polars_crowd.numerics.special import normal
from polars_crowd.option_checks import check_count, check_share
from polars_crowd.reliability.coefficients import krippendorff_alpha
from polars_crowd.reports import FEW, Heads, header
from polars_crowd.rounds.results import Fit
from polars_crowd.signatures import shares
from polars_crowd.truth.classification.dawid_skene import dawid_skene
from polars_crowd.truth.result import TruthInference

EXAMPLES = 1000
"""Examples of a draw."""
BEYOND = 5
"""Annotations per example beyond those that there are, unless the caller says how many."""
PER_CELL = 100
"""Bytes for each (annotator, class, class)."""
POOL = 200
"""Annotators from whom those of an example are drawn, if there are more."""
POOLED = 10.0
"""Annotations of each class with which all annotators speak for one."""
LEAST = 1e-12


@shares(LogIntervals, Judging)
def label_budget(
    log: Any,
    *,
    target: float = 0.95,
    fit: Any = None,
    max_annotations: int | None = None,
    n_draws: int = 20,
    seed: int = 0,
    **options: Unpack[LogIntervals],
) -> LabelBudget:
    """How right the consensus would be with more or fewer annotations per example, and which need more.

    Logs are drawn from annotators as they were fitted, and read as the fit reads them. Annotators are taken
    to err independently of each other: where some examples mislead everybody, more annotations gain less
    than is said here.

    Parameters
    ----------
    target
        The accuracy that is wanted, between 0 and 1.
    fit
        A fit of this log whose method has confusion matrices: `dawid_skene`, `ibcc`, `one_coin_dawid_skene`,
        ...; by default `dawid_skene(log)`.
    max_annotations
        The most annotations per example that are looked at, at least 1; by default 5 more than the examples
        have in the mean. No more than there are annotators.
    n_draws
        How many logs are drawn for each number, of 1,000 examples each, at least 2.
    seed
        Of the draws.
    confidence
        Of the intervals.

    Returns
    -------
    LabelBudget
        `.curve`, `.examples`, `.needed`.

    Raises
    ------
    OptionError
        The fit has no confusion matrices or is of another log, or an option has no effect beside it.
    MemoryLimitError
        Annotators x classes x classes do not fit into memory.

    Examples
    --------
    >>> import polars as pl
    >>> import polars_crowd as pc
    >>> log = pc.simulate.simulate_annotations(n_annotators=20, accuracy=0.75, seed=4).log
    >>> budget = pc.label_budget(log, target=0.95)
    >>> budget.needed
    5
    >>> rounded = pl.col("accuracy", "log_loss", "alpha_width").round(2)
    >>> budget.curve.select("num_annotations", rounded).rows()[:3]
    [(1, 0.78, 0.71, None), (2, 0.85, 0.47, 0.09), (3, 0.9, 0.32, 0.07)]
    """
    check_share("target", target)
    check_count("n_draws", n_draws, 2)
    if max_annotations is not None:
        check_count("max_annotations", max_annotations, 1)
    confidence = options.pop("confidence", Judging.confidence)
    limit = options.pop("memory_limit", None)
    fit = _fitted(log, fit, options)
    crowd = Crowd.of(fit, limit)
    most = max_annotations or BEYOND + round(crowd.per_example)
    draws = [crowd.draw(n, n_draws, seed) for n in range(1, min(most, len(crowd.weight)) + 1)]
    curve = pl.DataFrame([draw.row(confidence) for draw in draws], schema=CURVE, orient="row")
    return LabelBudget(curve, examples_in_need(fit, crowd, target), target, fit.method)


CURVE = {
    "num_annotations": pl.Int64,
    **dict.fromkeys(
        ("accuracy", "accuracy_low", "accuracy_high", "log_loss", "alpha", "alpha_width"),
        pl.Float64,
    ),
}


def _fitted(log: Any, fit: Any, options: Any) -> TruthInference:
    """The fit that is given, or that of Dawid-Skene."""
    if fit is None:
        found: TruthInference = dawid_skene(log, **options)
        return found
    if not isinstance(fit, TruthInference) or fit.confusion is None:
        wrong = "must be a fit with confusion matrices, such as that of dawid_skene."
        raise OptionError("fit", ..., wrong)
    if options:
        raise OptionError(next(iter(options)), ..., "has no effect beside fit=.")
    theirs, fitted = (
        of.select(pl.col("annotator").cast(pl.String))
        for of in (scan_annotations(log), fit.annotators.lazy())
    )
    unknown = theirs.unique().join(fitted, on="annotator", how="anti").sort("annotator").collect()
    if unknown.height:
        who = f"{counted(unknown.height, 'annotator')} of the log ({shown(unknown['annotator'].to_list())})"
        raise OptionError("fit", ..., f"is of another log: it does not know {who}.")
    return fit


class LabelBudget(Fit):
    """How right the consensus would be by the number of annotations per example.

    Attributes
    ----------
    curve : DataFrame
        By `num_annotations` of each example: `accuracy` of the consensus, with an interval of a log of this
        size, `accuracy_low`, `accuracy_high`; `log_loss`, the mean of -log(probability of the true class);
        Krippendorff's `alpha` and how wide its interval is, `alpha_width`, null for one annotation.
    examples : LazyFrame
        `example, consensus_label, consensus_quality_score, num_annotations` of the fit, and `num_needed`, how
        many further annotations its quality is expected to take to the target, 0 where it is there; null
        where annotators do not tell the two most probable classes apart. Most first.
    needed : int or None
        The fewest annotations per example with which the accuracy reaches the target, if any on the curve do.
    target : float
        The accuracy that is wanted.
    """

    TABLES: ClassVar[tuple[str, ...]] = ("curve", "examples")
    VALUES: ClassVar[tuple[str, ...]] = ("needed", "target")
    HEADS: ClassVar[Heads] = {"curve": ("curve", 4 * FEW), "examples": ("examples in need", FEW)}
    method: ClassVar[str] = "label budget"

    def __init__(self, curve: pl.DataFrame, examples: pl.LazyFrame, target: float, by: str) -> None:
        self.curve, self.examples, self.target, self._by = curve, examples, target, by
        reached = curve.filter(pl.col("accuracy") >= target)["num_annotations"]
        self.needed = None if reached.is_empty() else int(reached[0])

    def _header(self) -> str:
        most = int(self.curve["num_annotations"][-1])
        said = f"{self.needed}" if self.needed else f"more than {most}"
        annotations = "annotation" if (self.needed or most) == 1 else "annotations"
        how = f"{said} {annotations} per example for an accuracy of {self.target:g}"
        return header("Label budget", {}, how, f"simulated from {self._by}").replace(": ;", ":")


# --- the crowd -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Crowd:
    """Annotators as they were fitted, those with annotations."""

    confusion: Floats
    """(M, K, K) C."""
    counts: Floats
    """(M, K) n[j,k]."""
    weight: Floats
    """(M,) the share of the annotations that each has."""
    prior: Floats
    """(K,) pi."""
    exponent: float
    n_examples: int
    per_example: float

    @classmethod
    def of(cls, fit: TruthInference, limit: Any) -> Crowd:
        annotators, K = fit.annotators, len(fit.classes)
        M = annotators.height
        check_memory(M * K**2 * PER_CELL, f"{M:,} annotators in {K:,} x {K:,} classes take", limit)
        table = fit.confusion
        assert table is not None
        C = table["probability"].to_numpy().reshape(-1, K, K)
        ids = table["annotator"].gather_every(K * K)
        labeled = ids.to_frame().join(annotators, on="annotator", how="left", maintain_order="left")
        n = labeled["num_examples_labeled"].fill_null(0).to_numpy().astype(np.float64)
        prior = fit.class_prior["probability"].to_numpy()
        if "num_annotations" in table.columns:
            counts = table["num_annotations"].to_numpy().reshape(-1, K, K).sum(axis=2)
        else:
            counts = n[:, None] * prior
        there, n_examples = n > 0, int(fit.examples.select(pl.len()).collect().item())
        return cls(
            C[there],
            counts[there],
            n[there] / n.sum(),
            prior,
            fit.confidence_exponent,
            n_examples,
            n.sum() / n_examples,
        )

    def draw(self, n: int, n_draws: int, seed: int) -> Draws:
        """Logs with n annotations of each example."""
        random = np.random.default_rng([seed, n])
        size, K = n_draws * EXAMPLES, len(self.prior)
        truth = random.choice(K, size, p=self.prior / self.prior.sum())
        who = self._chosen(random, size, n)
        label = self._labels(random, truth, who)
        with np.errstate(divide="ignore"):
            logs = np.log(self.prior) + np.zeros((size, K))
            for j, given in zip(who.T, label.T, strict=True):
                logs += np.log(np.maximum(self.confusion[j, :, given], LEAST))
        logs = self.exponent * (logs - logs.max(axis=1, keepdims=True))
        T = np.exp(logs)
        T /= T.sum(axis=1, keepdims=True)
        at = np.arange(size)
        is_right = (T.argmax(axis=1) == truth).reshape(n_draws, -1)
        loss = -np.log(np.maximum(T[at, truth], LEAST))
        return Draws(n, is_right, float(loss.mean()), label, self.n_examples)

    def _chosen(self, random: np.random.Generator, size: int, n: int) -> Ints:
        """(size, n) different annotators of each example, by their weight: the largest of keys log(u) / w.

        Of very many annotators some are drawn by weight first (Efraimidis and Spirakis 2006).
        """
        pool, weight = np.arange(len(self.weight)), self.weight
        if len(pool) > max(POOL, 2 * n):
            pool = random.choice(len(pool), max(POOL, 2 * n), p=weight)
            weight = np.full(len(pool), 1 / len(pool))
        keys = np.log(random.random((size, len(pool)))) / weight
        return np.asarray(pool[np.argpartition(keys, -n, axis=1)[:, -n:]])

    @cached_property
    def known(self) -> Floats:
        """(M, K, K) what the laws of the annotators' labels are drawn with."""
        seen = self.counts[:, :, None] * self.confusion
        pooled = seen.sum(axis=0) + 1 / len(self.prior)
        pooled /= pooled.sum(axis=1, keepdims=True)
        return np.asarray(self.exponent * seen + POOLED * pooled)

    def _labels(self, random: np.random.Generator, truth: Ints, who: Ints) -> Ints:
        """(size, n) labels, from matrices that the fit could not tell from its own."""
        theta = random.standard_gamma(self.known + LEAST) + LEAST
        edges = theta.cumsum(axis=2) / theta.sum(axis=2, keepdims=True)
        u = random.random((*who.shape, 1))
        found = (u > edges[who, truth[:, None]]).sum(axis=2)
        return np.asarray(np.minimum(found, len(self.prior) - 1))

    def gains(self) -> Floats:
        """(K, K) g D[a,b]."""
        logs = np.log(np.maximum(self.confusion, LEAST))
        D = np.einsum("j,jal,jal->a", self.weight, self.confusion, logs)[:, None]
        both = np.einsum("j,jal,jbl->ab", self.weight, self.confusion, logs)
        return np.asarray(self.exponent * (D - both))


@dataclass(frozen=True)
class Draws:
    """Logs of n annotations per example that were drawn."""

    n: int
    is_right: Any
    """(draws, EXAMPLES)"""
    log_loss: float
    label: Ints
    """(draws EXAMPLES, n)"""
    n_examples: int
    """Of the log."""

    def row(self, confidence: float) -> tuple[float | None, ...]:
        """A row of the curve."""
        share, z = float(self.is_right.mean()), normal.inv_cdf((1 + confidence) / 2)
        between = max(
            float(self.is_right.mean(axis=1).var(ddof=1)) - share * (1 - share) / EXAMPLES, 0
        )
        reach = z * (share * (1 - share) / self.n_examples + between) ** 0.5
        bounds = max(share - reach, 0.0), min(share + reach, 1.0)
        return (self.n, share, *bounds, self.log_loss, *self.alpha(confidence))

    def alpha(self, confidence: float) -> tuple[float | None, float | None]:
        """Krippendorff's alpha, and the width of its interval in a log of this size."""
        if self.n < 2:
            return None, None
        label = self.label[: 2 * EXAMPLES]
        example, annotator = np.indices(label.shape)
        log = pl.DataFrame(
            {"example": example.ravel(), "annotator": annotator.ravel(), "label": label.ravel()}
        )
        classes = list(range(int(label.max()) + 1))
        found = krippendorff_alpha(log, confidence=confidence, classes=classes).row(0, named=True)
        if found["ci_low"] is None:
            return found["value"], None
        width = (found["ci_high"] - found["ci_low"]) * (len(label) / self.n_examples) ** 0.5
        return found["value"], width


# --- the examples ----------------------------------------------------------------------------------


def examples_in_need(fit: TruthInference, crowd: Crowd, target: float) -> pl.LazyFrame:
    """The examples of the fit, with the annotations that each is expected to take to the target."""
    K, classes = len(crowd.prior), pl.Series("label", fit.classes)
    at = pl.DataFrame({"label": fit.class_prior["label"], "class": np.arange(len(classes))})
    ranked = fit.posterior.join(at.lazy(), on="label").sort(
        "probability", "class", descending=[True, False]
    )
    top = ranked.group_by("example", maintain_order=True).agg(
        pl.col("class", "probability").head(2)
    )
    first = pl.col("probability").list.get(0).clip(LEAST, 1 - LEAST)
    cell = pl.col("class").list.get(0) * K + pl.col("class").list.get(1, null_on_oob=True)
    gain = pl.lit(pl.Series(crowd.gains().ravel())).gather(cell)
    lacking = np.log(target / (1 - target)) - (first / (1 - first)).log()
    needed = pl.when(first >= target).then(0.0).when(gain > 1e-6).then((lacking / gain).ceil())
    wanted = top.select("example", num_needed=needed.clip(0).cast(pl.Int64))
    named = fit.examples.select(
        "example", "consensus_label", "consensus_quality_score", "num_annotations"
    )
    both = named.join(wanted, on="example", how="left")
    return both.sort("num_needed", "example", descending=[True, False], nulls_last=True)
