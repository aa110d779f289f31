"""Explanations: their parts add up to the posterior of the fit, whatever the method."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import polars_crowd as pc
from polars_crowd.errors import AnnotationError, OptionError, StoreError
from tests.subjects import CROWDLAB, TRUTH, WITH_MODELS, Subject, Trial, trials
from tests.truth.truth_cases import unwarned

EXPLAINED = [s for s in (*CROWDLAB, *TRUTH, *WITH_MODELS) if s.labels == "classes"]
DATA = pc.datasets.tutorial()


def added_up(found: pl.DataFrame) -> pl.DataFrame:
    """`example`, `method` and by class the sum of the parts, as a probability."""
    classes = found.columns[7:]
    parts = found.filter(pl.col("part") != "posterior")
    sums = parts.group_by("example", "method", maintain_order=True).agg(
        pl.col("scale").unique().first(), pl.col(classes).sum()
    )
    is_log = pl.col("scale") == "log"
    return sums.with_columns(
        pl.when(is_log).then(pl.col(c).exp()).otherwise(c).alias(c) for c in classes
    )


def check_adds_up(found: pl.DataFrame, fit: Any) -> None:
    """Parts add up to the posterior rows, and those of the fit itself are its posterior."""
    classes = found.columns[7:]
    said = found.filter(pl.col("part") == "posterior").select("example", "method", *classes)
    assert_frame_equal(added_up(found).drop("scale"), said, rel_tol=0, abs_tol=1e-9)
    last = said.filter(pl.col("method") == fit.method)
    posterior = fit.posterior.collect()
    asked = last.select("example").unique(maintain_order=True)
    wide = posterior.pivot("label", index="example", values="probability")
    expected = asked.join(wide, on="example", how="left", maintain_order="left")
    np.testing.assert_allclose(
        last.select(classes).to_numpy(), expected.drop("example").to_numpy(), rtol=0, atol=1e-9
    )


def fit_of(trial: Trial, gold: pl.DataFrame | None) -> Any:
    known = {} if gold is None else {"gold": gold}
    probs = trial.probs[0] if len(trial.probs) == 1 else trial.probs
    models = (probs,) if trial.probs else ()
    return trial.subject.function(trial.log, *models, **trial.options, **known)


@pytest.mark.parametrize("subject", EXPLAINED, ids=str)
@settings(max_examples=2, deadline=None)
@given(data=st.data())
def test_parts_add_up_to_the_posterior_of_the_fit(
    subject: Subject, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    trial = data.draw(trials(subject))
    gold = None
    if "gold" in subject.takes and data.draw(st.booleans()):
        gold = trial.log.unique("example").select("example", "label").sort("example").head(1)
    if "confidence" in subject.takes:
        trial.options["confidence"] = data.draw(st.sampled_from(["cautious", "loo", "model"]))
    with unwarned():
        fit = fit_of(trial, gold)
        ids = trial.log["example"].unique().sort().head(4)
        found = pc.explain(fit, ids)
        check_adds_up(found, fit)
        place = tmp_path_factory.mktemp("kept") / "results"
        fit.write(place)
        probs = trial.probs if len(trial.probs) > 1 else next(iter(trial.probs), None)
        again = pc.explain(pc.open_results(place), ids, pred_probs=probs)
    assert_frame_equal(again, found, rel_tol=1e-12, abs_tol=1e-12)


def test_a_vote_is_explained_by_its_log() -> None:
    vote = pc.majority_vote(DATA.log)
    found = pc.explain(vote, ["005", "003"], log=DATA.log)
    assert found["example"].unique(maintain_order=True).to_list() == ["005", "003"]
    top = found.filter(pl.col("part") == "posterior").select(pl.max_horizontal("0", "1", "2"))
    examples = vote.filter(pl.col("example").is_in(["005", "003"])).sort("example", descending=True)
    np.testing.assert_allclose(
        top.to_series(), examples.collect()["annotator_agreement"], atol=1e-12
    )
    with pytest.raises(OptionError, match="log= is needed"):
        pc.explain(vote, "005")


def test_by_hand() -> None:
    """Dawid-Skene: log pi and log theta of two annotations, and the power of their posterior."""
    with unwarned():
        fit = pc.dawid_skene(DATA.log)
    found = pc.explain(fit, "007")
    theta = fit.confusion
    assert theta is not None
    voices = found.filter(pl.col("part") == "annotation")
    for row in voices.iter_rows(named=True):
        of_label = theta.filter(
            pl.col("annotator") == row["annotator"], pl.col("label") == row["label"]
        ).sort("true_label")
        expected = np.log(of_label["probability"].to_numpy())
        np.testing.assert_allclose([row["0"], row["1"], row["2"]], expected, atol=1e-9)
        own = expected[row["label"]]
        assert row["weight"] == pytest.approx(own - (expected.sum() - own) / 2)
    prior = found.row(0, named=True)
    assert prior["part"] == "prior"
    shares = np.log(fit.class_prior["probability"].to_numpy())
    np.testing.assert_allclose([prior["0"], prior["1"], prior["2"]], shares, atol=1e-9)
    tempering = found.filter(pl.col("part") == "tempering")
    assert tempering["weight"].item() == fit.confidence_exponent


def test_stores_and_calibrated_models_and_ensembles(tmp_path: Path) -> None:
    other = DATA.pred_probs.select("example", *(pl.col(c) * 0.5 + 1 / 6 for c in "012"))
    store = pc.AnnotationStore.create(
        tmp_path / "store", DATA.log, [DATA.pred_probs, other], partitions=3
    )
    ids = ["000", "017", "101"]
    with unwarned():
        of_log = pc.crowdlab(DATA.log, [DATA.pred_probs, other], calibrate=True)
        of_store = pc.crowdlab(store, calibrate=True, into=tmp_path / "results")
        found = pc.explain(of_log, ids)
        check_adds_up(found, of_log)
        assert found.filter(pl.col("part") == "model").height == 2 * len(ids)
        for fit, given in (
            (of_store, None),
            (pc.open_results(tmp_path / "results"), [DATA.pred_probs, other]),
        ):
            again = pc.explain(fit, ids, pred_probs=given)
            assert_frame_equal(again, found, rel_tol=1e-9, abs_tol=1e-9)
        blend = pc.blend(store, True)
        check_adds_up(pc.explain(blend, ids), blend)


def test_a_known_label_takes_it_all() -> None:
    gold = pl.DataFrame({"example": ["000"], "label": [2]})
    with unwarned():
        found = pc.explain(pc.ibcc(DATA.log, gold=gold), "000")
    assert "gold" in found["part"].to_list()
    assert "tempering" not in found["part"].to_list()
    assert found.select("0", "1", "2").row(-1) == (0.0, 0.0, 1.0)


def test_names_given_to_columns_of_results_are_known(tmp_path: Path) -> None:
    with unwarned():
        fit = pc.wawa(DATA.log)
    fit.write(tmp_path / "a", names={"example": "item_id", "label": "answer"})
    pc.open_results(tmp_path / "a").write(tmp_path / "b")
    for place in ("a", "b"):
        found = pc.explain(pc.open_results(tmp_path / place), "003")
        assert_frame_equal(found, pc.explain(fit, "003"))


def test_classes_that_are_called_as_columns_are() -> None:
    log = DATA.log.with_columns(pl.col("label").replace_strict([0, 1, 2], ["part", "weight", "c"]))
    with unwarned():
        found = pc.explain(pc.wawa(log), "003")
    assert found.columns[7:] == ["c", "class part", "class weight"]


def wrong(tmp_path: Path) -> dict[str, tuple[Callable[[], Any], type[Exception], str]]:
    with unwarned():
        fit = pc.crowdlab(DATA.log, DATA.pred_probs)
        fit.write(tmp_path / "parquet")
        fit.write(tmp_path / "csv", "csv")
    kept, text = (pc.open_results(tmp_path / place) for place in ("parquet", "csv"))
    other = DATA.pred_probs.rename({"2": "3"})
    one, several = "000", [DATA.pred_probs] * 2
    return {
        "no such example": (lambda: pc.explain(fit, "0000"), AnnotationError, "1 example without"),
        "some": (lambda: pc.explain(fit, ["000", "x", "y"]), AnnotationError, "2 examples without"),
        "none": (lambda: pc.explain(fit, []), OptionError, "give the id"),
        "null": (lambda: pc.explain(fit, None), OptionError, "give the id"),
        "a log of a fit": (lambda: pc.explain(fit, one, log=DATA.log), OptionError, "is for votes"),
        "no model": (lambda: pc.explain(kept, one), OptionError, "pred_probs= is needed"),
        "models": (lambda: pc.explain(kept, one, pred_probs=several), OptionError, "2 models"),
        "classes": (
            lambda: pc.explain(kept, one, pred_probs=other),
            OptionError,
            "has the classes",
        ),
        "csv": (lambda: pc.explain(text, one), AnnotationError, "hold no parameters"),
        "live": (lambda: pc.explain(fit, one, pred_probs=several), OptionError, "opened again"),
        "a log": (lambda: pc.explain(DATA.log, one), OptionError, "not those of a vote"),
        "nothing": (lambda: pc.explain(None, one), OptionError, "no fit that can be explained"),
    }


def test_what_cannot_be_explained_is_said(tmp_path: Path) -> None:
    for call, kind, words in wrong(tmp_path).values():
        with pytest.raises(kind, match=words):
            call()


def test_parameters_of_another_version_are_refused(tmp_path: Path) -> None:
    with unwarned():
        pc.wawa(DATA.log).write(tmp_path)
    kept = pc.open_results(tmp_path, verify=False)
    file = tmp_path / "parameters.parquet"
    for old, new in ((":Wawa", ":Nono"), ("polars_crowd.truth", "os.truth")):
        frame = pl.read_parquet(file)
        changed = [each.replace(old.encode(), new.encode()) for each in frame["_bytes"]]
        assert changed != frame["_bytes"].to_list()
        frame.with_columns(pl.Series("_bytes", changed)).write_parquet(tmp_path / "new")
        (tmp_path / "new").replace(file)
        with pytest.raises(StoreError, match="another version"):
            pc.explain(kept, "003")
        frame.write_parquet(file)
