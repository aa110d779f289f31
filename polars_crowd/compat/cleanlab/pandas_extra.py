"""pandas, or what to install."""

try:
    import pandas as pd
except ImportError as error:  # pragma: no cover
    raise ImportError(
        "polars_crowd.compat.cleanlab works with pandas frames, and pandas is not installed: "
        'pip install "polars-crowd[compat]". polars_crowd itself needs no pandas.'
    ) from error

__all__ = ["pd"]
