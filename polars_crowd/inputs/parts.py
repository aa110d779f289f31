"""What a source consists of: parts, each with its columns, whose types are settled by one rule for all.

Text files say nothing about types, and JSON says it of each value alone. So a part tells of such a column
what its values look like, and is read with the types that suit all parts of a source together: Int64 if every
value is written as that integer is printed, and text otherwise. `007`, `+1`, `3.0` or an id of 21 digits stay
what they are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from json import JSONDecoder

import polars as pl
import pyarrow as pa

from polars_crowd.errors import Advice, AnnotationError, OptionError, shown
from polars_crowd.inputs.blame import named_twice
from polars_crowd.inputs.records import INTEGER, is_integer
from polars_crowd.inputs.streams import readable
from polars_crowd.inputs.text import SAMPLE, Reading, TextFile, checked_names, scan_text

Dtypes = Mapping[str, pl.DataType]


@dataclass(frozen=True)
class Part:
    """A source, or files of a source with the same columns."""

    columns: tuple[str, ...]
    scan: Callable[[Dtypes], pl.LazyFrame]
    """Read with these types; columns that are not among `integers` have their own."""
    integers: Mapping[str, bool | None] = field(default_factory=dict)
    """Of columns whose type is to be settled: whether all values are written as integers, None if there are
    no values."""
    file: str = ""
    """What errors call it, if it is a file."""
    hints: tuple[Advice, ...] = ()
    """What may be wrong with how it is read, where its columns are not those that it should have."""
    options: frozenset[str] = frozenset()
    """The options of `Reading` that have an effect."""


def settled(
    parts: Sequence[Part], together: Collection[Collection[str]] = ()
) -> list[pl.LazyFrame]:
    """The parts, with the types that suit all of them; columns that go `together` have one type."""
    columns = {column for part in parts for column in part.integers}
    dtypes = {column: _settled_type(column, parts) for column in columns}
    for alike in together:
        if pl.String() in [dtypes.get(column) for column in alike]:
            dtypes |= {column: pl.String() for column in alike if column in dtypes}
    return [part.scan(dtypes) for part in parts]


def _settled_type(column: str, parts: Sequence[Part]) -> pl.DataType:
    """Int64 if there are values and all of them are written so; in a part with its own type, as that is."""
    seen = [part.integers[column] for part in parts if column in part.integers]
    return pl.String() if not all_integers(seen) or _is_text_in_one(column, parts) else pl.Int64()


def _is_text_in_one(column: str, parts: Sequence[Part]) -> bool:
    """Whether a part whose column has a type has it as text."""
    typed = [p for p in parts if column in p.columns and not p.integers]
    return any(is_text(part.scan({}).collect_schema()[column]) for part in typed)


def is_read_from_text(column: str, parts: Sequence[Part]) -> bool:
    """Whether the type of a column was settled here, since a file did not say it."""
    return any(column in part.integers for part in parts)


def is_text(dtype: pl.DataType) -> bool:
    """Whether values of this type are strings."""
    return dtype == pl.String or isinstance(dtype, (pl.Categorical, pl.Enum))


def is_said(column: str, dtype: pl.DataType) -> pl.Expr:
    """Whether a value is there: neither null nor NaN."""
    value = pl.col(column)
    return value.is_not_null() & value.is_not_nan() if dtype.is_float() else value.is_not_null()


def written_as_integer(text: pl.Expr) -> pl.Expr:
    """Whether a text is written as the Int64 that it names is printed.

    >>> texts = pl.Series(["7", "-7", "007", "+7", "7.0", "-0", "9" * 21])
    >>> pl.select(written_as_integer(pl.lit(texts))).to_series().to_list()
    [True, True, False, False, False, False, False]
    """
    fits = text.cast(pl.Int64, strict=False).is_not_null()
    return text.str.contains(f"^(?:{INTEGER})$") & fits


def all_integers(found: Sequence[bool | None]) -> bool | None:
    """What is true of several columns together, None of one without values.

    >>> all_integers([True, None]), all_integers([True, False]), all_integers([None])
    (True, False, None)
    """
    seen = set(found) - {None}
    return None if not seen else seen == {True}


# --- of each kind ----------------------------------------------------------------------------------


def part_of_frame(frame: pl.LazyFrame, file: str = "") -> Part:
    """A frame, or files whose columns have types."""
    try:
        columns = tuple(frame.collect_schema())
    except pl.exceptions.DuplicateError as error:
        raise named_twice(file or "a frame", error) from error
    return Part(columns, lambda dtypes: frame, file=file)


def check_fields(file: str) -> None:
    """No two columns of an Arrow file have one name."""
    if "://" not in file:
        with suppress(pa.ArrowInvalid), pa.memory_map(file) as source:  # Feather of before Arrow
            checked_names(pa.ipc.open_file(source).schema.names, file)


def part_of_text(files: Sequence[TextFile]) -> Part:
    """Text files of one kind."""
    first = files[0]
    return Part(
        first.names,
        lambda dtypes: scan_text(files, dtypes),
        {name: all_integers([file.integers(name) for file in files]) for name in first.names},
        first.file,
        first.hints,
        frozenset({"separator", "encoding", "has_header", "columns", "comment", "quote"}),
    )


def part_of_json(file: str, scan: Callable[[pl.Schema | None], pl.LazyFrame]) -> Part:
    """A file of JSON. A column of numbers and of texts is text: `7` and `"img_7"`."""
    checked_names(_first_keys(file), file)
    try:
        schema = scan(None).collect_schema()
    except pl.exceptions.PolarsError as error:
        reason = str(error).partition("\n")[0]
        raise AnnotationError(
            f"{file} is no JSON that can be read: {reason}.", Advice("Mend it, or leave it out")
        ) from error
    integers = {
        name: None if dtype == pl.Null else dtype.is_integer() and dtype != pl.Int128
        for name, dtype in schema.items()
        if dtype.is_integer() or dtype in (pl.String, pl.Null)
    }
    return Part(
        tuple(schema),
        lambda dtypes: scan(
            pl.Schema({n: dtypes[n] if n in integers else dtype for n, dtype in schema.items()})
        ),
        integers,
        file,
    )


def _first_keys(file: str) -> list[str]:
    """The keys of the first object, all of them: readers of JSON take the first of those that are equal."""
    if "://" in file:
        return []
    with readable(file, file) as stream:
        begun = stream.read(SAMPLE).decode("utf-8", errors="ignore")
    decoder = JSONDecoder(object_pairs_hook=lambda pairs: [key for key, _ in pairs])
    try:
        keys: list[str] = decoder.raw_decode(begun, begun.index("{"))[0]
    except ValueError:  # none, or one that goes on beyond this
        return []
    return keys


def part_of_excel(file: str, reading: Reading) -> Part:
    """A sheet of an Excel workbook; its cells as text, as they are shown without a format."""
    cells = _cells(file, reading)
    head = [value or "" for value in cells.row(0)] if reading.has_header else None
    numbered = [f"column_{k}" for k in range(1, cells.width + 1)]
    names = checked_names(head or reading.columns or numbered, file)
    if len(names) != cells.width:
        raise OptionError("columns", names, f"the sheet of {file} has {cells.width} columns.")
    rows = cells.slice(1 if reading.has_header else 0)
    rows = rows.rename(dict(zip(cells.columns, names, strict=True)))
    rows = rows.select(pl.when(pl.all() != "").then(pl.all()))
    rows = rows.filter(pl.any_horizontal(pl.all().is_not_null()))
    return Part(
        names,
        lambda dtypes: rows.lazy().with_columns(pl.col(n).cast(dtypes[n]) for n in names),
        {name: _series_of_integers(rows[name]) for name in names},
        file,
        options=frozenset({"has_header", "columns", "sheet"}),
    )


def _cells(file: str, reading: Reading) -> pl.DataFrame:
    sheets = _sheets(file)
    sheet = reading.sheet if reading.sheet is not None or len(sheets) > 1 else 1
    place = sheet - 1 if isinstance(sheet, int) else sheets.index(sheet) if sheet in sheets else -1
    if not 0 <= place < len(sheets):
        raise AnnotationError(
            f"{file} has the sheets {shown(sheets, 20)}.",
            Advice("Say which is to be read", python="sheet=...", command="--sheet NAME"),
        )
    cells = pl.read_excel(
        file,
        sheet_id=place + 1,
        has_header=False,
        drop_empty_cols=False,
        drop_empty_rows=False,
        raise_if_empty=False,
        read_options={"dtypes": "string"},
    )
    if cells.is_empty():
        raise AnnotationError(f"{file}: the sheet {sheets[place]!r} is empty.")
    return cells


def _sheets(file: str) -> list[str]:
    """The names of a workbook's sheets."""
    try:
        from fastexcel import FastExcelError, read_excel
    except ModuleNotFoundError:
        install = 'pip install "polars-crowd[excel]"'
        advice = Advice("Install it", python=install, command=install)
        raise AnnotationError(f"{file} is read by fastexcel, which is not here.", advice) from None
    try:
        names: list[str] = read_excel(file).sheet_names
    except FastExcelError as error:
        raise AnnotationError(
            f"{file} is no Excel workbook that can be read.", Advice("Save it again as .xlsx")
        ) from error
    return names


def _series_of_integers(values: pl.Series) -> bool | None:
    seen = values.drop_nulls().to_frame("text")
    return (
        None
        if seen.is_empty()
        else bool(seen.select(written_as_integer(pl.col("text")).all()).item())
    )


def in_directories(parts: Sequence[Part], said: Sequence[Mapping[str, str | None]]) -> list[Part]:
    """Parts with the columns that the directories of their files say."""
    keys = list(dict.fromkeys(key for values in said for key in values))
    return [
        _in_directory(part, {key: values.get(key) for key in keys})
        for part, values in zip(parts, said, strict=True)
    ]


def _in_directory(part: Part, said: Mapping[str, str | None]) -> Part:
    def scan(dtypes: Dtypes) -> pl.LazyFrame:
        values = {key: pl.lit(value, pl.String()).cast(dtypes[key]) for key, value in said.items()}
        return part.scan(dtypes).with_columns(**values)

    integers = {key: None if value is None else is_integer(value) for key, value in said.items()}
    columns = tuple(dict.fromkeys([*part.columns, *said]))
    return replace(part, columns=columns, scan=scan, integers={**part.integers, **integers})
