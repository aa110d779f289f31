"""The data files of a store: read as they were written, and removed when nobody reads them any more.

A generation is read by who has a lock on its file of annotators. Its files are removed when nobody has one,
and no other generation that is read has them. What is called otherwise than `manifest.named` calls files
belongs to somebody else, and stays.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import polars as pl

from polars_crowd.errors import Advice, StoreError, TakenError, counted, shown
from polars_crowd.option_checks import check_place
from polars_crowd.rounds import files
from polars_crowd.rounds.digests import checksum, known_checksum
from polars_crowd.rounds.files import reason
from polars_crowd.rounds.locks import Hold, lock_to_remove, writing
from polars_crowd.store.manifest import (
    FILES,
    LOCK,
    MANIFEST,
    NAME,
    SPOOL,
    File,
    Manifest,
    Part,
    Past,
    read_manifest,
)
from polars_crowd.store.rule import partition_of

TOKEN = r"[0-9a-f]{8}"
RESTORE = "Restore it from a backup, or make the store anew from the log."
LOOK = Advice(
    "Look at every file",
    python="pc.AnnotationStore.open(path, check=False).verify()",
    command="polars-crowd store verify STORE",
)
OPEN_AGAIN = Advice("Open it again", python="pc.AnnotationStore.open(path)")


# --- places ----------------------------------------------------------------------------------------


def place_of(path: str | Path) -> Path:
    """The directory itself, wherever links lead and the process goes."""
    check_place("path", path)
    return files.place_of(path, behind_links=True)


def refuse_what_is_there(path: Path) -> None:
    if (path / MANIFEST).exists():
        raise TakenError(
            f"{path} is a store already.",
            Advice(
                "Choose another directory, or add to it",
                python="pc.AnnotationStore.open(path).append(log)",
                command="polars-crowd store append STORE LOG",
            ),
        )
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise TakenError(f"{path} is there already.", "Choose a directory that is new or empty.")


# --- reading ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DataFiles:
    """The data files of a generation, and how they are read. Small: it travels to the workers."""

    folder: str
    verify: bool
    """Whether a file is compared with its checksum before it is read."""
    held: Hold | None = field(default=None, repr=False, compare=False)

    def scan(self, file: File) -> pl.LazyFrame:
        """A file that is as it was written."""
        return pl.scan_parquet(self.checked(file), glob=False)

    def checked(self, file: File) -> str:
        """The path of a file that is as it was written.

        Raises
        ------
        StoreError
            It is not, or it is gone.
        """
        path = Path(self.folder, file.name)
        if self.verify:
            with self.reading(file):
                found = known_checksum(path)
            if found != file.checksum:
                wrong = f"{described(path)} has other bytes than were written: it is damaged."
                raise StoreError(wrong, RESTORE, LOOK)
        return str(path)

    @contextmanager
    def reading(self, file: File) -> Iterator[None]:
        """Names the file in errors about it."""
        path = Path(self.folder, file.name)
        try:
            yield
        except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            if _is_of_the_past(path):
                raise StoreError(
                    f"{path.parent.parent} was changed since it was opened: {path.name} is of an earlier "
                    "generation, and was removed.",
                    OPEN_AGAIN,
                ) from error
            raise StoreError(
                f"{described(path)} cannot be read: {reason(error).splitlines()[0]}\n"
                "It is missing, cut off or of another schema.",
                RESTORE,
                LOOK,
            ) from error

    def annotators(self, file: File) -> pl.Series:
        """The annotators' ids by code."""
        path = self.checked(file)
        with self.reading(file):
            return _read_annotators(path)


def _is_of_the_past(path: Path) -> bool:
    """Whether a file is gone that the store as it is now does not name."""
    if path.exists():
        return False
    with suppress(StoreError):
        return path.name not in {file.name for file in read_manifest(path.parent.parent).files}
    return False


def open_generation(store: Path) -> tuple[Manifest, Hold | None]:
    """The manifest of the generation that a store has now, whose files stay while it is held."""
    while True:
        before = _stamp(store / MANIFEST)
        manifest = read_manifest(store)
        name = manifest.annotators and manifest.annotators.name
        held = Hold(store / FILES / name) if name else None
        if _stamp(store / MANIFEST) == before:  # else a writer may not have seen that it is held
            return manifest, held


def _stamp(path: Path) -> tuple[int, ...]:
    with suppress(OSError):
        found = path.stat()
        return found.st_ino, found.st_mtime_ns, found.st_size
    return ()


@lru_cache(maxsize=8)
def _read_annotators(path: str) -> pl.Series:
    return pl.read_parquet(path, glob=False)["annotator"]


def described(path: Path) -> str:
    """A file, and whose it is.

    >>> described(Path("store/files/0007-examples-1-0123abcd.parquet"))
    'partition 7: store/files/0007-examples-1-0123abcd.parquet'
    """
    found = NAME.fullmatch(path.name)
    part = found and found["part"]
    return f"partition {int(part)}: {path}" if part else str(path)


# --- looking ---------------------------------------------------------------------------------------


def check_files(store: Path, manifest: Manifest) -> None:
    """Every file is there, in the store itself, and of its size."""
    folder = store / FILES
    found = {file.name: _size(folder / file.name) for file in manifest.files}
    gone = [name for name, size in found.items() if size is None]
    if gone:
        raise StoreError(
            f"{folder} lacks {len(gone)} of the store's files: {shown(gone)}. Restore them from a "
            "backup, or make the store anew from the log."
        )
    for file in manifest.files:
        path, size = folder / file.name, found[file.name]
        if size != file.size:
            raise StoreError(
                f"{described(path)} has {size:,} bytes, not {file.size:,}: it was cut off or changed.",
                RESTORE,
            )
        if not _is_inside(path, store):
            raise StoreError(
                f"{path} is a link to what is not in {store}.", "Put the file itself there."
            )


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _is_inside(path: Path, store: Path) -> bool:
    return not path.is_symlink() or path.resolve().is_relative_to(store.resolve())


def problems(store: Path, manifest: Manifest) -> pl.DataFrame:
    """`file, problem`, a row per problem of a file."""
    found = [(file.name, _problem(store / FILES / file.name, file)) for file in manifest.files]
    bad = {name for name, problem in found if problem}
    found += [
        (part.examples.name, _stray_examples(store, manifest, number, part))
        for number, part in enumerate(manifest.parts)
        if part is not None and part.examples.name not in bad
    ]
    rows = [{"file": name, "problem": problem} for name, problem in found if problem]
    return pl.DataFrame(rows, schema={"file": pl.String, "problem": pl.String})


def _problem(path: Path, file: File) -> str:
    size = _size(path)
    if size is None:
        return "missing"
    if size != file.size:
        return f"has {size:,} bytes, not {file.size:,}"
    if checksum(path) != file.checksum:
        return "has other bytes than were written"
    return ""


def _stray_examples(store: Path, manifest: Manifest, number: int, part: Part) -> str:
    files = DataFiles(str(store / FILES), verify=False)
    own = partition_of("example", manifest.schema["example"], len(manifest.parts)) == number
    try:
        with files.reading(part.examples):
            stray = files.scan(part.examples).select((~own).sum()).collect().item()
    except StoreError as error:
        return str(error).splitlines()[0]
    return f"has {counted(stray, 'example')} of other partitions" if stray else ""


# --- removing --------------------------------------------------------------------------------------


def remove_strays(store: Path, manifest: Manifest) -> int:
    """Remove what writers that died have left: files that no generation names, what was not finished.

    How many bytes that frees.
    """
    used, freed = set(manifest.names), 0
    for path in (store / FILES).iterdir():
        unfinished = re.fullmatch(rf"\.(.*)\.{TOKEN}", path.name)
        if NAME.fullmatch(unfinished[1] if unfinished else path.name) and path.name not in used:
            freed += _remove_file(path)
    for path in store.iterdir():
        if re.fullmatch(rf"\.{re.escape(MANIFEST)}\.{TOKEN}", path.name):
            freed += _remove_file(path)
        if re.fullmatch(rf"{re.escape(SPOOL)}{TOKEN}", path.name):
            _remove_folder(path)
    return freed


def remove_past(store: Path, manifest: Manifest) -> int:
    """Remove the files of generations before that nobody reads. How many bytes that frees."""
    folder = store / FILES
    with ExitStack() as locks:
        held = []
        for past in left_of(store, manifest):
            lock = lock_to_remove(folder / past.annotators)
            if lock is None:
                held.append(past.generation)
            else:
                locks.callback(lock.release)  # which removes its file
        return sum(
            _remove_file(folder / name)
            for past in manifest.past
            for name in past.files
            if not any(_born(name) <= generation <= past.generation for generation in held)
        )


def left_of(store: Path, manifest: Manifest) -> tuple[Past, ...]:
    """The generations before of which files are left."""
    return tuple(past for past in manifest.past if (store / FILES / past.annotators).exists())


def _born(name: str) -> int:
    """The first generation that had a file."""
    found = NAME.fullmatch(name)
    assert found is not None, "the manifest was looked at"
    return int(found["generation"])


def remove_abandoned(store: Path) -> None:
    """Remove what writers that died while they made this store have left beside it."""
    for path in store.parent.iterdir():
        left = re.fullmatch(rf"{re.escape(beside(store))}\.{TOKEN}(\.dead)?", path.name)
        if left and not path.is_symlink() and (path / LOCK).exists():
            with suppress(StoreError, OSError):
                with writing(path / LOCK, path, keep=True):
                    pass
                dead = path if left[1] else path.rename(f"{path}.dead")
                for part in dead.iterdir():
                    if part.name != LOCK:  # by which it is known, to the end
                        _remove_folder(part) if part.is_dir() else _remove_file(part)
                shutil.rmtree(dead)


def beside(store: Path) -> str:
    """What is called so, with a token, is a store that is being made. The whole is no longer than a name."""
    return f".{store.name.encode()[:200].decode(errors='ignore')}"


def _remove_file(path: Path) -> int:
    """Remove a file, unless it is a link; how many bytes that frees."""
    with suppress(OSError):
        if not path.is_symlink():
            size = path.stat().st_size
            path.unlink()
            return size
    return 0


def _remove_folder(path: Path) -> None:
    if not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
