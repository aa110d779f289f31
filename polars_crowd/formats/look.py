"""What a file looks like: by that, not by its name, the tool is known that wrote it."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice, takewhile
from pathlib import Path
from typing import Any, Literal

import polars as pl

from polars_crowd.errors import Advice, Advised, AnnotationError, counted, shown
from polars_crowd.formats.answers import blank_as_null
from polars_crowd.formats.records import (
    BLANK,
    CHUNK,
    UNSHAPED,
    Records,
    as_lines,
    elements,
    full_lines,
    is_gzip,
    objects,
    open_text,
)
from polars_crowd.formats.zips import Zip
from polars_crowd.inputs.blame import first_line, unreadable

Shape = Literal["array", "object", "lines", "table", "zip", "directory"]
READERS: dict[bytes, Callable[..., pl.LazyFrame]] = {b"PAR1": pl.scan_parquet, b"ARRO": pl.scan_ipc}
SEPARATORS = ",\t;"
HEAD = 1 << 20
"""Bytes of a table in which its header ends."""
PAGE, OF_PAGE = {"data"}, ("meta", "next_cursor")
"""The keys of a page of records."""
BLANK_LINES = re.compile(r"\A[ \r\n]*[\r\n]")
LOOKED_AT = 20
"""Records that are looked at: a key that a record does not have may be left out of it."""
FIRST_ROWS = 100
"""Rows of a table whose cells are looked at."""


@dataclass(frozen=True)
class Look:
    """What is seen of a file before it is read."""

    path: Path
    kind: Shape
    """How the file is built: a JSON array, object, or lines; a table; a zip; a directory."""
    keys: frozenset[str] = frozenset()
    """The keys of the first records, or the columns."""
    first: dict[str, Any] = field(default_factory=dict)
    """The first record of JSON: all of it if that is one object."""
    names: tuple[str, ...] = ()
    """The files in a zip or a directory."""
    made: bytes | None = None
    """The records as lines, where the file holds pages of them."""
    schema: pl.Schema = field(default_factory=pl.Schema)
    """The types of a table's columns, where the file says them."""

    @classmethod
    def at(cls, path: Any) -> Look:
        """A look at a file or a directory.

        Raises
        ------
        AnnotationError
            It is neither JSON nor a table nor a zip, or damaged.
        """
        if isinstance(path, Look):
            return path
        place = Path(path).absolute()
        if not place.exists():
            raise FileNotFoundError(f"no file at {str(path)!r}.")
        if place.is_dir():
            names = tuple(file.relative_to(place).as_posix() for file in files_in(place))
            return cls(place, "directory", names=names)
        try:
            return _of_file(place)
        except Advised:
            raise
        except UnicodeDecodeError as error:
            raise AnnotationError(f"{path} is no text in UTF-8: {error}.") from error
        except (*UNSHAPED, csv.Error) as error:
            raise unreadable(str(path), first_line(error)) from error

    def __fspath__(self) -> str:
        return str(self.path)

    __str__ = __fspath__

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to see."""
        return not self.keys and not self.names

    def has(self, *keys: str) -> bool:
        """Whether the first records have all these keys."""
        return set(keys) <= self.keys

    def table(self) -> pl.LazyFrame:
        """A table, all its cells as text; of a file that says types, with its own."""
        self.check_end()
        return self._rows()

    @cached_property
    def first_rows(self) -> pl.DataFrame:
        """How a table begins; how the file ends does not matter."""
        return self._rows().head(FIRST_ROWS).collect()

    def _rows(self) -> pl.LazyFrame:
        if self.schema:
            return READERS[_start(self.path)](self.path, glob=False)
        text = pl.scan_csv(
            self.path,
            separator=self.separator,
            infer_schema=False,
            glob=False,
            skip_lines=_num_blank(self.path),
        )
        is_row = pl.any_horizontal(pl.all().is_not_null())
        return text.with_columns(blank_as_null(pl.all())).filter(is_row)

    def check_end(self) -> None:
        """A last row of text that alone ends before its last cell is one that was cut off."""
        if self.schema:
            return
        width = len(self.keys)
        *others, last = [width, *_last_widths(self.path, self.separator)]
        if last < width and min(others) >= width:
            raise AnnotationError(
                f"{self}: the last row has {counted(last, 'cell')}, the header {width}.",
                "Export the file anew: it may have been cut short.",
            )

    @cached_property
    def separator(self) -> str:
        """What stands between the cells of a table of text."""
        return _separator(_head(self.path))

    def records(self, schema: Mapping[str, Any]) -> Records:
        """The records of JSON, or the rows of a table as such."""
        if self.kind != "table":
            return Records(self.path, schema, made=self.made)
        rows = self.table().select(name for name in schema if name in self.keys)
        numbers = pl.col(pl.Float32, pl.Float64).fill_nan(None)
        lines = (
            json.dumps(row, default=str) + "\n"
            for row in _records_of(rows.with_columns(numbers).collect(), schema)
        )
        return Records(self.path, schema, made="".join(lines).encode())

    @cached_property
    def inner(self) -> Look | None:
        """A look at the first file of a directory."""
        if self.kind != "directory" or not self.names:
            return None
        try:
            return Look.at(self.path / self.names[0])
        except AnnotationError:
            return None

    @property
    def is_parquet(self) -> bool:
        return self.kind == "table" and _start(self.path) == b"PAR1"

    def seems(self, is_like: Callable[[Look], bool]) -> bool:
        """Whether it is like something, which it is not if that cannot even be looked at."""
        try:
            return is_like(self)
        except UNSHAPED:
            return False

    def check(self, title: str, is_like: Callable[[Look], bool]) -> None:
        """It must be an export of a tool.

        Raises
        ------
        AnnotationError
            It is of another.
        """
        if self.is_empty or not self.seems(is_like):
            raise AnnotationError(
                f"{self} does not look like an export of {title}: it is {self.seen()}.",
                Advice(
                    "Let the tool be found out",
                    python="pc.formats.read(path)",
                    command="without --export",
                ),
            )

    def seen(self) -> str:
        """What is seen, for an error."""
        if self.names:
            return f"{self.kind} of {shown(list(self.names))}"
        what = {"table": "a table with the columns", "lines": "JSON lines with the keys"}
        return f"{what.get(self.kind, f'a JSON {self.kind} with the keys')} {shown(sorted(self.keys), 20)}"


@dataclass(frozen=True)
class Format:
    """An export that can be read."""

    name: str
    """As `format=` has it."""
    title: str
    """As the tool calls itself."""
    is_like: Callable[[Look], bool]
    """Whether a file looks like it."""
    read: Callable[..., Any]
    is_plain: bool = False
    """Whether it is no tool's own, and only looked for where none is found."""

    def are(self, looks: Iterable[Look]) -> bool:
        """Whether all files look like it."""
        return all(look.seems(self.is_like) for look in looks)


FORMATS: dict[str, Format] = {}
"""The formats by name, of which each module of a tool adds its own."""


def anything(look: Look) -> bool:
    """What files are like of a format that has no marks of its own."""
    return True


def tables(look: Look, *keys: str) -> pl.LazyFrame:
    """The table of a file, or those with some columns of all files of a directory, one after another."""
    if look.kind != "directory":
        return look.table()
    inside = [Look.at(look.path / name) for name in look.names]
    found = [one.table() for one in inside if one.kind == "table" and one.has(*keys)]
    return pl.concat(found, how="diagonal")


def files_in(directory: Path) -> Iterable[Path]:
    """All files below a directory that are not hidden, in the order of their names."""
    every = (p for p in sorted(directory.rglob("*")) if p.is_file())
    return [
        p
        for p in every
        if not any(part.startswith((".", "__")) for part in p.relative_to(directory).parts)
    ]


def object_in(path: Path) -> dict[str, Any]:
    """The JSON object that a file holds.

    Raises
    ------
    AnnotationError
        It holds none.
    """
    with open_text(path) as file:
        try:
            found = json.load(file)
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise AnnotationError(f"{path} is no JSON: {error}.") from error
    if not isinstance(found, dict):
        raise AnnotationError(f"{path} holds no JSON object, but {type(found).__name__}.")
    return found


def _of_file(path: Path) -> Look:
    start = _start(path)
    if start in READERS:
        schema = READERS[start](path, glob=False).collect_schema()
        return Look(path, "table", frozenset(schema), schema=schema)
    if start == b"PK\x03\x04":
        return Look(path, "zip", names=tuple(Zip(path).names))
    return _of_text(path)


def _of_text(path: Path) -> Look:
    head = _head(path)
    text = head.lstrip(BLANK)
    if text.startswith("["):
        found = _until_broken(value for _, value in elements(path))
        return Look(path, "array", *_keys_of(islice(found, LOOKED_AT)))
    if text.startswith("{"):
        lines = list(islice(full_lines(path), LOOKED_AT))
        kind: Shape = "lines" if len(lines) > 1 else "object"
        try:
            records = [*_until_broken(map(json.loads, lines))]
        except json.JSONDecodeError:
            kind, records = "object", [object_in(path)]
        return _unpaged(Look(path, kind, *_keys_of(records)))
    header = next(csv.reader(io.StringIO(head, newline=""), delimiter=_separator(head)), [])
    return Look(path, "table", frozenset(header))


def _unpaged(look: Look) -> Look:
    """A look at the records in pages, as interfaces of tools give them: `{"data": [...], "meta": {...}}`."""
    if not PAGE <= look.keys <= {*PAGE, *OF_PAGE} or not isinstance(look.first["data"], list):
        return look
    pages = [look.first] if look.kind == "object" else objects(look.path)
    records = [record for page in pages for record in page["data"]]
    keys, first = _keys_of(records)
    return replace(look, kind="array", keys=keys, first=first, made=as_lines(records))


def _records_of(rows: pl.DataFrame, schema: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Rows as records; cells of text that stand for something else are read as JSON."""
    written = [
        name
        for name in rows.columns
        if rows.schema[name] == pl.String and schema[name] != pl.String
    ]
    for row in rows.iter_rows(named=True):
        for name in written:
            row[name] = None if row[name] is None else _value(row[name])
        yield row


def _value(cell: str) -> Any:
    """What a cell of text stands for: a truth value, a number, or JSON."""
    return json.loads(cell.lower() if cell in ("True", "False") else cell)


def _until_broken(records: Iterator[Any]) -> Iterator[Any]:
    """Records up to the first that is broken, unless that is the first of all."""
    yield next(records, None)
    with suppress(AnnotationError, json.JSONDecodeError):
        yield from records


def _keys_of(records: Iterable[Any]) -> tuple[frozenset[str], dict[str, Any]]:
    """All keys of records, and the first of these."""
    found = [record for record in records if isinstance(record, dict)]
    return frozenset(key for record in found for key in record), found[0] if found else {}


def _head(path: Path) -> str:
    """How a table begins, from its header on."""
    with open_text(path) as file:
        return BLANK_LINES.sub("", file.read(HEAD), count=1)


def _num_blank(path: Path) -> int:
    """How many blank lines stand before the header; a tab stands between cells."""
    with open_text(path) as file:
        return sum(1 for _ in takewhile(lambda line: not line.strip(" \r\n"), file))


def _start(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(4)


def split(look: Look) -> tuple[list[str], list[str]]:
    """What stands before the records of a file, and these, each as it is written; of an array as lines."""
    if look.kind == "array":
        return [], [text.replace("\n", " ") for text, _ in elements(look.path)]
    if look.kind == "lines":
        return [], [line.strip() for line in full_lines(look.path)]
    with open_text(look.path) as file:
        cells = csv.reader(file, delimiter=look.separator)
        rows = [_as_row(row, look.separator) for row in cells if row]
    return rows[:1], rows[1:]


def _as_row(cells: list[str], separator: str) -> str:
    made = io.StringIO()
    csv.writer(made, delimiter=separator, lineterminator="\n").writerow(cells)
    return made.getvalue().removesuffix("\n")


def _last_widths(path: Path, separator: str) -> list[int]:
    """How many cells the rows of a small file have; of a large one the last lines, those that quote nothing.

    Nothing where a cell is too long for such a look.
    """
    size = path.stat().st_size
    if size <= CHUNK:
        with open_text(path) as file, suppress(csv.Error):
            return [len(row) for row in csv.reader(file, delimiter=separator) if row]
        return []
    if is_gzip(path):
        return []
    with open(path, "rb") as packed:
        packed.seek(size - HEAD)
        lines = packed.read().decode("utf-8", "replace").splitlines()[1:]
    return [line.count(separator) + 1 for line in lines if line.strip() and '"' not in line]


def _separator(head: str) -> str:
    """What stands most often between the names of the header."""
    return max(SEPARATORS, key=head.partition("\n")[0].count)
