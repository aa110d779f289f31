"""One process writes at a time, others read; what dies gives its locks back, on every file system."""

from __future__ import annotations

import errno
import gc
import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from polars_crowd.errors import StoreError
from polars_crowd.rounds import locks
from polars_crowd.rounds.locks import (
    Holder,
    Lock,
    lock_to_read,
    lock_to_remove,
    lock_to_write,
    writing,
)

pytestmark = pytest.mark.skipif(os.name == "nt", reason="kills and forks")


@pytest.fixture(params=["the system's", "files"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Locks of the system, and where it has none."""
    if request.param == "files":
        without_locks(monkeypatch, errno.ENOLCK)
    return str(request.param)


def without_locks(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def fail(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(locks, "_lock", fail)


def write(place: Path) -> Lock:
    return lock_to_write(place / ".lock", place)


OTHER = """
import errno, os, sys, time
from pathlib import Path
from polars_crowd.rounds import locks

if sys.argv[2] == "files":
    def fail(*_):
        raise OSError(errno.ENOLCK, "No locks available")
    locks._lock = fail
place = Path(sys.argv[1])
lock = getattr(locks, sys.argv[3])(place / ".lock", *[place] * (sys.argv[3] == "lock_to_write"))
print("held", flush=True)
time.sleep(60)
"""


def other(place: Path, kind: str, what: str) -> subprocess.Popen[bytes]:
    """Another process that has a lock."""
    command = [sys.executable, "-c", OTHER, str(place), kind, what]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    process.stdout.close()
    return process


@pytest.mark.usefixtures("kind")
def test_one_writes_at_a_time(tmp_path: Path) -> None:
    lock = write(tmp_path)
    assert lock.is_held
    with pytest.raises(StoreError, match=rf"{tmp_path} is being .* \(process {os.getpid()} on .*"):
        write(tmp_path)
    lock.release()
    assert not lock.is_held
    with writing(tmp_path / ".lock", tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []
    kept = write(tmp_path)
    del kept
    gc.collect()
    with writing(tmp_path / ".lock", tmp_path, keep=True):
        pass
    assert [place.name for place in tmp_path.iterdir()] == [".lock"]
    assert (tmp_path / ".lock").read_bytes() == b""


def test_a_writer_that_is_killed_gives_way(kind: str, tmp_path: Path) -> None:
    process = other(tmp_path, kind, "lock_to_write")
    with pytest.raises(StoreError, match=rf"another process \(process {process.pid} on"):
        write(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert write(tmp_path).is_held


def test_readers_keep_what_they_read(kind: str, tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    readers = [lock_to_read(tmp_path / ".lock") for _ in range(2)]
    process = other(tmp_path, kind, "lock_to_read")
    for reader in readers:
        assert reader is not None
        assert lock_to_remove(tmp_path / ".lock") is None
        reader.release()
    assert lock_to_remove(tmp_path / ".lock") is None
    process.kill()
    process.wait()
    lock = lock_to_remove(tmp_path / ".lock")
    assert lock is not None
    lock.release()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        lock_to_read(tmp_path / ".lock")


@pytest.mark.parametrize("number", locks.NO_LOCKS)
def test_what_file_systems_say_that_have_no_locks(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_locks(monkeypatch, number)
    with writing(tmp_path / ".lock", tmp_path):
        holder = Holder.named_in(tmp_path / ".lock.writer")
        assert holder is not None
        assert (holder.pid, holder.is_gone) == (os.getpid(), False)


@pytest.mark.usefixtures("kind")
@pytest.mark.parametrize(
    "content",
    [
        json.dumps(asdict(replace(Holder.this(), host="elsewhere"))),
        json.dumps(asdict(replace(Holder.this(), machine="before it was started again"))),
        "",
    ],
    ids=["of another host", "of another machine", "of nobody"],
)
def test_a_writer_of_whom_nobody_can_tell(content: str, tmp_path: Path) -> None:
    """A file that stands for a lock is heeded where there are locks, too."""
    stands = tmp_path / ".lock.writer"
    stands.write_text(content)
    with pytest.raises(StoreError, match=r"marked as being .* (process|named).* remove .*\.writer"):
        write(tmp_path)
    stands.unlink()
    assert write(tmp_path).is_held


@pytest.mark.usefixtures("kind")
def test_a_number_that_is_another_process_now(tmp_path: Path) -> None:
    """It is seen by when that process was started."""
    holder = replace(Holder.this(), started="before")
    (tmp_path / ".lock.writer").write_text(json.dumps(asdict(holder)))
    assert write(tmp_path).is_held


def test_a_lock_whose_file_was_removed_is_held_no_more(kind: str, tmp_path: Path) -> None:
    first = write(tmp_path)
    (tmp_path / (".lock" if kind == "the system's" else ".lock.writer")).unlink()
    second = write(tmp_path)
    assert (first.is_held, second.is_held) == (False, True)


def test_a_lock_is_no_link(tmp_path: Path) -> None:
    (tmp_path / ".lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="cannot write"):
        write(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_process_that_is_forked_holds_nothing(tmp_path: Path) -> None:
    """... and gives nothing back."""
    lock = write(tmp_path)
    child = os.fork()
    if not child:
        lock.release()
        os._exit(0)
    os.waitpid(child, 0)
    assert lock.is_held
    with pytest.raises(StoreError, match="another process"):
        write(tmp_path)
