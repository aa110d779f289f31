"""Errors while rows stream into a store: the disk's, or those of one file among many, by its name."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from polars_crowd.errors import StoreError
from polars_crowd.inputs.blame import bad_file, first_line, unreadable

DISK = (errno.ENOSPC, errno.EFBIG, errno.EROFS, errno.EDQUOT)
"""What the system says when nothing more can be written."""


@contextmanager
def streaming(store: Path, *sources: Any) -> Iterator[None]:
    """Names the store in errors of the disk, and the file in errors of the sources."""
    try:
        yield
    except (OSError, pl.exceptions.PolarsError) as error:
        if is_of_disk(error):
            raise StoreError(
                f"cannot write {store}: {first_line(error)}. Nothing was changed; make room, or choose "
                "another directory."
            ) from error
        found = bad_file(sources)
        if found is None:
            raise
        raise unreadable(*found) from error


def is_of_disk(error: Exception) -> bool:
    """Whether nothing more can be written; Polars tells the system's number in the text only."""
    code = getattr(error, "errno", None) or re.search(r"\(os error (\d+)\)", str(error))
    return (int(code[1]) if isinstance(code, re.Match) else code) in DISK
