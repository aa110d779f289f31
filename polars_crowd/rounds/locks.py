"""Locks on files: to write for one process at a time, to read for many. What dies gives them back.

They are the operating system's. Where a file system has none, a file beside the lock stands for each of them,
made as one that must not be there: it names host, process and time, and gives way once that process, of this
machine, is gone. Of a process of another machine nobody here can tell; its file has to be removed by hand.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from polars_crowd.errors import StoreError

NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
"""What file systems say that have no locks."""
IS_LOCKED = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK)
WRITER, READER = ".writer", ".reader"
"""What the files are called that stand for locks, after the lock's name."""
FAR = 1 << 30
"""Windows locks bytes, which then nobody can read: one behind all that is written."""


@dataclass(frozen=True)
class Holder:
    """Who has a lock."""

    host: str
    machine: str
    """The host's run since it was started, and which of its processes this one sees."""
    pid: int
    started: str
    """When the process was, by the machine's clock: numbers of processes come again."""
    since: str
    token: str

    @classmethod
    def this(cls) -> Holder:
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        own = os.getpid()
        return cls(socket.gethostname(), _machine(), own, _start_of(own), since, token_hex(4))

    @classmethod
    def named_in(cls, file: Path) -> Holder | None:
        """Who a file names, if it can be read and names anybody."""
        with suppress(OSError, ValueError, TypeError):
            return cls(**json.loads(file.read_bytes()))
        return None

    @property
    def is_here(self) -> bool:
        """Whether this process can see that one."""
        return (self.host, self.machine) == (socket.gethostname(), _machine())

    @property
    def is_gone(self) -> bool:
        """Whether the process surely is there no more."""
        return self.is_here and not _runs(self.pid, self.started)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"

    def encoded(self) -> bytes:
        return json.dumps(asdict(self)).encode()


class Lock:
    """A lock that one has, until it is released, nobody refers to it, or the process ends."""

    def __init__(self, path: Path, file: BinaryIO | None, stands: Path | None, keep: bool) -> None:
        self._path, self._file, self._stands = path, file, stands
        self._token = Holder.named_in(stands) if stands else None
        self._release = weakref.finalize(
            self, _give_back, os.getpid(), file, stands, None if keep else path
        )
        if file is not None:
            _OPEN.add(file)

    def release(self) -> None:
        self._release()

    @property
    def is_held(self) -> bool:
        """Whether it is ours still: nobody has removed its file."""
        if not self._release.alive:
            return False
        if self._stands is not None:
            return Holder.named_in(self._stands) == self._token
        return self._file is None or _is_at(self._file, self._path)


_OPEN: weakref.WeakSet[BinaryIO] = weakref.WeakSet()


def _close_all() -> None:
    """A process that is forked has no locks: those of its parent end with its parent."""
    for file in list(_OPEN):
        file.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_all)


def _give_back(pid: int, file: BinaryIO | None, stands: Path | None, remove: Path | None) -> None:
    if os.getpid() != pid:
        return
    for place in (stands, remove):  # while it is locked: who waits for it sees that it is gone
        if place is not None:
            with suppress(OSError):
                place.unlink()
    if file is not None:
        with suppress(OSError):
            if remove is None and file.writable():
                file.truncate(0)
            _unlock(file)
        file.close()


# --- to write --------------------------------------------------------------------------------------


def lock_to_write(path: Path, of: Path, *, keep: bool = False) -> Lock:
    """The right to write to `of`, for one process at a time; the file of the lock may be kept after it.

    Raises
    ------
    StoreError
        Somebody else has it, who is named; or the lock cannot be made.
    """
    try:
        file = _locked(path, exclusive=True)
        if file is None:
            _refuse_writers(path, of)
            return Lock(path, None, _stand_for(path, of), keep)
        lock = Lock(path, file, None, keep)
        try:
            _refuse_writers(path, of)
        except StoreError:
            lock.release()
            raise
        _write_down(file)
        return lock
    except BlockingIOError as error:
        raise busy(of, Holder.named_in(path)) from error
    except OSError as error:
        raise StoreError(f"cannot write {of}: {error.strerror or error}") from error


def busy(of: Path, holder: Holder | None) -> StoreError:
    """The error for what another process writes to."""
    who = f" ({holder})" if holder else ""
    return StoreError(
        f"{of} is being written to by another process{who}. Wait until it has ended and try again."
    )


@contextmanager
def writing(path: Path, of: Path, *, keep: bool = False) -> Iterator[Lock]:
    """... for a block."""
    lock = lock_to_write(path, of, keep=keep)
    try:
        yield lock
    finally:
        lock.release()


def _write_down(file: BinaryIO) -> None:
    """Who has a lock, for those who want it. It is a lock without this, too: on a disk that is full."""
    with suppress(OSError):
        file.truncate(0)
        file.write(Holder.this().encoded())
        file.flush()


def _stand_for(path: Path, of: Path) -> Path:
    """A file that stands for the lock, and must not be there."""
    stands = _beside(path, WRITER)
    try:
        return _made(stands)
    except FileExistsError:  # somebody was quicker
        raise busy(of, Holder.named_in(stands)) from None


def _refuse_writers(path: Path, of: Path) -> None:
    """A file that stands for a lock is heeded, and removed if its process is gone."""
    stands = _beside(path, WRITER)
    if not stands.exists():
        return
    holder = Holder.named_in(stands)
    if holder is not None and holder.is_gone:
        _remove_dead(stands, holder, of)
    elif holder is not None and holder.is_here:
        raise busy(of, holder)
    else:
        raise StoreError(
            f"{of} is marked as being written to by {holder or 'a process that is not named'}. The file "
            "system has no locks, so it cannot be seen from here whether that is still so. If it is not, "
            f"remove {stands}."
        )


def _remove_dead(stands: Path, holder: Holder, of: Path) -> None:
    """Remove the file of a process that is gone, and no other that somebody puts there meanwhile."""
    taken = stands.with_name(f"{stands.name}.{token_hex(4)}")
    with suppress(FileNotFoundError):
        stands.rename(taken)
        found = Holder.named_in(taken)
        if found != holder:
            taken.rename(stands)
            raise busy(of, found)
        taken.unlink()


# --- to read ---------------------------------------------------------------------------------------


class Hold:
    """What is beside a lock stays while this, or a copy of it, lives, if the file system can lock."""

    def __init__(self, lock: Path) -> None:
        self._path = lock
        self._lock: Lock | None = None
        with suppress(OSError):  # it is gone, or going: who reads will see
            self._lock = lock_to_read(lock)

    def __reduce__(self) -> tuple[type[Hold], tuple[Path]]:
        """A copy, here or in another process, has a lock of its own."""
        return Hold, (self._path,)


def lock_to_read(path: Path) -> Lock | None:
    """The right to find what stands beside a lock for as long as one has it; None if nobody can have it.

    Raises
    ------
    FileNotFoundError
        The file of the lock is gone.
    BlockingIOError
        It is being removed.
    """
    try:
        file = _locked(path, exclusive=False)
    except FileNotFoundError:
        raise
    except PermissionError:
        return None
    if file is not None:
        return Lock(path, file, None, keep=True)
    with suppress(OSError):  # a disk that cannot be written to
        return Lock(path, None, _made(_beside(path, f".{token_hex(4)}{READER}")), keep=True)
    return None


def lock_to_remove(path: Path) -> Lock | None:
    """The right to remove what stands beside a lock, with the lock; None if anybody reads or writes it."""
    if any(not _gave_way(reader) for reader in path.parent.glob(f"{path.name}.*{READER}")):
        return None
    try:
        if os.name == "nt":  # what is open cannot be removed
            path.unlink(missing_ok=True)
        file = _locked(path, exclusive=True)
    except OSError:
        return None
    return Lock(path, file, None, keep=False)


def _gave_way(stands: Path) -> bool:
    """Whether the process is gone that a file stands for; the file then is, too."""
    holder = Holder.named_in(stands)
    if holder is None or not holder.is_gone:
        return False
    with suppress(OSError):
        stands.unlink()
    return True


# --- files that are locked, and that stand for locks -------------------------------------------------


def _locked(path: Path, *, exclusive: bool) -> BinaryIO | None:
    """The file, locked; None where there are no locks. Who has it now may be removing it: then another is
    made."""
    while True:
        file = open(path, "ab" if exclusive else "rb", opener=_open_itself)  # noqa: SIM115 (it stays open)
        try:
            _lock(file, exclusive)
        except OSError as error:
            file.close()
            if error.errno in IS_LOCKED:
                raise BlockingIOError(error.errno, error.strerror) from error
            if error.errno in NO_LOCKS:
                return None
            raise
        if _is_at(file, path):
            return file
        file.close()


def _open_itself(path: str, flags: int) -> int:
    """Open a file, and not what a link leads to."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def _lock(file: BinaryIO, exclusive: bool) -> None:
    try:
        import fcntl
    except (
        ImportError
    ):  # Windows: a file that is open to be read cannot be removed, which is enough
        import msvcrt

        if exclusive:
            file.seek(FAR)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        fcntl.flock(file, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)


def _unlock(file: BinaryIO) -> None:
    """... also where a process that was forked has it open."""
    try:
        import fcntl
    except ImportError:  # closing does
        return
    fcntl.flock(file, fcntl.LOCK_UN)


def _is_at(file: BinaryIO, path: Path) -> bool:
    """Whether an open file is the one of that name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except (OSError, ValueError):  # nothing is there; it was closed
        return False


def _made(stands: Path) -> Path:
    """A file that names this process."""
    opened = os.open(stands, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    try:
        os.write(opened, Holder.this().encoded())
    finally:
        os.close(opened)
    return stands


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


# --- processes -------------------------------------------------------------------------------------


def _machine() -> str:
    """What tells apart the runs of a host, and the containers on it, where the system says it."""
    parts: list[partial[str]] = [
        partial(Path("/proc/sys/kernel/random/boot_id").read_text),
        partial(os.readlink, "/proc/self/ns/pid"),
    ]
    found = []
    for read in parts:
        with suppress(OSError):
            found.append(read().strip())
    return " ".join(found)


def _start_of(pid: int) -> str:
    """When a process was started; empty where the system does not say it, or it has ended."""
    with suppress(OSError):
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if state in ("Z", "X") else fields[18]
    return ""


def _runs(pid: int, started: str) -> bool:
    """Whether this very process still runs, for all that can be seen."""
    if os.name == "nt":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        return True
    return _start_of(pid) == started
