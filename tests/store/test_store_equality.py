"""However a store has grown, it gives what the log gives in memory: labels exactly, numbers to 1e-9."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import polars_crowd as pc
from tests.cases import Case, assert_same, assert_same_fit, cases

BY_ROW = ["example", "annotator"]
few = settings(max_examples=10, suppress_health_check=list(HealthCheck))


def fit_or_error(*args: Any, **options: Any) -> pc.Crowdlab | str:
    try:
        return pc.crowdlab(*args, **options)
    except pc.AnnotationError as error:
        return str(error)


def assert_same_outcome(found: pc.Crowdlab | str, expected: pc.Crowdlab | str) -> None:
    """Fits that are the same, or errors."""
    if isinstance(found, pc.Crowdlab) and isinstance(expected, pc.Crowdlab):
        assert_same_fit(found, expected)
    else:
        assert found == expected


@few
@given(cases(max_examples=9), st.sampled_from((2, 7)), st.data())
def test_a_store_grown_in_any_batches(case: Case, partitions: int, data: st.DataObject) -> None:
    """However the rows are spread over create and append, the results are the same."""
    log, probs = case.log, case.pred_probs[0]
    batch = data.draw(st.lists(st.integers(0, 2), min_size=log.height, max_size=log.height))
    log = log.with_columns(batch=pl.Series(batch, dtype=pl.Int64))
    batches = [rows for _, rows in sorted(log.group_by("batch"), key=lambda group: group[0])]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", pc.AnnotationWarning)
        store = pc.AnnotationStore.create(
            Path(folder) / "store", batches[0], probs, partitions=partitions
        )
        for rows in batches[1:]:
            store.append(rows)
        found = store.scan_annotations().collect().sort(BY_ROW)
        assert_same(found, log.sort(BY_ROW))
        assert_same_outcome(fit_or_error(store), fit_or_error(log, probs))
