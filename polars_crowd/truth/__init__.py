"""Truth inference without a model: one module per method, one loop, one result.

How a method is written stands in `polars_crowd.truth.model`.
"""
