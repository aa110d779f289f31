"""The public functions: `agreement`, and one function for each coefficient.

Where each is computed, and by which formulas, `kinds.py` says: those of most stand in `chance.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import polars as pl

from polars_crowd.errors import Advice, OptionError, shown
from polars_crowd.reliability.estimates import estimates
from polars_crowd.reliability.gathering import gather
from polars_crowd.reliability.registry import ICC_FORMS, chosen, named
from polars_crowd.reliability.report import COLUMNS, report
from polars_crowd.reliability.request import (
    Everything,
    Levelled,
    Options,
    Request,
    Weighted,
    WeightedTested,
)
from polars_crowd.signatures import shares


@shares(Everything, Request)
def agreement(
    log: Any, *, coefficients: str | Sequence[str] | None = None, **options: Unpack[Everything]
) -> pl.DataFrame:
    """How far annotators agree beyond chance, by any coefficient, with its interval.

    With p_a the observed agreement of pairs of annotators on the same example and p_e that expected by
    chance, a coefficient is (p_a - p_e) / (1 - p_e): 1 for perfect agreement, 0 for none beyond chance.
    The coefficients differ in p_e; each has a function of its own name, which says what it is. Any
    number of annotators, and any number of them on each example, may take part.

    Parameters
    ----------
    coefficients
        Names of coefficients, or `"all"`: `percent_agreement, cohen_kappa, scott_pi, fleiss_kappa,
        conger_kappa, light_kappa, brennan_prediger, gwet_ac1, gwet_ac2, krippendorff_alpha, icc` (or one
        of the six forms of `icc`), or `kendall_w`, `spearman` of an order. A word that one of them alone has
        will do (`"alpha"`, `"ac1"`). By default percent agreement, Fleiss, Conger, Brennan-Prediger, AC1 and
        alpha.
    weights
        How much two labels agree, for all coefficients but `gwet_ac1`, `krippendorff_alpha` and `icc`:
        `"identity"`, `"linear"`, `"quadratic"`, `"ordinal"`, `"radical"`, `"ratio"`, `"circular"`,
        `"bipolar"`, or a symmetric (K, K) matrix in class order, at most 1, with 1 on its diagonal.

    Agrees with
    -----------
    irrCAC 0.4.4 (values and standard errors, given the classes), krippendorff 0.9, statsmodels 0.15,
    scikit-learn 1.9 and pingouin 0.7, to 1e-9.

    Examples
    --------
    >>> import polars as pl
    >>> import polars_crowd as pc
    >>> log = pl.DataFrame({
    ...     "example": [1, 1, 1, 2, 2, 3, 3, 3, 4, 4],
    ...     "annotator": ["a", "b", "c", "a", "b", "a", "b", "c", "b", "c"],
    ...     "label": ["x", "x", "x", "y", "y", "x", "y", "x", "y", "y"],
    ... })
    >>> found = pc.agreement(log, coefficients=["fleiss_kappa", "krippendorff_alpha"])
    >>> found.select("coefficient", "value", "ci_low", "ci_high", "num_examples")
    shape: (2, 5)
    ┌────────────────────┬──────────┬───────────┬─────────┬──────────────┐
    │ coefficient        ┆ value    ┆ ci_low    ┆ ci_high ┆ num_examples │
    │ ---                ┆ ---      ┆ ---       ┆ ---     ┆ ---          │
    │ str                ┆ f64      ┆ f64       ┆ f64     ┆ i64          │
    ╞════════════════════╪══════════╪═══════════╪═════════╪══════════════╡
    │ fleiss_kappa       ┆ 0.657143 ┆ -0.386637 ┆ 1.0     ┆ 4            │
    │ krippendorff_alpha ┆ 0.64     ┆ -0.561465 ┆ 1.0     ┆ 4            │
    └────────────────────┴──────────┴───────────┴─────────┴──────────────┘
    """
    request = Request(chosen(coefficients), **options)
    rounds, grouping = request.open(log, COLUMNS)
    evidence = gather(rounds, grouping, request)
    return report(evidence, estimates(evidence, request))


def measured(name: str, log: Any, **options: Unpack[Everything]) -> pl.DataFrame:
    """`agreement` by one coefficient."""
    found: pl.DataFrame = agreement(log, coefficients=name, **options)
    return found


def instead(name: str) -> Mapping[str, Advice]:
    """What the coefficient of this name goes by instead of the options that it does not have."""
    return named(name).advice


# --- one function for each coefficient -------------------------------------------------------------


@shares(Weighted, Request, instead)
def percent_agreement(log: Any, **options: Unpack[Weighted]) -> pl.DataFrame:
    """The share of pairs of annotations of the same example that agree, averaged over examples.

    p_a = mean_i sum_k n_ik (sum_l w_kl n_il - 1) / (n_i (n_i - 1)) over examples with two annotations or
    more. Not corrected for chance: where one class prevails it is high without any skill.

    Examples
    --------
    >>> import polars_crowd as pc
    >>> round(pc.percent_agreement(pc.datasets.tutorial().log)["value"][0], 4)
    0.6163
    """
    return measured("percent_agreement", log, **options)


@shares(WeightedTested, Request, instead)
def cohen_kappa(log: Any, **options: Unpack[WeightedTested]) -> pl.DataFrame:
    """Cohen's kappa of two annotators, on the examples that both labelled.

    kappa = (p_o - p_e) / (1 - p_e), where p_o = sum_kl w_kl p_kl and p_e = sum_kl w_kl a_k b_l of the two
    annotators' own label shares (Cohen 1960, 1968). Its standard error is that of Fleiss, Cohen and
    Everitt (1969). Of more than two annotators see `conger_kappa`, `light_kappa`, `pairwise_agreement`.

    Parameters
    ----------
    log
        The annotations: whatever `scan_annotations` takes, or an `AnnotationStore`. It (or a
        group) must have exactly two annotators; the value is null otherwise, and `reason` says so.

    Agrees with
    -----------
    scikit-learn 1.9 (`cohen_kappa_score`) and statsmodels 0.15 (`cohens_kappa`, its standard error too, and
    with `tested_by="null"` its p-value), to 1e-9.

    Examples
    --------
    >>> import polars as pl
    >>> import polars_crowd as pc
    >>> log = pl.DataFrame({
    ...     "example": [1, 2, 3, 4] * 2, "annotator": ["a"] * 4 + ["b"] * 4, "label": list("xxyyxxyx")
    ... })
    >>> pc.cohen_kappa(log)["value"][0]
    0.5
    """
    return measured("cohen_kappa", log, **options)


@shares(Weighted, Request, instead)
def scott_pi(log: Any, **options: Unpack[Weighted]) -> pl.DataFrame:
    """Scott's pi of two annotators, on the examples that both labelled.

    pi = (p_o - p_e) / (1 - p_e), where p_e = sum_kl w_kl p_k p_l of the label shares of both together
    (Scott 1955). Of more annotators see `fleiss_kappa`, which it is for two without gaps.

    Parameters
    ----------
    log
        The annotations: whatever `scan_annotations` takes, or an `AnnotationStore`. It (or a
        group) must have exactly two annotators; the value is null otherwise, and `reason` says so.

    Examples
    --------
    >>> import polars as pl
    >>> import polars_crowd as pc
    >>> log = pl.DataFrame({
    ...     "example": [1, 2, 3, 4] * 2, "annotator": ["a"] * 4 + ["b"] * 4, "label": list("xxyyxxyx")
    ... })
    >>> round(pc.scott_pi(log)["value"][0], 4)
    0.4667
    """
    return measured("scott_pi", log, **options)


@shares(WeightedTested, Request, instead)
def fleiss_kappa(log: Any, **options: Unpack[WeightedTested]) -> pl.DataFrame:
    """Fleiss' kappa: chance is two labels drawn from the shares of all labels.

    kappa = (p_a - p_e) / (1 - p_e), p_e = sum_kl w_kl p_k p_l, p_k = mean_i n_ik / n_i (Fleiss 1971; for any
    number of annotations per example Gwet 2014).

    Agrees with
    -----------
    statsmodels 0.15 (`fleiss_kappa`) and irrCAC 0.4.4, to 1e-9.

    Examples
    --------
    >>> import polars_crowd as pc
    >>> round(pc.fleiss_kappa(pc.datasets.tutorial().log)["value"][0], 4)
    0.418
    """
    return measured("fleiss_kappa", log, **options)


@shares(Weighted, Request, instead)
def conger_kappa(log: Any, **options: Unpack[Weighted]) -> pl.DataFrame:
    """Conger's kappa: chance is a label from each of two different annotators' own shares.

    p_e = mean over pairs of annotators of P_j' W P_j', with P_j the label shares of annotator j (Conger
    1980): Cohen's kappa for many annotators. Its standard error takes a second look at the log.

    Parameters
    ----------
    log
        The annotations: whatever `scan_annotations` takes, or an `AnnotationStore`. Bootstrap
        intervals draw all annotations anew; where the log is too large for that, the interval is the
        analytic one and `warning` says so.

    Agrees with
    -----------
    irrCAC 0.4.4, to 1e-9.

    Examples
    --------
    >>> import polars_crowd as pc
    >>> round(pc.conger_kappa(pc.datasets.tutorial().log)["value"][0], 4)
    0.4197
    """
    return measured("conger_kappa", log, **options)


@shares(Weighted, Request, instead)
def light_kappa(log: Any, **options: Unpack[Weighted]) -> pl.DataFrame:
    """Light's kappa: the mean of Cohen's kappa over all pairs of annotators who share examples.

    Pairs for which Cohen's kappa is undefined are left out (Light 1971). Meant for a few annotators
    with many examples in common; crowds are better served by `conger_kappa`. Cohen's kappa of few examples is
    biased, so that there is no interval, and `reason` says so, where pairs would disagree by chance on fewer
    than 10 of the examples that they share, or that bias is over a quarter of the standard error.

    Parameters
    ----------
    log
        The annotations: whatever `scan_annotations` takes, or an `AnnotationStore`. The value
        is null, and `reason` says so, beyond 5 million annotations or 20 million pairs of annotations of
        the same example.

    Examples
    --------
    >>> import polars as pl
    >>> import polars_crowd as pc
    >>> log = pl.DataFrame({
    ...     "example": [1, 2, 3] * 3,
    ...     "annotator": ["a"] * 3 + ["b"] * 3 + ["c"] * 3,
    ...     "label": list("xxyxxyxyy"),
    ... })
    >>> round(pc.light_kappa(log)["value"][0], 4)
    0.6
    """
    return measured("light_kappa", log, **options)


@shares(Weighted, Request, instead)
def brennan_prediger(log: Any, **options: Unpack[Weighted]) -> pl.DataFrame:
    """Brennan and Prediger's coefficient: chance is every class equally likely.

    p_e = sum w / K^2, which is 1 / K without weights (Brennan and Prediger 1981); also known as Bennett's S,
    Randolph's free-marginal kappa, and PABAK for two classes. Declare `classes` if some went unused.

    Agrees with
    -----------
    irrCAC 0.4.4 and statsmodels 0.15 (`fleiss_kappa(method="randolph")`), to 1e-9.

    Examples
    --------
    >>> import polars_crowd as pc
    >>> round(pc.brennan_prediger(pc.datasets.tutorial().log)["value"][0], 4)
    0.4244
    """
    return measured("brennan_prediger", log, **options)


@shares(Options, Request, instead)
def gwet_ac1(log: Any, **options: Unpack[Options]) -> pl.DataFrame:
    """Gwet's AC1: chance is a random label, which happens on examples that are hard to label.

    p_e = sum_k p_k (1 - p_k) / (K - 1), p_k = mean_i n_ik / n_i (Gwet 2008). It stays high where almost all
    labels are of one class, where kappa falls. Declare `classes` if some went unused.

    Agrees with
    -----------
    irrCAC 0.4.4, to 1e-9.

    Examples
    --------
    >>> import polars_crowd as pc
    >>> round(pc.gwet_ac1(pc.datasets.tutorial().log)["value"][0], 4)
    0.4276
    """
    return measured("gwet_ac1", log, **options)


@shares(Weighted, Request, instead, weights="quadratic")
def gwet_ac2(log: Any, **options: Unpack[Weighted]) -> pl.DataFrame:
    """Gwet's AC2: AC1 with weights, for labels some of which are closer than others.

    p_e = sum w / (K (K - 1)) sum_k p_k (1 - p_k) (Gwet 2014).

    Agrees with
    -----------
    irrCAC 0.4.4, to 1e-9.

    Examples
    --------
    >>> import polars_crowd as pc
    >>> round(pc.gwet_ac2(pc.datasets.tutorial().log, weights="linear")["value"][0], 4)
    0.3279
    """
    return measured("gwet_ac2", log, **options)


@shares(Levelled, Request, instead)
def krippendorff_alpha(log: Any, **options: Unpack[Levelled]) -> pl.DataFrame:
    """Krippendorff's alpha, at any level of measurement.

    alpha = 1 - D_o / D_e: D_o is the mean distance of pairs of annotations of the same example (an example
    with n_i >= 2 annotations counts n_i times), D_e that of all pairs of these annotations (Krippendorff
    2011). The distances of labels k and l, with values c_k and c_l and n_k annotations of each, are

        nominal    1[k != l]
        ordinal    (n_k / 2 + n_(k+1) + ... + n_(l-1) + n_l / 2)^2
        interval   (c_k - c_l)^2
        ratio      ((c_k - c_l) / (c_k + c_l))^2

    Parameters
    ----------
    log
        The annotations: whatever `scan_annotations` takes, or an `AnnotationStore`. The
        interval and ordinal levels take any number of different numbers.
    level
        `"nominal"`, `"ordinal"`, `"interval"`, `"ratio"`, or 1 less the weights `"linear"`, `"radical"`,
        `"circular"`, `"bipolar"` (`polars_crowd.reliability.weights`). Dates count in days; other labels
        that are no numbers have the values 1, 2, ... in the order of `classes`. Ratios take labels of 0 or
        more. The standard error takes the ordinal distance as given.

    Agrees with
    -----------
    krippendorff 0.9 at its four levels, irrCAC 0.4.4 by other weights (standard errors too), to 1e-9.

    Examples
    --------
    >>> import polars as pl
    >>> import polars_crowd as pc
    >>> log = pl.DataFrame({
    ...     "example": [1, 1, 2, 2, 3, 3, 4],
    ...     "annotator": ["a", "b", "a", "b", "a", "b", "a"],
    ...     "label": [1.0, 1.5, 3.0, 3.0, 2.0, 2.5, 4.0],
    ... })
    >>> round(pc.krippendorff_alpha(log, level="interval")["value"][0], 4)
    0.875
    """
    return measured("krippendorff_alpha", log, **options)


@shares(Options, Request, instead)
def icc(
    log: Any, *, form: str | Sequence[str] = "icc(1)", **options: Unpack[Options]
) -> pl.DataFrame:
    """Intraclass correlation of numeric labels: the share of their variance that is between examples.

    The six forms of Shrout and Fleiss (1979), in the notation of McGraw and Wong (1996): one-way
    `icc(1)`, two-way with annotators as a random sample `icc(A,1)` (absolute agreement), or up to their
    means `icc(C,1)` (consistency); and `icc(k)`, `icc(A,k)`, `icc(C,k)` for the mean of an example's
    annotations. With gaps the variances of the two-way forms are those of Henderson's method 1 (1953),
    which has no bias; restricted maximum likelihood differs by what chance makes of either. The formulas
    stand in `polars_crowd.reliability.icc`.

    Parameters
    ----------
    log
        The annotations: whatever `scan_annotations` takes, or an `AnnotationStore`. The labels
        are numbers, or dates. Not every annotator needs to label every example. The two-way forms take no
        annotator twice on an example.
    form
        One form or several.
    interval
        `"analytic"`: from F, without a standard error. `"bootstrap"`: BCa over examples drawn anew (Efron
        1987) for the one-way forms; of the others the interval is the analytic one, and `warning` says so.

    Agrees with
    -----------
    pingouin 0.7 (`intraclass_corr`), to 1e-9.

    Examples
    --------
    >>> import polars as pl
    >>> import polars_crowd as pc
    >>> log = pl.DataFrame({
    ...     "example": [1, 2, 3, 4] * 2,
    ...     "annotator": ["a"] * 4 + ["b"] * 4,
    ...     "label": [1, 3, 5, 8, 2, 4, 5, 9],
    ... })
    >>> pc.icc(log, form=["icc(1)", "icc(A,1)", "icc(C,1)"]).select("coefficient", "value")
    shape: (3, 2)
    ┌─────────────┬──────────┐
    │ coefficient ┆ value    │
    │ ---         ┆ ---      │
    │ str         ┆ f64      │
    ╞═════════════╪══════════╡
    │ icc(1)      ┆ 0.957944 │
    │ icc(A,1)    ┆ 0.958525 │
    │ icc(C,1)    ┆ 0.985782 │
    └─────────────┴──────────┘
    """
    forms = [form] if isinstance(form, str) else form
    if not isinstance(forms, Sequence):
        raise OptionError("form", form, "it must be one form or a list of several.")
    unknown = [f for f in forms if f not in ICC_FORMS]
    if unknown or not forms:
        raise OptionError("form", form, f"it must be among {shown(list(ICC_FORMS), 20)}.")
    found: pl.DataFrame = agreement(log, coefficients=forms, **options)
    return found


@shares(Options, Request, instead)
def kendall_w(log: Any, **options: Unpack[Options]) -> pl.DataFrame:
    """Kendall's W: how far annotators put the examples in the same order.

    Of M annotators who labelled all N examples, with R_i the sum of the ranks of example i (ties have the
    mean of theirs), t the sizes of the ties of annotator j:

        W = 12 sum_i (R_i - M (N + 1) / 2)^2 / (M^2 (N^3 - N) - M sum_j sum_t (t^3 - t))

    (Kendall and Babington Smith 1939): 0 for no agreement, 1 for the same order. The p-value is that of F
    with N - 1 - 2 / M and (M - 1) times as many degrees of freedom. Where there are gaps see `spearman`.

    Parameters
    ----------
    log
        The annotations: whatever `scan_annotations` takes, or an `AnnotationStore`. The labels have an
        order: numbers, dates, an Enum, or `classes`.
    interval
        `"bootstrap"`: BCa over examples drawn anew (Efron 1987). There is no analytic interval.

    Agrees with
    -----------
    SciPy 1.17 (`friedmanchisquare`, whose statistic is M (N - 1) W), to 1e-9.

    Examples
    --------
    >>> import polars as pl
    >>> import polars_crowd as pc
    >>> log = pl.DataFrame({
    ...     "example": [1, 2, 3, 4] * 2, "annotator": ["a"] * 4 + ["b"] * 4, "label": [1, 2, 3, 4, 1, 3, 2, 4]
    ... })
    >>> pc.kendall_w(log)["value"][0]
    0.9
    """
    return measured("kendall_w", log, **options)


@shares(Options, Request, instead)
def spearman(log: Any, **options: Unpack[Options]) -> pl.DataFrame:
    """Spearman's rank correlation, the mean over all pairs of annotators who share examples.

    Of each pair the correlation of the ranks of the labels on the examples that both labelled (ties have the
    mean of theirs); pairs for which it is undefined are left out.

    Parameters
    ----------
    log
        The annotations: whatever `scan_annotations` takes, or an `AnnotationStore`. The labels have an
        order: numbers, dates, an Enum, or `classes`. The value is null, and `reason` says so, beyond 5
        million annotations or 20 million pairs of annotations of the same example.
    interval
        `"bootstrap"`: BCa over examples drawn anew (Efron 1987). There is no analytic interval.

    Agrees with
    -----------
    SciPy 1.17 (`spearmanr` of each pair), to 1e-9.

    Examples
    --------
    >>> import polars as pl
    >>> import polars_crowd as pc
    >>> log = pl.DataFrame({
    ...     "example": [1, 2, 3, 4] * 2, "annotator": ["a"] * 4 + ["b"] * 4, "label": [1, 2, 3, 4, 1, 3, 2, 4]
    ... })
    >>> round(pc.spearman(log)["value"][0], 4)
    0.8
    """
    return measured("spearman", log, **options)
