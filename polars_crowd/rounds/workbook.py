"""Tables as the sheets of a workbook, or a refusal that says what does not fit into one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from polars_crowd.errors import Advice, AnnotationError, PackageError, counted, shown
from polars_crowd.inputs.parts import is_text

ROWS = 1_048_575
"""Of a sheet, below its header."""
COLUMNS = 16_384
LETTERS = 32_767
"""Of a cell."""
EXACT = 2**53
"""Up to here a cell holds integers as they are."""
UNFIT = r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]"
"""Characters that XML cannot hold."""
SETTINGS = {
    "strings_to_formulas": False,
    "strings_to_numbers": False,
    "strings_to_urls": False,
    "nan_inf_to_errors": True,
    "remove_timezone": True,
}
PARQUET = Advice("Write another format", "format='parquet'", "--out-format parquet")


def import_xlsxwriter() -> Any:
    try:
        import xlsxwriter
    except ImportError as error:
        raise PackageError(
            'a workbook needs xlsxwriter; install it with: pip install "polars-crowd[excel]"'
        ) from error
    return xlsxwriter


def write_workbook(frames: Mapping[str, pl.LazyFrame], path: Path) -> None:
    """A sheet per table, one table in memory at a time."""
    book = import_xlsxwriter().Workbook(str(path), SETTINGS)
    for name, frame in frames.items():
        sheet = frame.head(ROWS + 1).collect()
        check_sheet(name, sheet)
        with_exact_integers(sheet).write_excel(book, worksheet=name)
    book.close()


def check_sheet(name: str, sheet: pl.DataFrame) -> None:
    """Refuse what a sheet cannot hold.

    Raises
    ------
    AnnotationError
        Too many rows or columns, control characters, texts that are too long, columns whose names differ in
        case only.
    """
    if sheet.height > ROWS:
        raise AnnotationError(f"{name}: a sheet holds {ROWS:,} rows, and there are more.", PARQUET)
    if sheet.width > COLUMNS:
        raise AnnotationError(
            f"{name}: a sheet holds {COLUMNS:,} columns, and there are {sheet.width:,}.", PARQUET
        )
    folded = [column.casefold() for column in sheet.columns]
    alike = [column for column in sheet.columns if folded.count(column.casefold()) > 1]
    if alike:
        raise AnnotationError(
            f"{name}: to a workbook the columns {shown(alike)} have one name.", PARQUET
        )
    check_texts(name, pl.Series("of names", sheet.columns))
    for column in sheet:
        if is_text(column.dtype):
            check_texts(name, column.cast(pl.String))


def check_texts(name: str, texts: pl.Series) -> None:
    for what, unfit in (
        ("control characters", texts.str.contains(UNFIT)),
        (f"more than {LETTERS:,} characters", texts.str.len_chars() > LETTERS),
    ):
        bad = texts.filter(unfit)
        if len(bad):
            values = bad.str.slice(0, 40).to_list()
            raise AnnotationError(
                f"{name}, column {texts.name!r}: {counted(len(bad), 'value')} with {what}, which a cell of "
                f"a workbook cannot hold: {shown(values)}.",
                PARQUET,
            )


def with_exact_integers(sheet: pl.DataFrame) -> pl.DataFrame:
    """The sheet with integers that a cell would round as text."""
    large = [
        column.name
        for column in sheet
        if column.dtype.is_integer() and (column.cast(pl.Int128).abs() > EXACT).any()
    ]
    return sheet.with_columns(pl.col(large).cast(pl.String))
