"""One run, one directory: nothing is mixed or lost, whoever else is there and whenever a run is stopped."""

from __future__ import annotations

import errno
import gc
import json
import os
import pickle
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import polars_crowd as pc
from polars_crowd.errors import StoreError
from polars_crowd.rounds import locks
from polars_crowd.rounds.contents import MARK
from polars_crowd.rounds.directory import ResultDirectory
from tests.cases import bytes_in, files_of
from tests.rounds.moments import METHODS, at_each_step, fails_with

DATA = pc.datasets.tutorial()
LOG = DATA.log.filter(pl.col("example") < "050").with_columns(pl.col("label").cast(pl.String))
OTHER = LOG.with_columns(pl.col("annotator") + "'").filter(pl.col("example") > "005")
pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="links, kills"),
    pytest.mark.filterwarnings("ignore::polars_crowd.AnnotationWarning"),
]


def run(log: Any, into: Path) -> pc.TruthInference:
    return pc.wawa(log, into=into)


def examples_of(log: pl.DataFrame) -> pl.DataFrame:
    return pc.wawa(log).examples.collect()


def sorted_examples(fit: Any) -> pl.DataFrame:
    """Partitions come one after another."""
    examples: pl.DataFrame = fit.examples.sort("example").collect()
    return examples


with warnings.catch_warnings(action="ignore"):
    BEFORE, AFTER = examples_of(LOG), examples_of(OTHER)


def names_in(directory: Path) -> set[str]:
    return {place.name for place in directory.iterdir()} - {".work"}


def generations(directory: Path) -> list[str]:
    return sorted(name for name in names_in(directory) if name.startswith("generation"))


# --- two at once -----------------------------------------------------------------------------------

HOLDER = """
import sys, time
from polars_crowd.rounds.directory import ResultDirectory
directory = ResultDirectory.open(sys.argv[1])
directory.begin()
print("held", flush=True)
time.sleep(60)
"""


@contextmanager
def another_process(code: str, place: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", code, str(place)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_a_second_run_is_refused_and_told_who_is_at_work(tmp_path: Path) -> None:
    run(LOG, tmp_path)
    with another_process(HOLDER, tmp_path) as process:
        before = bytes_in(tmp_path)
        told = (
            rf"{tmp_path} is being written to by another process \(process {process.pid} on .*since"
        )
        with pytest.raises(StoreError, match=told):
            run(OTHER, tmp_path)
        assert bytes_in(tmp_path) == before
        assert_frame_equal(pc.open_results(tmp_path).examples.collect(), BEFORE)
    run(OTHER, tmp_path)
    assert_frame_equal(pc.open_results(tmp_path).examples.collect(), AFTER)
    assert names_in(tmp_path) == {MARK, *generations(tmp_path)[-1:]}


def test_runs_at_once_are_each_their_own(tmp_path: Path) -> None:
    logs = [LOG.with_columns(pl.col("example") + f"-{i}") for i in range(4)]

    def attempt(log: pl.DataFrame) -> pl.DataFrame | str:
        try:
            return run(log, tmp_path).examples.collect()
        except StoreError as error:
            return str(error)

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(attempt, logs * 3))
    expected = [examples_of(log) for log in logs] * 3
    done = [i for i, one in enumerate(found) if isinstance(one, pl.DataFrame)]
    assert done
    assert all(found[i].equals(expected[i]) for i in done)  # type: ignore[union-attr]
    refused = [one for one in found if isinstance(one, str)]
    assert all("is being written to by another process" in one for one in refused)
    last = pc.open_results(tmp_path).examples.collect()
    assert any(last.equals(expected[i]) for i in done)


def test_a_run_that_failed_does_not_stand_in_the_way(tmp_path: Path) -> None:
    """... though who caught the error holds on to all that it was at work with."""
    with pytest.raises(pc.AnnotationError) as told:
        pc.wawa(
            LOG, gold=pl.DataFrame({"example": ["000"], "label": ["none"]}), into=tmp_path / "a"
        )
    assert not (tmp_path / "a").exists()
    run(LOG, tmp_path / "a")
    assert told.traceback


# --- readers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("has_locks", [True, False])
def test_who_reads_goes_on_reading(
    has_locks: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_locks:
        monkeypatch.setattr(locks, "_lock", fails_with(errno.ENOLCK))
    fit = run(LOG, tmp_path)
    readers: dict[str, Any] = {
        "fit": fit,
        "copy": pickle.loads(pickle.dumps(fit)),
        "results": pc.open_results(tmp_path),
        "frame": fit.examples.filter(pl.col("num_annotations") > 0),
    }
    first = generations(tmp_path)
    del fit
    later = run(OTHER, tmp_path)
    for name in list(readers):
        frame = readers[name] if name == "frame" else readers[name].examples
        assert_frame_equal(frame.collect(), BEFORE)
        assert first[0] in generations(tmp_path)
        del readers[name], frame
        gc.collect()
    assert_frame_equal(later.examples.collect(), AFTER)
    run(LOG, tmp_path)
    assert len(generations(tmp_path)) == 2
    assert first[0] not in generations(tmp_path)


READER = """
import sys, time
import polars_crowd as pc
found = pc.open_results(sys.argv[1])
print("held", flush=True)
time.sleep(60)
"""


def test_another_process_that_reads(tmp_path: Path) -> None:
    pc.majority_vote(LOG, into=tmp_path)
    first = generations(tmp_path)
    with another_process(READER, tmp_path):
        pc.majority_vote(OTHER, into=tmp_path)
        assert first[0] in generations(tmp_path)
    pc.majority_vote(OTHER, into=tmp_path)
    gc.collect()
    assert first[0] not in generations(tmp_path)


def test_a_table_that_is_asked_for_later_is_of_its_own_run(tmp_path: Path) -> None:
    expected = pc.crowdlab(LOG, DATA.pred_probs).posterior.collect()
    first = pc.crowdlab(LOG, DATA.pred_probs, into=tmp_path)
    pc.crowdlab(OTHER, DATA.pred_probs, into=tmp_path)
    assert_frame_equal(first.posterior.collect(), expected)
    assert "posterior" not in pc.open_results(tmp_path).tables
    again = pc.crowdlab(LOG, DATA.pred_probs, into=tmp_path)
    with another_process(HOLDER, tmp_path):
        assert_frame_equal(again.posterior.collect(), expected)
    assert "posterior" not in pc.open_results(tmp_path).tables


# --- stopped at any moment -------------------------------------------------------------------------


def told_by(call: Callable[[], Any]) -> StoreError | None:
    """The error of a call, if it has one."""
    try:
        call()
    except StoreError as error:
        return error
    return None


@pytest.mark.parametrize("there", [False, True])
def test_no_room_at_any_moment(
    there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever cannot be written: an error that names it, and the earlier results are as they were.

    With nothing there it ends at every other moment, with earlier results at those between.
    """
    places = [tmp_path / str(i) for i in range(200)]
    store = pc.AnnotationStore.create(tmp_path / "store", OTHER, partitions=2)
    if there:
        run(LOG, tmp_path / "before")
    ended = False
    for i in range(there, len(places), 2):
        place = places[i]
        if there:
            shutil.copytree(tmp_path / "before", place)
        left = [i]

        def count(left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as patched:
            at_each_step(patched.setattr, count)
            told = told_by(partial(run, store, place))
        if told is not None:
            assert "No space left" in str(told)
            assert str(place) in str(told)
            assert isinstance(told.__cause__, OSError)
        ended = told is None and left[0] >= 0
        if (place / MARK).exists():
            found = sorted_examples(pc.open_results(place))
            assert found.equals(AFTER) or (there and found.equals(BEFORE))
        assert there <= (place / MARK).exists()
        if i % 9 == 0:
            assert_frame_equal(sorted_examples(run(store, place)), AFTER)
        if ended:
            break
    assert ended


@pytest.mark.parametrize("method", METHODS)
def test_a_run_that_is_killed_at_any_moment(method: str, tmp_path: Path) -> None:
    """What was there is there as it was, or the new results are; and the same run can be run again."""
    logs = {"before": LOG, "after": OTHER}
    stores = {
        name: pc.AnnotationStore.create(
            tmp_path / f"{name}.store", log, DATA.pred_probs, partitions=2
        )
        for name, log in logs.items()
    }
    fits = {name: METHODS[method](store, into=tmp_path / name) for name, store in stores.items()}
    expected = {name: table_of(fit) for name, fit in fits.items()}
    command = [sys.executable, "-m", "tests.rounds.moments", str(tmp_path), method]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    ends = json.loads(done.stdout)
    assert sum(killed for killed in ends.values()) >= 6
    for i, (place, killed) in enumerate(ends.items()):
        there = place.startswith("there")
        directory = tmp_path / place
        if there or (directory / MARK).exists():
            found = table_of(pc.open_results(directory))
            assert found.equals(expected["after"]) or (there and found.equals(expected["before"]))
        assert killed or (directory / MARK).exists()
        if i % 6 == 0:
            again = METHODS[method](stores["after"], into=directory)
            assert table_of(again).equals(expected["after"])
            assert names_in(directory) == {MARK, *generations(directory)[-1:]}


def table_of(fit: Any) -> pl.DataFrame:
    frame: pl.LazyFrame = fit if isinstance(fit, pl.LazyFrame) else fit.examples
    return frame.collect()


# --- what is not ours ------------------------------------------------------------------------------


def test_nothing_behind_a_link_is_touched(tmp_path: Path) -> None:
    place, theirs = tmp_path / "results", tmp_path / "theirs"
    run(LOG, tmp_path / "other")
    shutil.copytree(next((tmp_path / "other").glob("generation-*")), theirs / "generation")
    shutil.copytree(tmp_path / "other" / ".work", theirs / "work")
    store = pc.AnnotationStore.create(tmp_path / "store", LOG, partitions=2)
    run(store, place)
    (latest,) = generations(place)
    (place / "generation-0000-01234567").symlink_to(theirs / "generation")
    (place / latest / "linked").symlink_to(theirs / "generation" / "examples")
    (place / latest / "part-0009.parquet").symlink_to(theirs / "generation" / "annotators.parquet")
    shutil.rmtree(place / ".work")
    (place / ".work").symlink_to(theirs / "work")
    for file in theirs.rglob("*"):
        os.utime(file, (0, 0))
    before = set(bytes_in(theirs))
    run(store, place)
    assert before <= set(bytes_in(theirs))
    assert (place / latest / "linked").is_symlink()
    assert not (place / latest / "examples").exists()


def test_a_link_that_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "results").symlink_to(tmp_path / "gone")
    with pytest.raises(NotADirectoryError, match="a link that leads nowhere"):
        run(LOG, tmp_path / "results")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / MARK).symlink_to(tmp_path / "gone")
    for call in (lambda: run(LOG, tmp_path / "other"), lambda: pc.open_results(tmp_path / "other")):
        with pytest.raises(StoreError, match=r"results.json is a link that leads nowhere"):
            call()
    assert not (tmp_path / "gone").exists()


def test_results_through_a_link_to_their_directory(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "results").symlink_to(tmp_path / "elsewhere")
    run(LOG, tmp_path / "results")
    assert_frame_equal(pc.open_results(tmp_path / "elsewhere").examples.collect(), BEFORE)


def test_what_runs_left_that_were_killed_goes_and_nothing_else(tmp_path: Path) -> None:
    run(LOG, tmp_path)
    dead = tmp_path / "generation-0000-0123abcd"
    ours = [f".{MARK}.0123abcd", f"{dead.name}/examples/.part-0000.parquet.0123abcd"]
    theirs = [
        *(
            "notes.txt",
            ".results.json.old",
            "generation-mine/part-0000.parquet",
            "examples/x.parquet",
        ),
        *(f"{dead.name}/examples/part-0001.parquet", f"{dead.name}/notes.txt"),
    ]
    for name in [*ours, *theirs]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    shutil.copy(files_of(tmp_path, "examples")[0], dead / "examples" / "part-0000.parquet")
    run(OTHER, tmp_path)
    assert all((tmp_path / name).exists() for name in theirs)
    assert not any((tmp_path / name).exists() for name in ours)
    assert not (dead / "examples" / "part-0000.parquet").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"generation": "../elsewhere"},
        {"generation": 3},
        {"tables": ["examples"]},
        {"tables": {"examples": {"kind": "lazy"}}},
        {"tables": {"examples": {"kind": "lazy", "files": []}}},
        {"tables": {"examples": {"kind": "lazy", "files": ["../x/part-0000.parquet"]}}},
        {"tables": {"examples": {"kind": "lazy", "files": ["a/b/part-0000.parquet"]}}},
    ],
    ids=str,
)
def test_results_json_that_somebody_changed(change: dict[str, Any], tmp_path: Path) -> None:
    run(LOG, tmp_path)
    mark = tmp_path / MARK
    mark.write_text(json.dumps({**json.loads(mark.read_text()), **change}))
    with pytest.raises(StoreError, match=r"damaged|Somebody changed it"):
        pc.open_results(tmp_path)


@pytest.mark.parametrize("name", ["x" * 300, "file/below"])
def test_a_directory_that_cannot_be_made(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises((StoreError, NotADirectoryError), match=r"cannot|is a file|too long"):
        run(LOG, tmp_path / name)
    assert bytes_in(tmp_path) == {"file": b""}


def test_a_lock_that_somebody_removed(tmp_path: Path) -> None:
    """Two runs may be at work then: the first puts nothing in place."""
    run(LOG, tmp_path)
    first = ResultDirectory.open(tmp_path)
    (tmp_path / ".polars_crowd.lock").unlink()
    run(OTHER, tmp_path)
    with pytest.raises(StoreError, match="somebody removed the lock"):
        first.complete()
    assert_frame_equal(pc.open_results(tmp_path).examples.collect(), AFTER)


def test_results_of_the_format_before_are_taken_up(tmp_path: Path) -> None:
    """Tables stood beside results.json then."""
    store = pc.AnnotationStore.create(tmp_path / "store", LOG, partitions=2)
    place = tmp_path / "results"
    run(store, place)
    mark = place / MARK
    text = mark.read_text().replace(f"{generations(place)[0]}/", "")
    found = json.loads(text)
    del found["generation"], found["checksum"]
    mark.write_text(json.dumps({**found, "format": 2}))
    (generation,) = place.glob("generation-*")
    for part in [*generation.iterdir()]:
        if part.name != ".polars_crowd.lock":
            part.rename(place / part.name)
    shutil.rmtree(generation)
    assert_frame_equal(sorted_examples(pc.open_results(place)), BEFORE)
    written = [file.stat().st_ino for file in sorted((place / "examples").iterdir())]
    assert_frame_equal(sorted_examples(run(store, place)), BEFORE)
    assert [file.stat().st_ino for file in files_of(place, "examples")] == written
    assert names_in(place) == {MARK, *generations(place)[:1]}


def test_where_a_file_cannot_have_two_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = pc.AnnotationStore.create(tmp_path / "store", LOG, partitions=2)
    run(store, tmp_path / "results")
    monkeypatch.setattr(os, "link", fails_with(errno.EPERM))
    assert_frame_equal(sorted_examples(run(store, tmp_path / "results")), BEFORE)


# --- .write ----------------------------------------------------------------------------------------


def test_two_that_write_at_once(tmp_path: Path) -> None:
    fit = pc.wawa(LOG)
    fit.write(tmp_path)
    left = tmp_path / ".examples.parquet.0123abcd"
    left.write_text("half")
    with locks.writing(tmp_path / ".polars_crowd.lock", tmp_path):
        before = bytes_in(tmp_path)
        with pytest.raises(StoreError, match="being written to by another process"):
            fit.write(tmp_path, overwrite=True)
        assert bytes_in(tmp_path) == before
    fit.write(tmp_path, overwrite=True)
    assert not left.exists()
    assert set(bytes_in(tmp_path)) == {
        MARK,
        *(f"{name}.parquet" for name in (*pc.open_results(tmp_path).tables, "parameters")),
    }
