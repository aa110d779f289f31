"""A store is where it was opened, whatever the place is called; nothing else is touched."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import polars as pl
import pytest

import polars_crowd as pc
from polars_crowd.errors import StoreError
from polars_crowd.rounds.digests import seal
from tests.store.store_cases import contents

DATA = pc.datasets.tutorial()
FIRST = DATA.log.head(700)
SECOND = DATA.log.slice(700)


def sorted_log(log: pl.DataFrame) -> pl.DataFrame:
    return log.sort(log.columns)


@pytest.fixture
def store(tmp_path: Path) -> pc.AnnotationStore:
    return pc.AnnotationStore.create(tmp_path / "store", FIRST, partitions=2)


# --- places ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "data [old]",
        "a*b?",
        "~",
        "täglich 日本",
        "100% {x}",
        "x" * 200,
        "y" * 250,
        "-p",
        "a=1",
        "#&'",
    ],
)
def test_a_place_of_any_name(name: str, tmp_path: Path) -> None:
    decoy = tmp_path / "data o"  # what a glob would find
    pc.AnnotationStore.create(decoy, FIRST.head(9), partitions=1)
    store = pc.AnnotationStore.create(tmp_path / name, FIRST, DATA.pred_probs, partitions=2)
    store.append(SECOND)
    assert contents(pc.AnnotationStore.open(f"{tmp_path / name}/")).equals(sorted_log(DATA.log))
    expected = pc.crowdlab(DATA.log, DATA.pred_probs)
    fit = pc.crowdlab(store, into=tmp_path / f"out{name[:100]}")
    assert fit.examples.collect().height == expected.examples.collect().height
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["data o", name, f"out{name[:100]}"]
    )


def test_a_process_that_goes_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        monkeypatch.chdir(tmp_path / place)
        pc.AnnotationStore.create("store", FIRST.head(50), partitions=1)
    monkeypatch.chdir(tmp_path / "here")
    store = pc.AnnotationStore.open("store")
    monkeypatch.chdir(tmp_path / "there")
    store.append(SECOND)
    assert contents(store).height == 50 + SECOND.height
    assert contents(pc.AnnotationStore.open(tmp_path / "there/store")).height == 50


def test_a_link_that_leads_elsewhere_later(store: pc.AnnotationStore, tmp_path: Path) -> None:
    other = pc.AnnotationStore.create(tmp_path / "other", FIRST.head(50), partitions=1)
    link = tmp_path / "link"
    link.symlink_to(store.path)
    opened = pc.AnnotationStore.open(link)
    link.unlink()
    link.symlink_to(other.path)
    opened.append(SECOND)
    assert contents(pc.AnnotationStore.open(store.path)).equals(sorted_log(DATA.log))
    assert contents(other).height == 50


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", ""])
def test_what_is_no_path(name: str, tmp_path: Path) -> None:
    place = str(tmp_path / name) if name else name
    for use in (pc.AnnotationStore.open, lambda path: pc.AnnotationStore.create(path, FIRST)):
        with pytest.raises((StoreError, pc.errors.OptionError), match=r"is no path|must be a path"):
            use(place)


# --- what is not ours ------------------------------------------------------------------------------


def test_files_of_others_stay(store: pc.AnnotationStore, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "0000-examples-2-01234567.parquet").write_text("precious")
    folder = store.path / "files"
    for name in (
        "notes.txt",
        "0000-examples-1.parquet",
        ".notes.0123abcd",
        "annotators-1-x.parquet",
    ):
        (folder / name).write_text("mine")
    (folder / "0000-examples-2-01234567.parquet").symlink_to(
        outside / "0000-examples-2-01234567.parquet"
    )
    (store.path / ".spool-01234567").symlink_to(outside)
    before = {
        path.name for path in folder.iterdir() if path.is_symlink() or path.suffix != ".parquet"
    }
    store.append(SECOND)
    store.vacuum()
    assert before <= {path.name for path in folder.iterdir()}
    assert [path.read_text() for path in outside.iterdir()] == ["precious"]
    assert (folder / "0000-examples-1.parquet").read_text() == "mine"


def resealed(store: pc.AnnotationStore, change: Callable[[dict[str, object]], None]) -> None:
    mark = store.path / "manifest.json"
    found = json.loads(mark.read_text())
    change(found["store"])
    mark.write_text(json.dumps({**found, "checksum": seal(found["store"])}))


@pytest.mark.parametrize("name", ["../../x.parquet", "/etc/passwd", "notes.txt", "", ".."])
@pytest.mark.parametrize("where", ["annotators", "past"])
def test_a_manifest_names_files_of_the_store_only(
    store: pc.AnnotationStore, name: str, where: str
) -> None:
    def change(found: dict[str, object]) -> None:
        if where == "annotators":
            found["annotators"] = {**dict(found["annotators"]), "name": name}  # type: ignore[call-overload]
        else:
            own = next(store.path.glob("files/annotators*")).name
            found["past"] = [{"generation": 1, "annotators": own, "files": [name]}]

    resealed(store, change)
    with pytest.raises(StoreError, match=r"manifest.json names .*, which is no file of a store"):
        pc.AnnotationStore.open(store.path)


def test_a_link_out_of_the_store_is_no_file_of_it(
    store: pc.AnnotationStore, tmp_path: Path
) -> None:
    file = next(store.path.glob("files/0001-examples*"))
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match=r"is a link to what is not in .*store"):
        pc.AnnotationStore.open(store.path)


# --- readers beside writers ------------------------------------------------------------------------


def batches(n: int) -> list[pl.DataFrame]:
    return [FIRST.head(20).with_columns(pl.col("annotator") + f"-{i}") for i in range(n)]


def test_what_was_opened_stays_what_it_was(store: pc.AnnotationStore) -> None:
    held = [pc.AnnotationStore.open(store.path)]
    scan = held[0].scan_annotations()
    fit = pc.majority_vote(held[0])
    for batch in batches(3):
        store.append(batch)
        held.append(pc.AnnotationStore.open(store.path))
    for i, one in enumerate(held):
        assert contents(one).height == FIRST.height + 20 * i
    del held[0]
    store.append(batches(4)[3])
    assert scan.collect().height == FIRST.height, "a scan holds what it reads"
    assert fit.collect().height == FIRST["example"].n_unique()
    assert [contents(one).height for one in held] == [FIRST.height + 20 * i for i in (1, 2, 3)]


def test_files_go_when_nobody_reads_them(store: pc.AnnotationStore) -> None:
    def count() -> int:
        return len(list((store.path / "files").iterdir()))

    reader, expected = pc.AnnotationStore.open(store.path), count()
    store.append(batches(1)[0])
    more = count()
    assert more > expected
    assert store.vacuum() == 0
    copy = deepcopy(reader)
    del reader
    assert store.vacuum() == 0, "a copy holds, too"
    del copy
    assert store.vacuum() > 0
    assert count() == expected
    assert contents(pc.AnnotationStore.open(store.path)).height == FIRST.height + 20
    store.append(batches(2)[1])
    assert count() == expected, "at once, where nobody reads"


def test_a_copy_in_another_process_reads_what_the_first_did(store: pc.AnnotationStore) -> None:
    sent = pickle.dumps(store)
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer).scan_annotations().collect().height)"
    done = subprocess.run([sys.executable, "-c", code], input=sent, capture_output=True, check=True)
    assert int(done.stdout) == FIRST.height


def test_a_reader_without_locks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = pc.AnnotationStore.create(tmp_path / "store", FIRST, partitions=2)
    monkeypatch.setattr("polars_crowd.rounds.locks.lock_to_read", lambda path: None)
    reader = pc.AnnotationStore.open(writer.path)
    monkeypatch.undo()
    writer.append(SECOND)
    with pytest.raises(StoreError, match=r"store was changed since it was opened.*Open it again"):
        contents(reader)


WRITER = """
import sys
import polars as pl
import polars_crowd as pc
store, log = pc.AnnotationStore.open(sys.argv[1]), pl.read_parquet(sys.argv[2])
for i in range(1_000_000):
    store.append(log.with_columns(pl.col("annotator") + f"-{i}"))
    print(i, flush=True)
"""


def test_readers_beside_a_writer(store: pc.AnnotationStore, tmp_path: Path) -> None:
    log = tmp_path / "log.parquet"
    FIRST.head(20).write_parquet(log)
    command = [sys.executable, "-c", WRITER, str(store.path), str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"0\n"
        heights = []
        for _ in range(60):
            reader = pc.AnnotationStore.open(store.path)
            found = contents(reader)
            assert len(reader.annotators) >= found["annotator"].n_unique()
            heights.append(found.height)
        writer.kill()
    assert heights == sorted(heights)
    assert {(height - FIRST.height) % 20 for height in heights} == {0}
    assert heights[-1] > heights[0]
