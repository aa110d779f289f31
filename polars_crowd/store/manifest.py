"""What a store says about itself: one JSON file, replaced as a whole, that names every other file."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from secrets import token_hex
from typing import Any

import polars as pl

from polars_crowd.errors import Advice, StoreError
from polars_crowd.rounds.cache import digest
from polars_crowd.rounds.digests import SEAL, checksum, seal
from polars_crowd.rounds.files import write_whole
from polars_crowd.runs.codes import named_classes
from polars_crowd.store.rule import RULE, RULE_VERSION

MANIFEST = "manifest.json"
LOCK = ".lock"
FORMAT = 1
SPOOL = ".spool-"
FILES = "files"
"""The directory of the data files."""
NAME = re.compile(
    r"(annotators|(?P<part>\d{4,})-(annotations|examples))-(?P<generation>\d+)-[0-9a-f]{8}\.parquet"
)
"""How data files are called."""


def named(what: str, generation: int) -> str:
    """A name that no other file has, of another generation or by another writer."""
    return f"{what}-{generation}-{token_hex(4)}.parquet"


@dataclass(frozen=True)
class File:
    """A file of the store: its name, how many rows and bytes it has, and the BLAKE2b of them."""

    name: str
    rows: int
    size: int
    checksum: str

    @classmethod
    def of(cls, path: Path, rows: int) -> File:
        """A file that was just written."""
        return cls(path.name, rows, path.stat().st_size, checksum(path))


@dataclass(frozen=True)
class Part:
    """A partition: its annotations and its examples, annotated ones first."""

    annotations: File
    examples: File
    annotated: int
    annotators: int | None = None
    """How many annotators the store knew when it was written: its codes are of these."""


@dataclass(frozen=True)
class Past:
    """An earlier generation: its annotators, and the names of the files that the next one has not."""

    generation: int
    annotators: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class Manifest:
    """All that a store is, but for its rows."""

    schema: pl.Schema
    """Of the log: example, annotator, label, then the other columns."""
    classes: tuple[str, ...] | None
    """The names of the classes; None for labels that are numbers only."""
    models: int
    is_ensemble: bool
    parts: tuple[Part | None, ...]
    """By number; None where nothing has fallen into the partition."""
    annotators: File | None = None
    rule: str = RULE
    rule_version: int = RULE_VERSION
    generation: int = 0
    sets: tuple[str, ...] | None = None
    """The sets of classes there are, as text, where labels are sets of classes; later ones come last."""
    set_of: pl.DataType | None = None
    """The type of a class in them."""
    past: tuple[Past, ...] = ()
    """Generations before this one of which files may be left, for who still reads them."""

    @property
    def labels(self) -> pl.Series | None:
        """What labels are, in the order of their codes: classes, or sets of them."""
        if self.sets is not None:
            return pl.Series("label", self.sets, pl.String)
        return self.class_values

    @property
    def class_values(self) -> pl.Series | None:
        """The classes."""
        if self.classes is None:
            return None
        return named_classes(self.classes, self.set_of or self.schema["label"])

    def described(self) -> dict[str, Any]:
        """As JSON."""
        return {
            **asdict(self),
            "format": FORMAT,
            "columns": {name: str(dtype) for name, dtype in self.schema.items()},
            "schema": schema_text(self.schema),
            "set_of": self.set_of and schema_text(pl.Schema({"label": self.set_of})),
        }

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Manifest:
        plain = ("rule", "rule_version", "models", "is_ensemble", "generation")
        return cls(
            **{name: found[name] for name in plain},
            schema=schema_of(found["schema"]),
            classes=None if found["classes"] is None else tuple(found["classes"]),
            annotators=None if found["annotators"] is None else File(**found["annotators"]),
            parts=tuple(_part(part) for part in found["parts"]),
            sets=None if found.get("sets") is None else tuple(found["sets"]),
            set_of=schema_of(found["set_of"])["label"] if found.get("set_of") else None,
            past=tuple(_past(past) for past in found.get("past", ())),
        )

    @property
    def files(self) -> Iterator[File]:
        """All data files."""
        if self.annotators is not None:
            yield self.annotators
        for part in self.parts:
            if part is not None:
                yield part.annotations
                yield part.examples

    def fingerprints(self, annotators: pl.Series) -> dict[int, str]:
        """Of each partition that there is: what it holds, and what its codes mean.

        Annotators that the store came to know later do not change it.
        """
        parts = {i: part for i, part in enumerate(self.parts) if part is not None}
        known = {
            i: len(annotators) if part.annotators is None else part.annotators
            for i, part in parts.items()
        }
        names = _names_of_first(annotators, set(known.values()))
        classes = digest(schema_text(self.schema), self.classes, self.set_of and str(self.set_of))
        return {
            i: digest(part.annotations.checksum, part.examples.checksum, classes, names[known[i]])
            for i, part in parts.items()
        }

    def with_parts(self, parts: dict[int, Part], annotators: File) -> Manifest:
        """The next generation, with these partitions instead of those there were."""
        merged = tuple(parts.get(i, part) for i, part in enumerate(self.parts))
        after = replace(self, parts=merged, annotators=annotators, generation=self.generation + 1)
        if self.annotators is None:
            return after
        taken = {file.name for file in after.files}
        gone = tuple(file.name for file in self.files if file.name not in taken)
        return replace(after, past=(*self.past, Past(self.generation, self.annotators.name, gone)))

    @property
    def names(self) -> Iterator[str]:
        """Of all data files, also those of generations before."""
        yield from (file.name for file in self.files)
        for past in self.past:
            yield from (past.annotators, *past.files)


def _names_of_first(annotators: pl.Series, counts: Collection[int]) -> dict[int, str]:
    """Digests of the first so many annotators."""
    hashed, start, names = hashlib.blake2b(digest_size=16), 0, {}
    for n in sorted(counts):
        hashed.update("".join(f"{name!r}\n" for name in annotators[start:n]).encode())
        names[n], start = hashed.hexdigest(), n
    return names


def _part(found: dict[str, Any] | None) -> Part | None:
    if found is None:
        return None
    files = File(**found["annotations"]), File(**found["examples"])
    return Part(*files, found["annotated"], found.get("annotators"))


def _past(found: dict[str, Any]) -> Past:
    return Past(found["generation"], found["annotators"], tuple(found["files"]))


def schema_text(schema: pl.Schema) -> str:
    """A schema as text: an empty Arrow file, so that every type survives."""
    buffer = io.BytesIO()
    pl.DataFrame(schema=schema).write_ipc(buffer)
    return base64.b64encode(buffer.getvalue()).decode()


def schema_of(text: str) -> pl.Schema:
    return pl.read_ipc(io.BytesIO(base64.b64decode(text))).schema


# --- reading and writing ---------------------------------------------------------------------------


def read_manifest(store: Path) -> Manifest:
    """The manifest of a store; an error if there is none, it is damaged, or a newer version wrote it."""
    path = store / MANIFEST
    if not path.exists():
        raise StoreError(
            f"{store} is no annotation store: it has no {MANIFEST}.",
            Advice(
                "Make one",
                python="pc.AnnotationStore.create(path, log)",
                command="polars-crowd store create STORE LOG",
            ),
        )
    found = _checked_json(path)
    try:
        manifest = Manifest.from_json(found)
        strange = [name for name in manifest.names if not NAME.fullmatch(name)]
    except (KeyError, TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from error
    if strange:
        raise StoreError(
            f"{path} names {strange[0]!r}, which is no file of a store. Somebody changed it.",
            "Restore it from a backup, or make the store anew from the log.",
        )
    return manifest


def _checked_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        written = int(found["store"]["format"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, str(error)) from error
    if written > FORMAT:
        raise StoreError(
            f"{path}: the store is of format {written}, this version knows up to {FORMAT}. "
            "Update polars_crowd."
        )
    if seal(found["store"]) != found.get(SEAL):
        raise _damaged(path, "its checksum does not fit")
    store: dict[str, Any] = found["store"]
    return store


def _damaged(path: Path, why: str) -> StoreError:
    return StoreError(
        f"{path} is damaged ({why}). The data files beside it are whole; restore the manifest from a "
        "backup, or make the store anew from the log."
    )


def write_manifest(store: Path, manifest: Manifest) -> None:
    """Replace the manifest: from then on the store is this one."""
    described = json.loads(json.dumps(manifest.described()))
    text = json.dumps({"store": described, SEAL: seal(described)}, indent=1)
    write_whole(store / MANIFEST, lambda path: path.write_text(text, encoding="utf-8"))
