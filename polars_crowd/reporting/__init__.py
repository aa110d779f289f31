"""What shows results to others: charts."""

from polars_crowd.reporting import plot

__all__ = ["plot"]
