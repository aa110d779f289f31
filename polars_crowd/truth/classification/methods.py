"""The methods of truth inference for classes, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from polars_crowd.errors import shown
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

Method = Callable[..., Any]

MAJORITY_VOTE = "majority_vote"
METHODS: dict[str, Method] = {
    "wawa": wawa,
    "zero_based_skill": zero_based_skill,
    "iwmv": iwmv,
    "one_coin_dawid_skene": one_coin_dawid_skene,
    "zencrowd": zencrowd,
    "dawid_skene": dawid_skene,
    "ibcc": ibcc,
    "bwa": bwa,
    "ebcc": ebcc,
    "glad": glad,
    "mace": mace,
    "kos": kos,
}
"""All but the majority vote."""
BY_NAME_ONLY = frozenset({"kos", "ebcc"})
"""Those that are compared if they are asked for: KOS is experimental, EBCC takes by far the longest."""


def method_named(name: str) -> Method:
    """The method of a name, written with _ or -."""
    found = METHODS.get(name.replace("-", "_"))
    if found is None:
        raise ValueError(f"method {name!r}; it must be one of {shown(list(METHODS), 20)}.")
    return found
