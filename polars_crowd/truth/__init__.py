"""Truth inference without a model: one module per method, one loop, one result.

How a method is written stands in `polars_crowd.truth.model`.
"""

from polars_crowd.truth.bwa import bwa
from polars_crowd.truth.dawid_skene import dawid_skene
from polars_crowd.truth.ebcc import ebcc
from polars_crowd.truth.glad import glad
from polars_crowd.truth.ibcc import ibcc
from polars_crowd.truth.iwmv import iwmv
from polars_crowd.truth.kos import kos
from polars_crowd.truth.mace import mace
from polars_crowd.truth.one_coin import one_coin_dawid_skene
from polars_crowd.truth.result import TruthInference
from polars_crowd.truth.wawa import wawa
from polars_crowd.truth.zencrowd import zencrowd
from polars_crowd.truth.zero_based_skill import zero_based_skill

__all__ = [
    "TruthInference",
    "bwa",
    "dawid_skene",
    "ebcc",
    "glad",
    "ibcc",
    "iwmv",
    "kos",
    "mace",
    "one_coin_dawid_skene",
    "wawa",
    "zencrowd",
    "zero_based_skill",
]
