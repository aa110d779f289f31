"""Truth inference without a model: one module per method, one loop, one result.

How a method is written stands in `polars_crowd.truth.model`.
"""

from polars_crowd.truth.dawid_skene import dawid_skene
from polars_crowd.truth.ibcc import ibcc
from polars_crowd.truth.one_coin import one_coin_dawid_skene
from polars_crowd.truth.result import TruthInference
from polars_crowd.truth.zencrowd import zencrowd

__all__ = ["TruthInference", "dawid_skene", "ibcc", "one_coin_dawid_skene", "zencrowd"]
