"""`-` for a file: standard input, kept in a file of its own, since a log is read several times."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import typer

from polars_crowd.inputs.streams import COMPRESSED, readable, spooled

InputFormat = Literal["csv", "tsv", "jsonl", "json", "parquet", "arrow", "xlsx"]
SOURCES = ("log", "pred_probs", "truth", "gold", "exclude")
"""Options that name files."""
BEGINNINGS = {
    b"PAR1": ".parquet",
    b"ARROW1": ".arrow",
    b"PK\x03\x04": ".xlsx",
    b"\x1f\x8b": ".gz",
    b"\x28\xb5\x2f\xfd": ".zst",
    b"{": ".jsonl",
    b"[": ".json",
}
"""What files begin with."""
STANDARD: dict[str, str] = {}
"""What errors call the files that are kept."""


def with_stdin(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that name files, with a file in the place of `-`."""
    given = {name: options[name] for name in SOURCES if options.get(name)}
    dashes = sum(_listed(value).count("-") for value in given.values())
    kind: InputFormat | None = options.get("input_format")
    if kind and not dashes:
        raise typer.BadParameter("--input-format: only with - for a file.")
    if dashes > 1:
        raise typer.BadParameter("-: standard input can be one file only.")
    path = _kept(kind) if dashes else ""
    return {name: _replaced(value, path) for name, value in given.items()}


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _replaced(value: Any, path: str) -> Any:
    if isinstance(value, str):
        return path if value == "-" else value
    return [_replaced(one, path) for one in value]


def _kept(kind: InputFormat | None) -> str:
    """What comes through standard input, in a file with the ending of its format."""
    copy = Path(spooled(sys.stdin.buffer, ""))
    begins = _ending(copy)
    packed = begins if begins in COMPRESSED else ""
    copy = copy.rename(f"{copy}{packed}")  # now it is read decompressed
    ending = f".{kind}" if kind else _ending(copy)
    path = str(copy.rename(f"{str(copy).removesuffix(packed)}{ending}{packed}"))
    STANDARD[path] = "standard input"
    return path


def _ending(path: Path) -> str:
    """The ending that tells the format of a file by what it begins with; text without braces is CSV."""
    with readable(str(path), "standard input") as stream:
        begins = stream.read(1 << 10).lstrip(b"\xef\xbb\xbf \t\r\n")
    return next((end for mark, end in BEGINNINGS.items() if begins.startswith(mark)), ".csv")
