"""Truth inference without a model: one module per method, one loop, one result.

How a method is written stands in `polars_crowd.truth.model`.
"""

from polars_crowd.truth.dawid_skene import dawid_skene
from polars_crowd.truth.result import TruthInference

__all__ = ["TruthInference", "dawid_skene"]
