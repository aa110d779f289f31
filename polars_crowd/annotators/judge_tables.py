"""The tables of a judge report, from the sums of `beside.py`.

**Errors of judges together**, by known labels only: with e = 1 where a judge is wrong, phi is the correlation
of e of two judges over the known examples that both labelled, and M judges are worth

    M / (1 + (M - 1) mean phi)

of independent ones (Kish 1965). Without known labels nothing in the log tells a label that all judges share
because it is right from one that they share because they are wrong alike: agreement is no measure of either,
and this is left unsaid.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from polars_crowd.annotators.beside import CELLS, PAIR, TRUTHS, Beside
from polars_crowd.annotators.stand_in import Advantage, Verdict, verdict
from polars_crowd.arrays import Floats
from polars_crowd.errors import heard
from polars_crowd.numerics.corrections import benjamini_yekutieli
from polars_crowd.numerics.shares import wilson
from polars_crowd.reliability.chance import ratio
from polars_crowd.reliability.coefficients import agreement
from polars_crowd.reliability.intra_rater import GROUP, consistency

COEFFICIENTS = {
    "percent_agreement": "agreement",
    "cohen_kappa": "kappa",
    "gwet_ac1": "ac1",
    "krippendorff_alpha": "alpha",
}
ENDS = ("", "_low", "_high")
SIDES = ("left", "right")


def coefficients_of(beside: Beside) -> pl.DataFrame:
    """`annotator, other` (codes), `num_shared`, and each coefficient with its interval, of every two who
    share an example."""
    cells = beside.merged[CELLS].sort(CELLS)
    pairs = cells.select(PAIR).unique(maintain_order=True).with_row_index(GROUP)
    of_pairs = cells.join(pairs, on=list(PAIR), maintain_order="left")
    each = of_pairs.select(GROUP, "label", "other_label", pl.int_ranges(pl.col("n")).alias("time"))
    each = each.explode("time", empty_as_null=False).drop("time").with_row_index("example")
    both = [
        each.select("example", GROUP, label=column, annotator=pl.lit(who))
        for who, column in enumerate(("label", "other_label"))
    ]
    K = len(beside.opened.classes)
    if cells.is_empty():
        empty = {f"{short}{end}": pl.Float64 for short in COEFFICIENTS.values() for end in ENDS}
        return pairs.drop(GROUP).with_columns(
            num_shared=pl.lit(0, pl.Int64), **{c: pl.lit(None, t) for c, t in empty.items()}
        )
    with heard():
        found = agreement(
            pl.concat(both),
            coefficients=list(COEFFICIENTS),
            by=GROUP,
            classes=list(range(K)),
            confidence=beside.confidence,
        )
    wide = pairs.join(cells.group_by(PAIR).agg(num_shared=pl.col("n").sum()), on=list(PAIR))
    for name, short in COEFFICIENTS.items():
        of_one = found.filter(pl.col("coefficient") == name)
        ends = {f"{short}_low": "ci_low", f"{short}_high": "ci_high"}
        named = of_one.select(
            GROUP, pl.col("value").alias(short), **{k: pl.col(v) for k, v in ends.items()}
        )
        wide = wide.join(named, on=GROUP, how="left", maintain_order="left")
    return wide.drop(GROUP)


def human_table(
    beside: Beside, coefficients: pl.DataFrame
) -> tuple[pl.DataFrame, dict[int, Verdict]]:
    """Each judge beside each human, and what follows for the judge."""
    sums = beside.merged[PAIR]
    tables, verdicts = [], {}
    for judge in beside.judges:
        pairs = pl.DataFrame({"annotator": judge, "other": beside.humans})
        pairs = pairs.cast(dict.fromkeys(PAIR, pl.UInt32))
        own = pairs.join(sums, on=list(PAIR), how="left", maintain_order="left").fill_null(0)
        columns = (own[c].to_numpy().astype(np.float64) for c in ("n", "judge", "d", "d2"))
        advantage = Advantage(*columns)
        p = advantage.p_values(beside.epsilon)
        corrected = benjamini_yekutieli(p)
        verdicts[judge] = verdict(advantage, corrected, 1 - beside.confidence, beside.epsilon)
        tables.append(
            pairs.with_columns(
                num_compared=own["n"],
                advantage=pl.Series(advantage.share).fill_nan(None),
                p_value=pl.Series(p).fill_nan(None),
                p_value_corrected=pl.Series(corrected).fill_nan(None),
            )
        )
    joined = pl.concat(tables).join(coefficients, on=list(PAIR), how="left", maintain_order="left")
    table = joined.select(
        annotator=pl.lit(beside.opened.annotators).gather("annotator"),
        human=pl.lit(beside.opened.annotators).gather("other"),
        num_shared=pl.col("num_shared").fill_null(0),
        **{
            name: pl.col(name) for name in coefficients.columns if name not in (*PAIR, "num_shared")
        },
        **{n: pl.col(n) for n in ("num_compared", "advantage", "p_value", "p_value_corrected")},
    )
    return table, verdicts


def judge_table(
    beside: Beside, rows: pl.LazyFrame, coefficients: pl.DataFrame, verdicts: dict[int, Verdict]
) -> pl.DataFrame:
    """A row per judge."""
    opened = beside.opened
    counts = beside.merged[("annotator",)]
    total = max(int(beside.merged[()]["human_examples"].item()), 1)
    together = coefficients.filter(pl.col("other") == len(beside.roles)).drop("other", "num_shared")
    codes = pl.DataFrame({"annotator": pl.Series(beside.judges, dtype=pl.UInt32)})
    said = [verdicts[judge] for judge in beside.judges]
    found = (
        codes.join(counts, on="annotator", how="left", maintain_order="left")
        .join(together, on="annotator", how="left", maintain_order="left")
        .with_columns(
            winning_rate=pl.Series([v.winning_rate for v in said], dtype=pl.Float64),
            advantage=pl.Series([v.advantage for v in said], dtype=pl.Float64),
            num_tested=pl.Series([v.n_tested for v in said], dtype=pl.Int64),
            reason=pl.Series([v.reason for v in said]),
            coverage=pl.col("covered") / total,
        )
        .with_columns(may_stand_in=pl.col("winning_rate") >= 0.5)
    )
    short = [c for c in together.columns if c != "annotator"]
    table = found.select(
        pl.lit(opened.annotators).gather("annotator").alias("annotator"),
        pl.col("annotations").alias("num_annotations"),
        "coverage",
        *short,
        *("winning_rate", "advantage", "num_tested", "may_stand_in", "reason"),
    )
    again = consistency(
        rows if beside.may_repeat else rows.clear(), opened.annotators, opened.classes
    )
    table = table.join(again, on="annotator", how="left", maintain_order="left")
    sides = of_sides(rows, beside.confidence)
    if sides is not None:
        table = table.join(sides, on="annotator", how="left", maintain_order="left")
    table = table.with_columns(pl.col("num_repeated").fill_null(0))
    return table.sort("agreement", "annotator", descending=[True, False], nulls_last=True)


def of_sides(rows: pl.LazyFrame, confidence: float) -> pl.DataFrame | None:
    """`annotator, left_share` and its interval, if the log says what stood on either side."""
    if not set(SIDES) <= set(rows.collect_schema()):
        return None
    label = pl.col("label").cast(pl.String)
    chose = {side: (label == pl.col(side).cast(pl.String)).sum() for side in SIDES}
    counts = rows.group_by("annotator").agg(**chose).collect()
    n = counts.select(pl.sum_horizontal(SIDES).cast(pl.Float64)).to_series().to_numpy()
    ends = share_columns("left_share", counts["left"].to_numpy(), n, confidence)
    return counts.select("annotator").with_columns(
        **{name: pl.Series(values).fill_nan(None) for name, values in ends.items()}
    )


def class_table(beside: Beside, costs: Floats) -> pl.DataFrame:
    """A row per judge and class."""
    K, classes = len(beside.opened.classes), beside.opened.classes
    tables = []
    for judge in beside.judges:
        own = beside.merged[TRUTHS].filter(pl.col("annotator") == judge)
        n = np.zeros((K, K))
        at = tuple(own[c].to_numpy().astype(np.intp) for c in ("true_label", "label"))
        n[at] = own["n"].to_numpy()
        truth, right = n.sum(axis=1), np.diag(n)
        false = n.sum(axis=0) - right
        others = n.sum() - truth
        columns = {
            **share_columns("sensitivity", right, truth, beside.confidence),
            **share_columns("specificity", others - false, others, beside.confidence),
            "expected_cost": ratio((n * costs).sum(axis=1), truth),
        }
        tables.append(
            pl.DataFrame(
                {
                    "annotator": beside.name([judge] * K),
                    "label": classes,
                    "num_examples": pl.Series(truth).cast(pl.Int64),
                    **{name: pl.Series(v).fill_nan(None) for name, v in columns.items()},
                }
            )
        )
    return pl.concat(tables)


def share_columns(name: str, part: Floats, n: Floats, confidence: float) -> dict[str, Floats]:
    """part / n with Wilson's interval; NaN where n is 0."""
    share = ratio(part, n)
    low, high = wilson(share, n, confidence)
    return {name: share, f"{name}_low": low, f"{name}_high": high}


def error_table(beside: Beside) -> pl.DataFrame:
    """The correlation of the errors of every two judges."""
    sums = beside.merged["annotator_1", "annotator_2"].sort("annotator_1", "annotator_2")
    n, a, b, both = (pl.col(c) / 1 for c in ("n", "wrong_1", "wrong_2", "both"))
    spread = (a * (n - a) * b * (n - b)).sqrt()
    phi = pl.when(spread > 0).then((n * both - a * b) / spread)
    names = pl.lit(beside.opened.annotators)
    return sums.select(
        annotator_1=names.gather("annotator_1"),
        annotator_2=names.gather("annotator_2"),
        num_examples="n",
        num_both_wrong="both",
        correlation=phi,
    )


def effective(errors: pl.DataFrame, n_judges: int) -> float | None:
    """M / (1 + (M - 1) mean phi)."""
    known = errors["correlation"].drop_nulls()
    if n_judges < 2 or known.is_empty():
        return None
    mean = float(known.mean())  # type: ignore[arg-type]
    return n_judges / (1 + (n_judges - 1) * max(mean, 0.0))
