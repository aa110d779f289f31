"""Files are written whole or not at all, by whatever writes them; broken frames are made anew."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import polars_crowd as pc
from polars_crowd.errors import AnnotationError, StoreError
from polars_crowd.rounds.cache import Cache
from polars_crowd.rounds.files import whole_files, write_whole

FRAME = pl.DataFrame({"example": ["a", "b"], "value": [1.0, None]})
WRITERS: dict[str, Callable[[Path], Any]] = {
    "sink_parquet": lambda path: FRAME.lazy().sink_parquet(path),
    "write_parquet": FRAME.write_parquet,
    "write_ipc": FRAME.write_ipc,
    "text": lambda path: path.write_text("text"),
}


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_any_writer_writes_whole(write: Callable[[Path], Any], tmp_path: Path) -> None:
    folder = tmp_path / "new"
    write(tmp_path / "expected")
    write_whole(folder / "file", write)
    write_whole(folder / "file", write)
    assert names_in(folder) == ["file"]
    assert (folder / "file").read_bytes() == (tmp_path / "expected").read_bytes()


def fails_midway(error: BaseException) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_text("half")
        raise error

    return write


@pytest.mark.parametrize(
    ("raised", "seen", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), StoreError, "file: No space left"),
        (
            pl.exceptions.ComputeError("sink failed: (os error 28)"),
            StoreError,
            "cannot write .*file",
        ),
        (pl.exceptions.ComputeError("overflow"), pl.exceptions.ComputeError, "overflow"),
        (AnnotationError("bad log"), AnnotationError, "bad log"),
        (KeyboardInterrupt("stopped"), KeyboardInterrupt, "stopped"),
    ],
    ids=str,
)
@pytest.mark.parametrize("there", [False, True])
def test_nothing_is_left_of_what_failed(
    raised: BaseException, seen: type[BaseException], message: str, there: bool, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    if there:
        file.write_text("before")
    with pytest.raises(seen, match=message):
        write_whole(file, fails_midway(raised))
    assert names_in(tmp_path) == ["file"] * there
    assert not there or file.read_text() == "before"


def test_a_plan_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(_: pl.DataFrame) -> pl.DataFrame:
        raise AnnotationError("found while it was written")

    plan = FRAME.lazy().map_batches(fail, schema=FRAME.schema)
    with pytest.raises(Exception, match="found while it was written"):
        write_whole(tmp_path / "file", plan.sink_parquet)
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("step", [(os, "fsync"), (Path, "replace")], ids=str)
def test_a_file_gets_its_name_when_it_is_on_the_disk(
    step: tuple[Any, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("before")

    def fail(*_: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(*step, fail)
    with pytest.raises(StoreError, match=r"cannot write .*file: Input/output error"):
        write_whole(tmp_path / "file", lambda path: path.write_text("after"))
    assert names_in(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "before"


def test_files_and_then_their_names_are_brought_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    sync, replace = os.fsync, Path.replace

    def fsync(opened: int) -> None:
        steps.append("names" if os.path.isdir(f"/proc/self/fd/{opened}") else "file")
        sync(opened)

    def rename(self: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", rename)
    with whole_files([tmp_path / "a", tmp_path / "b"]) as paths:
        for path in paths:
            path.write_text("text")
    expected = ["file", "file", "rename", "rename", "names"]
    assert steps == (expected if os.path.isdir("/proc/self/fd") else expected[:4] + steps[4:])


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"cannot write .*file.below"):
        write_whole(tmp_path / "file" / "below", WRITERS["text"])


# --- frames kept by name ---------------------------------------------------------------------------

FRAMES = {(): FRAME, ("annotator", "label"): FRAME.clear(), ("e",): pl.DataFrame()}


def test_frames_come_back(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "kept")
    assert cache.read("name") is None
    assert cache.names("") == []
    cache.write("name", FRAMES)
    found = Cache(tmp_path / "kept").recall("name", lambda: pytest.fail("it is there"))
    assert found.keys() == FRAMES.keys()
    assert all(found[keys].equals(frame) for keys, frame in FRAMES.items())
    assert all(found[keys].schema == frame.schema for keys, frame in FRAMES.items())
    assert (cache.names("na"), cache.names("x")) == (["name"], [])


def test_broken_frames_are_made_anew(tmp_path: Path) -> None:
    """... whatever byte of theirs has changed, and wherever they were cut off."""
    cache = Cache(tmp_path)
    cache.write("name", {(): pl.DataFrame({"value": [1, 2, 3]})})
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    bits = [(i, 1 << (i % 8)) for i in range(0, len(whole), 3)]
    flipped = [whole[:i] + bytes([whole[i] ^ bit]) + whole[i + 1 :] for i, bit in bits]
    for content in [*flipped, *(whole[:i] for i in range(0, len(whole), 37))]:
        file.write_bytes(content)
        found = cache.read("name")
        assert found is None or found[()]["value"].to_list() == [1, 2, 3]
    assert cache.recall("name", lambda: {(): FRAME})[()].equals(FRAME)
    assert cache.recall("name", lambda: pytest.fail("it is there"))[()].equals(FRAME)


# --- places that are none --------------------------------------------------------------------------

LOG = pl.DataFrame({"example": [1, 1, 2, 2], "annotator": list("abab"), "label": list("xyxx")})
CALLS: dict[str, Callable[[Any], Any]] = {
    "into": lambda place: pc.majority_vote(LOG, into=place),
    "write": lambda place: pc.wawa(LOG).write(place),
    "create": lambda place: pc.AnnotationStore.create(place, LOG),
    "open": pc.AnnotationStore.open,
    "results": pc.open_results,
}


@pytest.mark.filterwarnings("ignore::polars_crowd.AnnotationWarning")
@pytest.mark.parametrize("name", CALLS)
def test_what_is_no_path_is_said(name: str, tmp_path: Path) -> None:
    for place in (tmp_path / ("n" * 300), "a\0b"):
        with pytest.raises(pc.StoreError, match=r"is no path: (File name too long|embedded null)"):
            CALLS[name](place)


@pytest.mark.filterwarnings("ignore::polars_crowd.AnnotationWarning")
@pytest.mark.parametrize("name", ["into", "write", "create"])
def test_nothing_is_written_below_a_file(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("of somebody")
    place = tmp_path / "file" / "results"
    with pytest.raises(pc.StoreError, match=f"cannot write {place}: ") as raised:
        CALLS[name](place)
    assert isinstance(raised.value.__cause__, OSError)
    assert (tmp_path / "file").read_text() == "of somebody"
