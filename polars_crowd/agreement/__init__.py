"""Agreement between annotators, corrected for chance."""

from polars_crowd.agreement.functions import agreement

__all__ = ["agreement"]
