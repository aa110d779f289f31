"""What is in a store."""

from __future__ import annotations

import polars as pl

import polars_crowd as pc


def contents(store: pc.AnnotationStore) -> pl.DataFrame:
    log = store.scan_annotations().collect()
    return log.sort(log.columns)
