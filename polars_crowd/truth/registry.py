"""The methods of truth inference by name, and what each is for: `compare`, the command and tests go by it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from polars_crowd.errors import did_you_mean, shown
from polars_crowd.truth.classification.blend import blend
from polars_crowd.truth.classification.bwa import bwa
from polars_crowd.truth.classification.dawid_skene import dawid_skene
from polars_crowd.truth.classification.ebcc import ebcc
from polars_crowd.truth.classification.glad import glad
from polars_crowd.truth.classification.ibcc import ibcc
from polars_crowd.truth.classification.iwmv import iwmv
from polars_crowd.truth.classification.kos import kos
from polars_crowd.truth.classification.mace import mace
from polars_crowd.truth.classification.one_coin import one_coin_dawid_skene
from polars_crowd.truth.classification.wawa import wawa
from polars_crowd.truth.classification.zencrowd import zencrowd
from polars_crowd.truth.classification.zero_based_skill import zero_based_skill
from polars_crowd.truth.numeric.averages import mean_truth, median_truth
from polars_crowd.truth.numeric.catd import catd
from polars_crowd.truth.numeric.crh import crh
from polars_crowd.truth.numeric.gaussian import gaussian_truth
from polars_crowd.truth.pairwise.bradley_terry import bradley_terry
from polars_crowd.truth.pairwise.crowd_bradley_terry import crowd_bradley_terry

Kind = Literal["classes", "numbers", "comparisons"]
TABLES = ("examples", "annotations", "posterior", "annotators")
"""The tables of every fit."""


@dataclass(frozen=True)
class Method:
    """A method of truth inference."""

    name: str
    """As `compare` and the command call it, with _ or -."""
    function: Callable[..., Any]
    labels: Kind = "classes"
    """What the labels of its logs are."""
    more: tuple[str, ...] = ()
    """Its tables besides TABLES."""
    compared: bool = True
    """Whether it is compared without being asked for."""
    most_classes: int | None = None
    """How many classes a log may have."""
    climbs: bool = True
    """Whether the trace is an objective that no iteration lowers."""
    neutral: bool = True
    """Whether the order of classes decides nothing but the label of a tied example."""

    @property
    def tables(self) -> tuple[str, ...]:
        return (*TABLES, *self.more)

    @property
    def options(self) -> frozenset[str]:
        """What it can be asked for: `pred_probs`, `prior`, `gold`, `max_iter`, ..."""
        return frozenset(inspect.signature(self.function).parameters) - {"log"}


CONFUSION, DIFFICULTY = ("confusion",), ("difficulty",)
METHODS = {
    method.name: method
    for method in (
        Method("wawa", wawa, climbs=False, neutral=False),
        Method("zero_based_skill", zero_based_skill, climbs=False, neutral=False),
        Method("iwmv", iwmv, neutral=False),
        Method("one_coin_dawid_skene", one_coin_dawid_skene, more=CONFUSION),
        Method("zencrowd", zencrowd, more=CONFUSION),
        Method("dawid_skene", dawid_skene, more=CONFUSION),
        Method("ibcc", ibcc, more=CONFUSION),
        Method("bwa", bwa),
        Method("ebcc", ebcc, more=CONFUSION, compared=False),  # takes by far the longest
        Method("glad", glad, more=DIFFICULTY),
        Method("mace", mace, more=(*CONFUSION, *DIFFICULTY)),
        Method("blend", blend, more=("weights",), compared=False, climbs=False, neutral=False),
        Method("kos", kos, compared=False, most_classes=2, climbs=False),  # experimental
        Method("mean", mean_truth, "numbers"),
        Method("median", median_truth, "numbers"),
        Method("crh", crh, "numbers"),
        Method("catd", catd, "numbers"),
        Method("gaussian", gaussian_truth, "numbers"),
        Method("bradley_terry", bradley_terry, "comparisons"),
        Method("crowd_bradley_terry", crowd_bradley_terry, "comparisons"),
    )
}


def methods_for(labels: Kind) -> dict[str, Method]:
    """Those for logs with such labels."""
    return {name: method for name, method in METHODS.items() if method.labels == labels}


def method_named(name: str, *others: str) -> Method:
    """The method of a name, which is written with _ or -; `others` are names that could be meant too."""
    plain = name.replace("-", "_")
    found = METHODS.get(plain) or METHODS.get(plain.removesuffix("_truth"))
    if found is None:
        known = [*others, *METHODS]
        meant = did_you_mean(plain, known)
        raise ValueError(f"method {name!r}; it must be one of {shown(known, 30)}.{meant}")
    return found


def method_of(function: Any) -> Method | None:
    """The method that a function is, with options that `functools.partial` gave it or not."""
    while isinstance(function, partial):
        function = function.func
    return next((method for method in METHODS.values() if method.function is function), None)
