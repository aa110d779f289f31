"""What shows results to others: charts, and a report of a log in one file."""

from polars_crowd.reporting import plot

__all__ = ["plot"]
