"""Why the consensus of an example is what it is, in a line: what the methods say, and what weighs most."""

from __future__ import annotations

from typing import Any

import polars as pl

from polars_crowd.annotators.explain import explain
from polars_crowd.cells import number_text
from polars_crowd.errors import shortened, shown_value
from polars_crowd.truth.classification.blend import Blend

PARTS = ("annotation", "model", "prior", "gold")
"""The parts of an account that can be told one from another."""
MOST = 3
"""How many are named for each of the two classes."""


def reasons(fit: Blend, ids: pl.Series) -> pl.DataFrame:
    """`example, runner_up, runner_up_probability, why` of a few examples."""
    found = explain(fit, ids)
    rows = [
        {"example": example, **reason(account, fit.classes)}
        for (example,), account in found.group_by("example", maintain_order=True)
    ]
    schema = {"example": ids.dtype, "runner_up": pl.Series(fit.classes).dtype}
    more = {"runner_up_probability": pl.Float64(), "why": pl.String()}
    return pl.DataFrame(rows, schema={**schema, **more})


def reason(account: pl.DataFrame, classes: list[Any]) -> dict[str, Any]:
    """The second most probable class, and what speaks for it and for the first."""
    columns = account.columns[-len(classes) :]
    posterior = account.filter(part="posterior").select("method", *columns)
    shares = posterior.row(-1)[1:]
    order = sorted(range(len(classes)), key=lambda k: -shares[k])
    if len(order) < 2:
        return {"runner_up": None, "runner_up_probability": None, "why": "there is one class only"}
    first, second = order[:2]
    said = said_by_methods(posterior.head(-1), classes)
    weighed = weights(account, columns[first], columns[second])
    names = shown_value(classes[first]), shown_value(classes[second])
    parts = [said, speaking(weighed, names[0], 1), speaking(weighed, names[1], -1)]
    return {
        "runner_up": classes[second],
        "runner_up_probability": shares[second],
        "why": "; ".join(filter(None, parts)),
    }


def said_by_methods(posterior: pl.DataFrame, classes: list[Any]) -> str:
    """What each method takes for the most probable class; variants of one are left aside."""
    by_class: dict[str, list[str]] = {}
    for method, *shares in posterior.filter(~pl.col("method").str.contains(",")).rows():
        k = max(range(len(classes)), key=lambda k: shares[k])
        by_class.setdefault(shown_value(classes[k]), []).append(
            f"{method} {number_text(shares[k])}"
        )
    return "; ".join(f"{label} by {', '.join(methods)}" for label, methods in by_class.items())


def weights(account: pl.DataFrame, first: str, second: str) -> list[tuple[str, float]]:
    """What each part adds to the first class more than to the second, by the first method with logs."""
    logs = account.filter(pl.col("part").is_in(PARTS), scale="log")
    if logs.is_empty():
        return []
    of_one = logs.filter(method=logs["method"][0])
    who = pl.coalesce(pl.col("annotator").cast(pl.String), pl.format("the {}", "part"))
    rows = of_one.select(who, by=pl.col(first) - pl.col(second)).rows()
    return [(shortened(name), by) for name, by in rows]


def speaking(weighed: list[tuple[str, float]], label: str, sign: int) -> str:
    """Who speaks for a class, the weightiest first."""
    who = sorted((-sign * by, name) for name, by in weighed if sign * by > 0)
    names = [f"{name} (+{number_text(-by)})" for by, name in who[:MOST]]
    more = len(who) - MOST
    rest = f" and {more} more" if more > 0 else ""
    return f"for {label}: {', '.join(names)}{rest}" if names else ""
