"""What is said of annotators, on logs where it is known who is honest: `python benchmarks/annotators.py`.

`flags`: how often each flag of `annotator_report` is raised on honest annotators, by the number of their
answers, the classes and their shares, judged by the others and by the truth. They know the truth of 40 to
90 % of examples, and guess the others: of two classes they are right in 70 to 95 % of cases. And how many
spammers with 50 answers are flagged, who are a sixth of the annotators: who throws a coin, says one label,
says the most frequent class in 95 % of cases, or answers in an eighth of the time. `few` is no accusation,
and not counted.

`prevalence`: how often the intervals of `corrected_prevalence` (95 %) hold the shares that logs were drawn
from, by the share of the classes, how often the judge is right, and how many labels are known (of 3,000).

`pairs`: in how many logs `annotator_pairs` accuses anyone though all decide for themselves, also where
examples lead everybody to one wrong label; and how many pairs it finds of three among fifty annotators who
copy.

`drift`: how many steady annotators `annotator_drift` has an alarm for in a year of 30 answers a week, also
where some weeks are harder; and how often a drop from .9 to .7 is found within three weeks.

With `--check` it ends with an error where more than 5 % of the honest annotators of a setting get a flag, or
less than 90 % of the spammers of a kind are found over all settings; where intervals hold less than 93 or
more than 97 %, by more than 2.5 standard errors of the simulation; where more than 5 % of the logs of all
settings have a pair accused, or of the years of steady annotators an alarm; or where less than 90 % of the
copies, or of the drops, are found by known labels. `--draws` are the logs of each setting.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

import polars_crowd as pc
from polars_crowd.annotators.prevalence import Judge, prediction_powered, rogan_gladen

MOST_FALSE, LEAST_FOUND = 0.05, 0.9
SHARES = {
    "2 alike": (0.5, 0.5),
    "2 skewed": (0.8, 0.2),
    "3 alike": (1 / 3, 1 / 3, 1 / 3),
    "3 skewed": (0.7, 0.2, 0.1),
    "5 skewed": (0.6, 0.2, 0.1, 0.05, 0.05),
}
ANSWERS = (10, 20, 50, 200)
HONEST, SPAMMERS, PER_EXAMPLE = 40, 8, 5
KINDS = ("coin", "one label", "most frequent", "fast")
FLAGS = ("chance", "below_chance", "one_label", "fast")


# --- flags of annotator_report ---------------------------------------------------------------------


@dataclass(frozen=True)
class World:
    """A log, its truth, and what each annotator is."""

    log: pl.DataFrame
    truth: pl.DataFrame
    kinds: dict[str, str]


def world(
    shares: Sequence[float], n_answers: int, spammers: int, rng: np.random.Generator
) -> World:
    K, M = len(shares), HONEST + spammers
    truth = rng.choice(K, size=max(M * n_answers // PER_EXAMPLE, n_answers), p=shares)
    parts, kinds = [], {}
    for j in range(M):
        kind = "honest" if j < HONEST else KINDS[j % len(KINDS)]
        kinds[f"a{j}"] = kind
        example = rng.choice(len(truth), n_answers, replace=False)
        label = answers(kind, truth[example], shares, rng)
        seconds = rng.lognormal(2 + rng.normal(0, 0.4), 0.6, n_answers)
        seconds *= 1 / 8 if kind == "fast" else 1
        parts.append(
            pl.DataFrame({"example": example, "label": label, "seconds": seconds}).with_columns(
                annotator=pl.lit(f"a{j}")
            )
        )
    log = pl.concat(parts)
    known = pl.DataFrame({"example": np.arange(len(truth)), "label": truth})
    return World(log, known.join(log, on="example", how="semi"), kinds)


def answers(kind: str, truth: Any, shares: Sequence[float], rng: np.random.Generator) -> Any:
    """What somebody of a kind says."""
    K, n = len(shares), len(truth)
    guess = rng.integers(0, K, n)
    if kind == "coin":
        return guess
    if kind == "one label":
        return np.full(n, rng.integers(0, K))
    if kind == "most frequent":
        return np.where(rng.random(n) < 0.95, int(np.argmax(shares)), guess)
    return np.where(rng.random(n) < rng.uniform(0.4, 0.9), truth, guess)


def flagged(of: World, against: Any) -> dict[str, set[str]]:
    """The flags of each annotator."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = pc.annotator_report(of.log, against=against, timestamp=None)
    found: dict[str, set[str]] = {name: set() for name in of.kinds}
    for annotator, flag in report.flags.select("annotator", "flag").rows():
        found[annotator].add(flag)
    return found


def flags(draws: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Of each setting the share of honest annotators with each flag, and of spammers with one."""
    false, found = [], []
    for name, shares in SHARES.items():
        for judge in ("others", "truth"):
            for n in ANSWERS:
                rng = np.random.default_rng([n, len(name)])
                worlds = [world(shares, n, 0, rng) for _ in range(draws)]
                of_all = [raised for w in worlds for raised in seen(w, judge).values()]
                rates = {flag: np.mean([flag in raised for raised in of_all]) for flag in FLAGS}
                false.append({"classes": name, "judged by": judge, "answers": n, **rates})
            rng = np.random.default_rng([7, len(name)])
            worlds = [world(shares, 50, SPAMMERS, rng) for _ in range(draws)]
            pairs = [(w.kinds[j], raised) for w in worlds for j, raised in seen(w, judge).items()]
            rates = {
                k: np.mean([bool(r & {*FLAGS}) for kind, r in pairs if kind == k]) for k in KINDS
            }
            honest = np.mean([bool(r & {*FLAGS}) for kind, r in pairs if kind == "honest"])
            found.append({"classes": name, "judged by": judge, **rates, "honest beside": honest})
    return pl.DataFrame(false), pl.DataFrame(found)


def seen(of: World, judge: str) -> dict[str, set[str]]:
    return flagged(of, of.truth if judge == "truth" else None)


def check_flags(draws: int) -> list[str]:
    """Prints the tables; what is not as it must be."""
    false, found = flags(draws)
    print("honest annotators with each flag\n", false, "\n\nspammers with a flag\n", found, sep="")
    most, least = false.select(pl.col(FLAGS).max()), found.select(pl.col(KINDS).mean())
    wrong = [
        f"{f}: {x:.3f} of honest annotators"
        for f, x in most.row(0, named=True).items()
        if x > MOST_FALSE
    ]
    return wrong + [
        f"{k}: {x:.3f} found" for k, x in least.row(0, named=True).items() if x < LEAST_FOUND
    ]


# --- intervals of corrected_prevalence -------------------------------------------------------------

LEAST_HELD, MOST_HELD, ERRORS = 0.93, 0.97, 2.5
KNOWN, OTHERS, LOGS_PER_DRAW = (50, 100, 200), 2800, 15


def held(shares: Sequence[float], right: float, known: int, draws: int) -> dict[str, float]:
    """The share of intervals, over all classes, that hold the share of their class."""
    rng, K, pi = np.random.default_rng(known), len(shares), np.array(shares)
    M = np.full((K, K), (1 - right) / (K - 1))
    np.fill_diagonal(M, right)
    hits: dict[str, list[float]] = {"rogan_gladen": [], "ppi": []}
    for _ in range(draws * LOGS_PER_DRAW):
        confusion = rng.multinomial(known, (pi[:, None] * M).ravel()).reshape(K, K)
        judge = Judge(confusion.astype(float), rng.multinomial(OTHERS, pi @ M).astype(float))
        found = {
            "rogan_gladen": rogan_gladen(judge, 0.95)[0],
            "ppi": prediction_powered(judge, 0.95)[0],
        }
        for method, (_, low, high) in found.items():
            if not np.isnan(low).any():
                hits[method].append(float(((low <= pi) & (pi <= high)).mean()))
    return {method: float(np.mean(values)) for method, values in hits.items()}


def check_prevalence(draws: int) -> list[str]:
    """Prints the table; what is not as it must be."""
    rows = [
        {"shares": name, "right": right, "known": known, **held(shares, right, known, draws)}
        for name, shares in SHARES.items()
        if len(shares) < 4
        for right in (0.9, 0.7)
        for known in KNOWN
    ]
    table = pl.DataFrame(rows)
    print("intervals that hold the share of the class\n", table, sep="")
    near = ERRORS * np.sqrt(0.95 * 0.05 / (draws * LOGS_PER_DRAW))
    return [
        f"{method} of {row['shares']}, {row['right']}, {row['known']}: {row[method]:.3f}"
        for row in rows
        for method in ("rogan_gladen", "ppi")
        if not LEAST_HELD - near <= row[method] <= MOST_HELD + near
    ]


# --- annotator_pairs -------------------------------------------------------------------------------

PANELS = {
    "plain": (50, 5, 0.0),
    "hard": (50, 5, 0.3),
    "few, hard": (20, 8, 0.3),
    "crossed": (15, 15, 0.2),
}
"""Annotators, annotations of an example, and the share of examples that lead everybody to one wrong label."""


def misled(M: int, per: int, hard: float, rng: np.random.Generator) -> pl.DataFrame:
    """A log of 3 classes and 500 examples."""
    n = 500
    truth, skill = rng.integers(0, 3, n), rng.uniform(0.5, 0.9, M)
    lure = (truth + rng.integers(1, 3, n)) % 3
    who = np.argsort(rng.random((n, M)), axis=1)[:, :per]
    is_hard = (rng.random(n) < hard)[:, None]
    right = rng.random((n, per)) < skill[who] * np.where(is_hard, 0.4, 1.0)
    other = (truth[:, None] + rng.integers(1, 3, (n, per))) % 3
    wrong = np.where(is_hard & (rng.random((n, per)) < 0.9), lure[:, None], other)
    label = np.where(right, truth[:, None], wrong)
    columns = {"example": np.repeat(np.arange(n), per), "annotator": who.ravel()}
    return pl.DataFrame({**columns, "label": label.ravel()})


def copies(seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Two of fifty annotators copy all labels of a third; and the truth."""
    made = pc.simulate.simulate_annotations(accuracy=0.75, difficulty=0.1, seed=seed)
    first = made.log.filter(pl.col("annotator") == "a0000")
    rest = made.log.filter(~pl.col("annotator").is_in(["a0001", "a0002"]))
    both = [first.with_columns(annotator=pl.lit(name)) for name in ("a0001", "a0002")]
    return pl.concat([rest, *both]), made.truth


def accused(log: pl.DataFrame, against: Any = None) -> pl.DataFrame:
    return pc.annotator_pairs(log, against=against).filter(pl.col("p_value_corrected") < 0.05)


def check_pairs(draws: int) -> list[str]:
    false = {
        name: np.mean(
            [accused(misled(*panel, np.random.default_rng(d))).height > 0 for d in range(draws)]
        )
        for name, panel in PANELS.items()
    }
    made = [copies(d) for d in range(draws)]
    clique = pl.col("annotator_2") <= "a0002"
    found = {
        "by vote": np.mean([accused(log).filter(clique).height / 3 for log, _ in made]),
        "by truth": np.mean([accused(log, t).filter(clique).height / 3 for log, t in made]),
    }
    print(
        "\nlogs with a pair accused",
        pl.DataFrame(false),
        "pairs of copies found",
        pl.DataFrame(found),
        sep="\n",
    )
    wrong = [f"pairs: {x:.3f} of logs" for x in [np.mean([*false.values()])] if x > MOST_FALSE]
    return wrong + [f"copies: {x:.3f} found" for x in [found["by truth"]] if x < LEAST_FOUND]


# --- annotator_drift -------------------------------------------------------------------------------


def weeks(
    n: int, per: int, harder: bool, drop_at: int, rng: np.random.Generator
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Twenty annotators of accuracy .9 with 30 annotations in each of n weeks, and the truth; the first one
    is at .7 from some week on."""
    m, M = 20 * 30 // per, 20
    example = np.repeat(np.arange(n * m), per)
    turns = np.concatenate(
        [np.concatenate([rng.permutation(M) for _ in range(m * per // M)]) for _ in range(n)]
    )
    week, truth = example // m, rng.integers(0, 3, n * m)
    accuracy = 0.9 - 0.2 * ((turns == 0) & (week >= drop_at)) - 0.15 * (harder & (week % 13 > 6))
    wrong = (truth[example] + rng.integers(1, 3, len(example))) % 3
    label = np.where(rng.random(len(example)) < accuracy, truth[example], wrong)
    log = pl.DataFrame({"example": example, "annotator": turns, "label": label})
    time = pl.date(2024, 1, 1) + pl.duration(weeks=pl.lit(pl.Series(week)))
    truths = pl.DataFrame({"example": np.arange(n * m), "label": truth})
    return log.with_columns(timestamp=time).unique(
        ["example", "annotator"], maintain_order=True
    ), truths


def check_drift(draws: int) -> list[str]:
    rows, wrong = [], []
    for per in (3, 5):
        for judge in ("others", "truth"):
            false, found = [], []
            for d in range(draws):
                for harder in (False, True):
                    log, truth = weeks(52, per, harder, 99, np.random.default_rng([d, harder]))
                    of_year = pc.annotator_drift(log, against=truth if judge == "truth" else None)
                    false.append(of_year.alarms["annotator"].n_unique() / 20)
                log, truth = weeks(30, per, False, 26, np.random.default_rng([d, 2]))
                drift = pc.annotator_drift(log, against=truth if judge == "truth" else None)
                since = pl.col("window") >= pl.date(2024, 1, 1) + pl.duration(weeks=26)
                until = pl.col("window") < pl.date(2024, 1, 1) + pl.duration(weeks=29)
                here = drift.windows.filter("alarm", since, until, pl.col("annotator") == 0)
                found.append(here.height > 0)
            row = {
                "an example": per,
                "judged by": judge,
                "false": np.mean(false),
                "found": np.mean(found),
            }
            rows.append(row)
            wrong += [f"drift: {row}"] if row["false"] > MOST_FALSE else []
    claimed = np.mean([row["found"] for row in rows if row["judged by"] == "truth"])
    wrong += [f"drops: {claimed:.3f} found"] if claimed < LEAST_FOUND else []
    print("\nyears with an alarm, and drops found within 3 weeks", pl.DataFrame(rows), sep="\n")
    return wrong


# --- all of it -------------------------------------------------------------------------------------

CHECKS: dict[str, Callable[[int], list[str]]] = {
    "flags": check_flags,
    "prevalence": check_prevalence,
    "pairs": check_pairs,
    "drift": check_drift,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checks", nargs="*", choices=[[], *CHECKS], default=[])
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--check", action="store_true")
    asked = parser.parse_args()
    pl.Config(tbl_rows=-1, tbl_cols=-1, float_precision=3, tbl_width_chars=200)
    wrong = [w for name in asked.checks or CHECKS for w in CHECKS[name](asked.draws)]
    print(*wrong, sep="\n")
    return int(asked.check and bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
