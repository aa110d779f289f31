"""After an append only what changed is computed again, and the answer is that of a run from scratch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import polars_crowd as pc
from polars_crowd.consensus.majority_vote import TieBreaks
from polars_crowd.consensus.model import Choice, Posterior, Weights, count_consensus, vote_shares
from polars_crowd.consensus.model import recount_consensus as recount
from polars_crowd.consensus.steady import REACH
from polars_crowd.rounds.cache import SUMMARIES, Cache, Frames
from polars_crowd.rounds.opening import open_rounds
from polars_crowd.rounds.partitions import InMemory, Partition
from polars_crowd.rounds.summaries import collected
from tests.cases import Case, assert_same, assert_same_fit, cases, files_of

DATA = pc.datasets.tutorial()
BY_ROW = ["example", "annotator"]


def split(examples: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The log without, and with only, the annotations of one annotator on the first examples."""
    late = (pl.col("annotator") == "A0014") & (pl.col("example") < f"{examples:03d}")
    return DATA.log.filter(~late), DATA.log.filter(late)


def files(folder: Path, table: str) -> dict[str, int]:
    """When each file of a table was written."""
    return {file.name: file.stat().st_mtime_ns for file in files_of(folder, table)}


def test_a_run_after_an_append_is_one_from_scratch(tmp_path: Path) -> None:
    before, late = split(40)
    store = pc.AnnotationStore.create(tmp_path / "store", before, DATA.pred_probs, partitions=7)
    pc.crowdlab(store, into=tmp_path / "results")
    store.append(late)
    fit = pc.crowdlab(store, into=tmp_path / "results")
    assert_same_fit(fit, pc.crowdlab(DATA.log, DATA.pred_probs))


def test_summaries_of_partitions_that_did_not_change_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a plan made of a partition is made again only where the partition changed."""
    made = list[tuple[str, str]]()
    write = Cache.write

    def seen(cache: Cache, name: str, frames: Frames) -> None:
        if cache.directory.name == SUMMARIES:
            partition, _, plan = name.rpartition("-")
            made.append((plan, partition))
        write(cache, name, frames)

    monkeypatch.setattr(Cache, "write", seen)
    before, late = split(3)
    store = pc.AnnotationStore.create(tmp_path / "store", before, DATA.pred_probs, partitions=7)
    unchanged = {handle.fingerprint for handle in store.handles(tmp_path)}
    pc.crowdlab(store, into=tmp_path / "results")
    first = {plan for plan, partition in made if partition in unchanged}
    made.clear()
    store.append(late)
    pc.crowdlab(store, into=tmp_path / "results")
    now = {handle.fingerprint for handle in store.handles(tmp_path)}
    again = [(plan, partition) for plan, partition in made if plan in first and partition in now]
    # the first round and that of the majority vote
    assert len({plan for plan, _ in again}) == 2
    assert {partition for _, partition in again} == now - unchanged
    places = [place.name for place in (tmp_path / "results" / ".work" / "places").iterdir()]
    assert all(any(name.startswith(partition) for name in places) for partition in now)


def test_a_second_run_writes_nothing(tmp_path: Path) -> None:
    store = pc.AnnotationStore.create(tmp_path / "store", DATA.log, DATA.pred_probs, partitions=3)
    first = pc.crowdlab(store, into=tmp_path / "results", calibrate=True)
    written = files(tmp_path / "results", "annotations")
    second = pc.crowdlab(store, into=tmp_path / "results", calibrate=True)
    assert files(tmp_path / "results", "annotations") == written
    assert_same_fit(second, pc.crowdlab(DATA.log, DATA.pred_probs, calibrate=True))
    assert second.model_weight == first.model_weight


@pytest.mark.parametrize("what", ["annotators", "classes"])
def test_a_store_that_was_made_anew_with_other_names(what: str, tmp_path: Path) -> None:
    """The codes in its files are the same, and mean something else."""
    log, results = DATA.log.with_columns(pl.col("label").cast(pl.String)), tmp_path / "results"
    column = {"annotators": "annotator", "classes": "label"}[what]
    other = log.with_columns("Z" + pl.col(column).cast(pl.String))
    for names, place in ((log, "first"), (other, "second")):
        store = pc.AnnotationStore.create(tmp_path / place, names, partitions=3)
        fit, expected = (
            pc.dawid_skene(store, into=results, tol=1e-3),
            pc.dawid_skene(names, tol=1e-3),
        )
        assert_same(
            fit.annotations.collect().sort(BY_ROW), expected.annotations.collect().sort(BY_ROW)
        )
        assert_same(fit.annotators.sort("annotator"), expected.annotators.sort("annotator"))


def test_annotators_that_come_later_change_no_partition_but_theirs(tmp_path: Path) -> None:
    before, late = split(3)
    store = pc.AnnotationStore.create(tmp_path / "store", before, partitions=7)
    first = {handle.name: handle.fingerprint for handle in store.handles(tmp_path)}
    for i in range(3):
        store.append(late.with_columns(annotator=pl.lit(f"later {i}")))
    now = {handle.name: handle.fingerprint for handle in store.handles(tmp_path)}
    assert 1 <= sum(now[name] != first[name] for name in first) <= late["example"].n_unique()
    again = pc.AnnotationStore.create(tmp_path / "again", before, partitions=7)
    assert first == {handle.name: handle.fingerprint for handle in again.handles(tmp_path)}


def test_other_options_are_other_results(tmp_path: Path) -> None:
    store = pc.AnnotationStore.create(tmp_path / "store", DATA.log, DATA.pred_probs, partitions=3)
    pc.crowdlab(store, into=tmp_path / "results", tolerance=1.0)
    other = {"label_quality_method": "normalized_margin"}
    fit = pc.crowdlab(store, into=tmp_path / "results", tolerance=1.0, **other)  # type: ignore[arg-type]
    assert_same_fit(fit, pc.crowdlab(DATA.log, DATA.pred_probs, **other))  # type: ignore[arg-type]


def test_within_the_tolerance_only_changed_partitions_are_written(tmp_path: Path) -> None:
    before, late = split(3)
    results = tmp_path / "results"
    store = pc.AnnotationStore.create(tmp_path / "store", before, DATA.pred_probs, partitions=7)
    pc.crowdlab(store, into=results)
    written = files(results, "annotations")
    store.append(late)
    fit = pc.crowdlab(store, into=results, tolerance=0.5)
    changed = [
        name for name, time in files(results, "annotations").items() if time != written[name]
    ]
    assert 1 <= len(changed) <= late["example"].n_unique()
    exact = pc.crowdlab(DATA.log, DATA.pred_probs)
    assert fit.model_weight == pytest.approx(exact.model_weight, abs=1e-9)
    new = fit.examples.collect().join(late.select("example").unique(), on="example", how="semi")
    expected = exact.examples.collect().join(new.select("example"), on="example", how="semi")
    assert_same(new.sort("example"), expected)
    assert_same_fit_loosely(fit, exact)


def assert_same_fit_loosely(found: pc.Crowdlab, expected: pc.Crowdlab) -> None:
    difference = (
        found.examples.collect()
        .join(expected.examples.collect(), on="example")
        .select(
            (pl.col("consensus_quality_score") - pl.col("consensus_quality_score_right"))
            .abs()
            .max()
        )
        .item()
    )
    assert difference < 0.05


def test_beyond_the_tolerance_everything_is_written(tmp_path: Path) -> None:
    before, late = split(296)
    results = tmp_path / "results"
    store = pc.AnnotationStore.create(tmp_path / "store", before, DATA.pred_probs, partitions=7)
    pc.crowdlab(store, into=results)
    store.append(late)
    fit = pc.crowdlab(store, into=results, tolerance=1e-12)
    assert_same_fit(fit, pc.crowdlab(DATA.log, DATA.pred_probs))


# --- steady examples -------------------------------------------------------------------------------


@given(case=cases(max_examples=20, max_models=2), data=st.data())
def test_counts_of_steady_examples_are_those_of_all(
    tmp_path_factory: pytest.TempPathFactory, case: Case, data: st.DataObject
) -> None:
    rounds = open_rounds(case.log, case.pred_probs)
    work = tmp_path_factory.mktemp("work")
    handle = InMemory(rounds.handles[0].runs(), fingerprint="known", work=work)
    M = len(rounds.book.annotators)
    floats = st.floats(1e-6, 2.0)
    first = Weights(
        consensus_likelihood=data.draw(st.floats(0.0, 1.0)),
        other_likelihood=data.draw(st.floats(0.0, 1.0)),
        annotators=np.array(data.draw(st.lists(floats, min_size=M, max_size=M))),
        models=np.array([data.draw(floats) for _ in case.models]),
    )
    size = data.draw(st.sampled_from([0.0, REACH / 4, REACH, 1.0]))
    shift = st.floats(-size, size)
    moved = replace(
        first,
        annotators=np.maximum(first.annotators + [data.draw(shift) for _ in range(M)], 1e-6),
        models=np.maximum(first.models + [data.draw(shift) for _ in case.models], 1e-6),
    )
    for weights in (first, moved):
        choice = Choice(TieBreaks(), Posterior(weights, vote_shares))
        found = collected(recount(Partition(handle), choice))
        expected = collected(count_consensus(Partition(rounds.handles[0]), choice))
        for keys, frame in expected.items():
            counts = found[keys].filter(pl.col("examples") > 0)
            assert_same(counts.sort(keys), frame.sort(keys))
