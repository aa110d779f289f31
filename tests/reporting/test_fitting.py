"""What `.plot()` draws of a result: the chart that fits, or the one that is asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import polars_crowd as pc
from polars_crowd.errors import OptionError
from tests.reporting.chart_cases import DATA, a_fit, a_log, methods

NUMBERS = DATA.log.with_columns(pl.col("label").cast(pl.Float64))
PAIRS = pl.DataFrame(
    {"annotator": "a", "left": ["x", "y"], "right": ["y", "x"], "winner": ["x", "y"]}
)
FITTING: dict[str, tuple[Callable[[], Any], str]] = {
    "truth": (a_fit, "How sure the consensus is"),
    "one coin": (lambda: pc.one_coin_dawid_skene(DATA.log), "How sure the consensus is"),
    "crowdlab": (lambda: pc.crowdlab(DATA.log, DATA.pred_probs), "How sure the consensus is"),
    "numbers": (lambda: pc.crh(NUMBERS), "How good the annotators are"),
    "comparison": (methods, "How good the methods are"),
    "preferences": (lambda: pc.bradley_terry(PAIRS), "What is preferred"),
}


def title(chart: Any) -> str:
    return " ".join(chart.to_dict()["title"]["text"])


@pytest.mark.parametrize("name", FITTING)
def test_a_result_has_the_chart_that_fits(name: str) -> None:
    result, expected = FITTING[name]
    assert title(result().plot()) == expected


@pytest.mark.parametrize("name", FITTING)
def test_results_with_annotators_have_the_chart_of_annotators(name: str) -> None:
    result = FITTING[name][0]()
    if hasattr(result, "annotators"):
        assert title(result.plot("annotator_quality")) == "How good the annotators are"


def test_results_that_were_opened_have_the_same_charts(tmp_path: Path) -> None:
    fit = a_fit()
    fit.write(tmp_path / "results")
    kept = pc.open_results(tmp_path / "results")
    assert "plot" in dir(kept)
    for name in ("consensus_quality", "confusion", "confidence", "annotator_quality"):
        assert kept.plot(name).to_dict() == fit.plot(name).to_dict()


def test_another_chart_is_named_and_takes_its_options() -> None:
    chart = a_fit().plot("calibration", truth=DATA.truth.cast({"label": pl.String}))
    assert title(chart) == "Is it as right as it says?"
    with pytest.raises(OptionError, match="'confusion'"):
        a_fit().plot("confusions")
    with pytest.raises(pc.AnnotationError, match="annotator: none of its 1 annotator"):
        a_fit().plot("confusion", annotator="nobody")
    with pytest.raises(pc.AnnotationError, match="windows"):
        a_fit().plot("drift")


def test_charts_are_of_stores_too(tmp_path: Path) -> None:
    store = pc.AnnotationStore.create(tmp_path / "store", a_log(), partitions=3)
    of_store = pc.plot.labels_per_example(store).to_dict()
    assert of_store == pc.plot.labels_per_example(a_log()).to_dict()
    assert of_store == pc.plot.labels_per_example(a_fit()).to_dict()
    fit = pc.dawid_skene(store, into=tmp_path / "results")
    assert fit.plot().to_dict() == a_fit().plot().to_dict()


@pytest.mark.parametrize(
    ("options", "said"),
    [({}, "missing a required argument: 'truth'"), ({"truths": 1}, "'truth'")],
)
def test_what_a_chart_needs_is_said(options: dict[str, Any], said: str) -> None:
    fit = pc.dawid_skene(a_log())
    with pytest.raises(OptionError, match=said) as found:
        fit.plot("calibration", **options)
    assert "the help of that chart" in str(found.value)
