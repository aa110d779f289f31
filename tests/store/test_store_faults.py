"""Whatever happens to the process, the disk or the files: nothing is lost or half done, and it is told."""

from __future__ import annotations

import gc
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import polars_crowd as pc
from polars_crowd.errors import StoreError
from polars_crowd.rounds.digests import seal
from polars_crowd.store import store as store_module
from polars_crowd.store.manifest import write_manifest
from tests.cases import assert_same, bytes_in, files_of
from tests.store.store_cases import contents

DATA = pc.datasets.tutorial()
NOTED = DATA.log.with_columns(note=pl.format("{}-{}", "example", "annotator"))
BATCHES = [NOTED.filter(pl.col("annotator").hash() % 4 == i) for i in range(4)]


@pytest.fixture
def store(tmp_path: Path) -> pc.AnnotationStore:
    return pc.AnnotationStore.create(tmp_path / "store", BATCHES[0], DATA.pred_probs, partitions=3)


def rows_in(path: Path) -> pl.DataFrame:
    """What is in a store that is sound."""
    found = pc.AnnotationStore.open(path)
    assert found.verify().is_empty()
    return contents(found)


def together(*batches: pl.DataFrame) -> pl.DataFrame:
    return pl.concat(batches).sort(NOTED.columns)


# --- writers that die ------------------------------------------------------------------------------


@contextmanager
def every_moment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """Copies of a folder before and after each change of a name: what a process killed then leaves."""
    copies: list[Path] = []
    aside = folder.with_name(f"{folder.name}-copies")

    def copy() -> None:
        copies.append(aside / f"{len(copies)}")
        shutil.copytree(folder, copies[-1])

    def seen(change: Callable[..., Any]) -> Callable[..., Any]:
        def changed(*args: Any, **options: Any) -> Any:
            copy()
            result = change(*args, **options)
            copy()
            return result

        return changed

    with monkeypatch.context() as patched:
        for name in ("replace", "unlink", "mkdir"):
            patched.setattr(Path, name, seen(getattr(Path, name)))
        patched.setattr(os, "fsync", seen(os.fsync))
        yield copies


def test_append_at_any_moment_is_the_old_store_or_the_new(
    store: pc.AnnotationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copies of the same bytes are read once."""
    store.append(BATCHES[1])
    old, new = together(*BATCHES[:2]), together(*BATCHES[:3])
    with every_moment(store.path, monkeypatch) as copies:
        store.append(BATCHES[2])
    assert len(copies) > 30
    is_new = []
    read: dict[frozenset[tuple[str, bytes]], pl.DataFrame] = {}
    for copy in copies:
        held = frozenset(bytes_in(copy).items())
        if held not in read:
            read[held] = rows_in(copy)
        found = read[held]
        is_new.append(found.equals(new))
        assert is_new[-1] or found.equals(old)
    assert is_new == sorted(is_new), "new once, new from then on"
    assert not is_new[0]
    assert is_new[-1]
    for copy in copies[::9]:
        left = pc.AnnotationStore.open(copy)
        done = rows_in(copy).equals(new)
        left.append(BATCHES[3] if done else pl.concat(BATCHES[2:]))
        assert rows_in(copy).equals(together(*BATCHES))
        left.append(BATCHES[0].head(1).with_columns(annotator=pl.lit("new")))
        names = {file.name for file in left._manifest.files}
        assert not [p for p in copy.glob(".*") if p.name != ".lock"], "leftovers are removed"
        assert names <= {p.name for p in (copy / "files").iterdir()}


def test_create_at_any_moment_is_no_store_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with every_moment(folder, monkeypatch) as copies:
        pc.AnnotationStore.create(folder / "store", NOTED, DATA.pred_probs, partitions=2)
    there = [(copy / "store").exists() for copy in copies]
    assert len(copies) > 20
    assert there == sorted(there)
    for copy in copies[::4]:
        if (copy / "store").exists():
            assert rows_in(copy / "store").equals(together(NOTED))
        else:
            with pytest.raises(
                StoreError, match=r"is no annotation store: it has no manifest.json"
            ):
                pc.AnnotationStore.open(copy / "store")
            pc.AnnotationStore.create(copy / "store", BATCHES[0], partitions=1)
        assert [path.name for path in copy.iterdir()] == ["store"], "what was abandoned is removed"


WRITER = """
import sys
import polars as pl
import polars_crowd as pc

folder, kind = sys.argv[1:]
log = pl.read_parquet(f"{folder}/log.parquet")
print("ready", flush=True)
for i in range(1_000_000):
    batch = log.with_columns(pl.col("annotator") + f"-{i}")
    if kind == "create":
        pc.AnnotationStore.create(f"{folder}/stores/{i:04d}", batch, partitions=3)
    elif i == 0:
        store = pc.AnnotationStore.create(f"{folder}/stores/0000", batch, partitions=3)
    else:
        store.append(batch)
"""


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", ["append", "create"])
def test_a_writer_killed_at_a_random_moment(tmp_path: Path, kind: str, seed: int) -> None:
    small = BATCHES[0].head(120)
    small.write_parquet(tmp_path / "log.parquet")
    command = [sys.executable, "-c", WRITER, str(tmp_path), kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        deadline = time.monotonic() + 30
        while not (tmp_path / "stores" / "0000").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(random.Random(seed).uniform(0, 0.5))
        writer.kill()
        assert writer.wait() == -signal.SIGKILL
    made = sorted((tmp_path / "stores").glob("[0-9]*"))
    assert made
    for path in made:
        found = rows_in(path)
        writes = sorted({int(name.rpartition("-")[2]) for name in found["annotator"]})
        expected = [small.with_columns(pl.col("annotator") + f"-{i}") for i in writes]
        assert found.equals(together(*expected))
        assert writes == ([int(path.name)] if kind == "create" else list(range(len(writes))))
        pc.AnnotationStore.open(path).append(small)


def test_what_is_left_of_stores_that_were_never_ended_goes(tmp_path: Path) -> None:
    """... also if who removed it died; what only looks like it stays."""
    left = [".store.0123abcd", ".store.4567abcd.dead", ".store.0123abcd.mine", ".store.old"]
    for name in left:
        (tmp_path / name).mkdir()
        (tmp_path / name / ".lock").touch()
    (tmp_path / ".store.89abcdef.dead").symlink_to(tmp_path / left[-1], target_is_directory=True)
    pc.AnnotationStore.create(tmp_path / "store", BATCHES[0])
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"store", ".store.89abcdef.dead", *left[2:]}
    assert (tmp_path / left[-1] / ".lock").exists()


# --- two writers -----------------------------------------------------------------------------------

HOLDER = """
import fcntl, sys, time
with open(sys.argv[1], "ab") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_writer_is_refused_until_the_first_has_ended(store: pc.AnnotationStore) -> None:
    command = [sys.executable, "-c", HOLDER, str(store.path / ".lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(StoreError, match=r"store is being written to by another process. Wait"):
            store.append(BATCHES[1])
        assert rows_in(store.path).equals(together(BATCHES[0]))
        other.kill()
    store.append(BATCHES[1])
    assert rows_in(store.path).equals(together(*BATCHES[:2]))


def test_two_that_make_a_store_in_one_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "store"

    def write_later(path: Path, manifest: Any) -> None:
        monkeypatch.setattr(store_module, "write_manifest", write_manifest)
        pc.AnnotationStore.create(place, BATCHES[1], partitions=2)
        write_manifest(path, manifest)

    monkeypatch.setattr(store_module, "write_manifest", write_later)
    with pytest.raises(FileExistsError, match=r"is a store already. Choose another directory"):
        pc.AnnotationStore.create(place, BATCHES[0], partitions=2)
    assert rows_in(place).equals(together(BATCHES[1]))
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_a_reader_goes_on_while_the_store_is_written(store: pc.AnnotationStore) -> None:
    reader = pc.AnnotationStore.open(store.path)
    fit = pc.crowdlab(reader)
    store.append(BATCHES[1])
    assert contents(reader).equals(together(BATCHES[0]))
    expected = pc.crowdlab(BATCHES[0], DATA.pred_probs).examples.collect()
    assert_same(fit.examples.collect().sort("example"), expected)


# --- disks that are full ---------------------------------------------------------------------------


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


LARGE = pl.DataFrame(
    {"example": range(200_000), "annotator": "a", "label": ["x", "y"] * 100_000}
).with_columns(pl.format("{}-{}", pl.col("example").hash(), "example").alias("example"))


def test_no_room_for_a_store(tmp_path: Path) -> None:
    message = r"cannot write .*store: .*[Ff]ile too large.*Nothing was changed"
    with files_up_to(200_000), pytest.raises(StoreError, match=message):
        pc.AnnotationStore.create(tmp_path / "store", LARGE, partitions=2)
    assert list(tmp_path.iterdir()) == []


def test_no_room_for_what_is_appended(tmp_path: Path) -> None:
    store = pc.AnnotationStore.create(tmp_path / "store", LARGE.head(100), partitions=2)
    with files_up_to(200_000), pytest.raises(StoreError, match=r"cannot write .*store"):
        store.append(LARGE.slice(100))
    assert rows_in(store.path).height == 100
    assert not list(store.path.glob(".spool*"))
    store.append(LARGE.slice(100))
    assert rows_in(store.path).height == 200_000


def test_no_room_for_results(tmp_path: Path) -> None:
    store = pc.AnnotationStore.create(tmp_path / "store", LARGE, partitions=2)
    with (
        files_up_to(200_000),
        pytest.raises(StoreError, match=r"cannot write .*results.*[Ff]ile too large"),
    ):
        pc.majority_vote(store, into=tmp_path / "results").collect()
    found = pc.majority_vote(store, into=tmp_path / "results").collect()
    assert found.height == 200_000


@pytest.fixture
def little_room(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "little"
    place.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mounted, capture_output=True).returncode:
        pytest.skip("no right to mount a small disk")
    try:
        yield place
    finally:
        gc.collect()  # a store that is open is held
        subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk(little_room: Path) -> None:
    with pytest.raises(StoreError, match=r"cannot write .*No space left.*Nothing was changed"):
        pc.AnnotationStore.create(little_room / "store", LARGE, partitions=2)
    assert list(little_room.iterdir()) == []
    store = pc.AnnotationStore.create(little_room / "store", BATCHES[0], partitions=2)
    with pytest.raises(StoreError, match=r"cannot write .*No space left"):
        store.append(LARGE.with_columns(pl.col("annotator"), label=pl.lit(0), note=pl.lit("n")))
    assert rows_in(store.path).equals(together(BATCHES[0]))
    store.append(BATCHES[1])
    assert rows_in(store.path).equals(together(*BATCHES[:2]))


# --- files that are damaged ------------------------------------------------------------------------


def file_of(store: pc.AnnotationStore, kind: str, part: int = 1) -> Path:
    if kind == "annotators":
        assert store._manifest.annotators is not None
        return store.path / "files" / store._manifest.annotators.name
    name: str = getattr(store._parts[part], kind).name
    return store.path / "files" / name


KINDS = ["annotations", "examples", "annotators"]


def problems(path: Path) -> dict[str, str]:
    found = pc.AnnotationStore.open(path, check=False).verify()
    return dict(found.iter_rows())


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_missing(store: pc.AnnotationStore, kind: str) -> None:
    file = file_of(store, kind)
    file.unlink()
    with pytest.raises(StoreError, match=rf"lacks 1 of the store's files: '{file.name}'. Restore"):
        pc.AnnotationStore.open(store.path)
    with pytest.raises(StoreError, match=file.name):
        store.append(BATCHES[1])
    assert problems(store.path) == {file.name: "missing"}
    fails_to_fit(store, file)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_cut_off(store: pc.AnnotationStore, kind: str) -> None:
    file = file_of(store, kind)
    size = file.stat().st_size
    os.truncate(file, size // 2)
    message = rf"{file.name} has {size // 2:,} bytes, not {size:,}: it was cut off or changed"
    with pytest.raises(StoreError, match=message):
        pc.AnnotationStore.open(store.path)
    with pytest.raises(StoreError, match=message):
        store.append(BATCHES[1])
    assert problems(store.path) == {file.name: f"has {size // 2:,} bytes, not {size:,}"}
    fails_to_fit(store, file)


def fails_to_fit(store: pc.AnnotationStore, file: Path) -> None:
    damaged = pc.AnnotationStore.open(store.path, check=False)
    with pytest.raises(
        StoreError, match=rf"{file.name} (cannot be read: |has other bytes)(?s:.*)Restore"
    ):
        pc.crowdlab(damaged).examples.collect()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_bytes_that_flipped(store: pc.AnnotationStore, kind: str, seed: int) -> None:
    file = file_of(store, kind)
    flip(file, random.Random(seed))
    assert problems(store.path) == {file.name: "has other bytes than were written"}


def flip(file: Path, rng: random.Random) -> None:
    data = bytearray(file.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    file.write_bytes(bytes(data))


@pytest.mark.parametrize("kind", ["annotations", "examples"])
def test_one_file_of_another_schema(store: pc.AnnotationStore, kind: str) -> None:
    file = file_of(store, kind)
    column = "label" if kind == "annotations" else "model_0_1"
    pl.read_parquet(file).rename({column: "other"}).write_parquet(file)
    with pytest.raises(StoreError, match=f"{file.name} has .* bytes, not"):
        pc.AnnotationStore.open(store.path)
    fails_to_fit(store, file)


def test_a_file_of_another_partition(store: pc.AnnotationStore) -> None:
    parts = store._parts
    examples = file_of(store, "examples", 0)
    shutil.copy(examples, file_of(store, "examples", 1))
    manifest = json.loads((store.path / "manifest.json").read_text())
    part = manifest["store"]["parts"][1]["examples"]
    part.update(size=parts[0].examples.size, checksum=parts[0].examples.checksum)
    manifest["checksum"] = seal(manifest["store"])
    (store.path / "manifest.json").write_text(json.dumps(manifest))
    count = parts[0].examples.rows
    assert problems(store.path) == {part["name"]: f"has {count} examples of other partitions"}


# --- the manifest ----------------------------------------------------------------------------------


def test_a_manifest_with_bits_flipped(store: pc.AnnotationStore) -> None:
    path = store.path / "manifest.json"
    sound, rng = path.read_bytes(), random.Random(7)
    told = 0
    for _ in range(300):
        flip(path, rng)
        try:
            assert pc.AnnotationStore.open(store.path)._manifest == store._manifest
        except StoreError as error:
            told += str(path) in str(error)
        path.write_bytes(sound)
    assert told > 290, "but for a flip in the space between"
    assert rows_in(store.path).equals(together(BATCHES[0]))


def test_a_manifest_that_is_cut_off(store: pc.AnnotationStore) -> None:
    path = store.path / "manifest.json"
    sound = path.read_bytes()
    for size in [*range(0, len(sound), 97), len(sound) - 1]:
        path.write_bytes(sound[:size])
        with pytest.raises(StoreError, match=r"manifest.json is damaged \(.*restore the manifest"):
            pc.AnnotationStore.open(store.path)
        with pytest.raises(StoreError, match=r"manifest.json is damaged"):
            store.append(BATCHES[1])


@pytest.mark.parametrize(
    "text", ["", "[]", "null", '{"store": 3}', "\xff", '{"store": {"format": "x"}}']
)
def test_a_manifest_that_is_something_else(store: pc.AnnotationStore, text: str) -> None:
    (store.path / "manifest.json").write_text(text, encoding="latin-1")
    with pytest.raises(StoreError, match=r"manifest.json is damaged"):
        pc.AnnotationStore.open(store.path)


def test_stores_of_newer_versions_are_refused(store: pc.AnnotationStore) -> None:
    path = store.path / "manifest.json"
    sound = json.loads(path.read_text())
    path.write_text(json.dumps({"store": {"format": 2, "what": "nobody knows yet"}}))
    with pytest.raises(
        StoreError, match=r"the store is of format 2, this version knows up to 1. Up"
    ):
        pc.AnnotationStore.open(store.path)
    with pytest.raises(StoreError, match="format 2"):
        store.append(BATCHES[1])
    sound["store"]["rule_version"] = 2
    path.write_text(json.dumps({**sound, "checksum": seal(sound["store"])}))
    with pytest.raises(
        StoreError, match=r"partitioned by the rule 'fnv1a-words', version 2, which"
    ):
        pc.AnnotationStore.open(store.path)
    with pytest.raises(StoreError, match="version 2"):
        store.append(BATCHES[1])


def test_no_store_at_all(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(StoreError, match=r"is no annotation store: it has no manifest.json"):
            pc.AnnotationStore.open(path)


# --- sources that are damaged ----------------------------------------------------------------------

DAMAGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "cut off": (lambda f: os.truncate(f, f.stat().st_size // 2), "cannot be read.*PAR1"),
    "not Parquet": (lambda f: f.write_bytes(b"example,label\n" * 99), "cannot be read"),
    "of another type": (
        lambda f: pl.read_parquet(f).cast({"label": pl.String}).write_parquet(f),
        r"'label' is String, and Int64 in .*log-0|'label' of the log is Int64 in one part and String",
    ),
    "without labels": (
        lambda f: pl.read_parquet(f).drop("label").write_parquet(f),
        "it has no column 'label', which is in .*log-0|has no column 'label'; its columns are",
    ),
}


@pytest.fixture
def log_files(tmp_path: Path) -> list[Path]:
    files = [tmp_path / f"log-{i}.parquet" for i in range(4)]
    for file, batch in zip(files, BATCHES, strict=True):
        batch.drop("note").write_parquet(file)
    return files


@pytest.mark.parametrize("given", ["glob", "list", "scan"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_one_file_of_many_is_damaged(
    tmp_path: Path, log_files: list[Path], damage: str, given: str
) -> None:
    spoil, message = DAMAGES[damage]
    sources: dict[str, Callable[[], Any]] = {
        "glob": lambda: str(tmp_path / "log-*.parquet"),
        "list": lambda: log_files,
        "scan": lambda: pc.scan_annotations(str(tmp_path / "log-*.parquet")),
    }
    expected = {file.name for file in log_files} | {"store"}
    store = pc.AnnotationStore.create(tmp_path / "store", BATCHES[0].drop("note"), partitions=2)
    spoil(log_files[2])
    with pytest.raises(pc.AnnotationError, match=rf"(?s)({message})") as told:
        pc.AnnotationStore.create(tmp_path / "other", sources[given](), partitions=2)
    assert str(log_files[2]) in str(told.value)
    with pytest.raises(pc.AnnotationError, match=rf"(?s)({message})") as told:
        store.append(sources[given]())
    assert str(log_files[2]) in str(told.value)
    assert rows_in(store.path).height == BATCHES[0].height
    assert {path.name for path in tmp_path.iterdir()} == expected


# --- directories of results ------------------------------------------------------------------------


def test_results_that_are_cut_off_are_made_anew(store: pc.AnnotationStore, tmp_path: Path) -> None:
    fit = pc.crowdlab(store, into=tmp_path / "results")
    expected = fit.examples.collect()
    file = files_of(tmp_path / "results", "examples")[1]
    os.truncate(file, file.stat().st_size // 2)
    again = pc.crowdlab(store, into=tmp_path / "results")
    assert_same(again.examples.collect(), expected)
