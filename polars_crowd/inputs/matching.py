"""Ids of two tables: which are the same, where their types differ, and how many match nothing.

Two ids are the same if they are written the same: the integer 7 and the text `7`, not the text `007`. An id
that the other type cannot hold is none of the other table's. Since a value of a type is written in one way
only, no two ids of a table fall together.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from polars_crowd.compatible import engine_for
from polars_crowd.errors import Advice, AnnotationError, counted, shown, warn
from polars_crowd.inputs.parts import is_text, written_as_integer

FEW = 1_000
"""Ids that are compared first."""


def ids_like(column: str, given: pl.DataType, dtype: pl.DataType, what: str) -> pl.Expr:
    """A column of ids in the type of another table's, null where that cannot hold them.

    Raises
    ------
    AnnotationError
        Ids of these types are not written alike: lists, say.
    """
    ids, text = pl.col(column), written(column, given)
    if given == dtype:
        return ids
    if (given.is_integer() and dtype.is_integer()) or (given.is_temporal() and dtype.is_temporal()):
        return ids.cast(dtype, strict=False)
    if is_text(dtype):
        return text.cast(dtype, strict=False)
    if dtype.is_integer():
        return pl.when(written_as_integer(text)).then(text.cast(dtype, strict=False))
    if dtype == pl.Boolean:
        return text.replace_strict({"true": True, "false": False}, default=None)
    if isinstance(dtype, (pl.Date, pl.Datetime)) and is_text(given):
        value = text.str.strptime(dtype, strict=False)
        return pl.when(value.cast(pl.String) == text).then(value)
    raise AnnotationError(
        f"column {column!r} is {dtype} in the log but {given} in {what}.",
        Advice(
            f"Give both one type, so that the same {column} has the same id in both",
            python=f"pl.col({column!r}).cast(...)",
            command="Parquet files keep the types of their columns",
        ),
    )


def written(column: str, dtype: pl.DataType) -> pl.Expr:
    """Ids as they are written; a float that is whole without its `.0`, as of integers beside NaN.

    >>> ids = pl.DataFrame({"example": [7.0, 7.5]})
    >>> ids.select(written("example", pl.Float64()))["example"].to_list()
    ['7', '7.5']

    Raises
    ------
    AnnotationError
        They are lists.
    """
    ids = pl.col(column)
    if isinstance(dtype, (pl.List, pl.Array)):
        raise AnnotationError(f"column {column!r} is {dtype}; ids and labels are single values.")
    if not dtype.is_float():
        return ids.cast(pl.String)
    whole = ids.cast(pl.Int64, strict=False)
    return pl.when(whole == ids).then(whole.cast(pl.String)).otherwise(ids.cast(pl.String))


@dataclass(frozen=True)
class Match:
    """The ids of a table, beside those of the log."""

    ids: pl.Series
    """In the log's type; null where there is no such id in the log."""
    unmatched: pl.Series
    """The different ids that are not in the log, as they were given."""

    def say(self, what: str, kind: str = "example", of: str = "the log") -> None:
        """A warning that says how many match nothing, if some do not."""
        if len(self.unmatched):
            warn(
                f"{what}: {counted(len(self.unmatched), kind)} of {len(self.ids):,} rows match none of "
                f"{of} and have no effect: {shown(self.unmatched.to_list())}."
            )


def match_ids(
    given: pl.Series, known: pl.Series, what: str, kind: str = "example", of: str = "the log"
) -> Match:
    """Which of the given ids are among those known from the log, or from something else (`of`).

    Raises
    ------
    AnnotationError
        Not a single one is, though there are some of both.
    """
    frame = given.alias(kind).to_frame()
    ids = frame.select(ids_like(kind, given.dtype, known.dtype, what)).to_series()
    found = ids.is_in(known.unique().implode()).fill_null(False)
    unmatched = given.filter(~found & given.is_not_null()).unique(maintain_order=True)
    if not found.any() and len(unmatched) and len(known):
        raise no_match(unmatched, known, what, kind, of)
    return Match(ids.set(~found, None), unmatched)


def no_match(
    given: pl.Series, known: pl.Series, what: str, kind: str = "example", of: str = "the log"
) -> AnnotationError:
    """The error for a table without a single id of the log."""
    count = given.drop_nulls().n_unique()
    return AnnotationError(
        f"{what}: none of its {counted(count, kind)} is in {of}.",
        both_sides(given, known, what, kind, of),
    )


def both_sides(
    given: pl.Series, known: pl.Series, what: str, kind: str = "example", of: str = "the log"
) -> str:
    """What ids of two tables look like that have none in common, and what to do."""
    theirs, ours = (
        ids.drop_nulls().unique(maintain_order=True).alias("id") for ids in (given, known)
    )
    alike = _alike(theirs, ours)
    advice = (
        f"They are the same but for case, surrounding space or leading zeros, as {alike[0]!r} and "
        f"{alike[1]!r} are: make them alike."
        if alike
        else f"Say which column holds the {kind}s, or give them the ids of {of}."
    )
    return f"In {what}: {shown(theirs.to_list())}; in {of}: {shown(ours.to_list())}. {advice}"


def _plain(ids: pl.Expr) -> pl.Expr:
    """Ids in small letters without surrounding space and leading zeros."""
    return ids.str.strip_chars().str.to_lowercase().str.strip_chars_start("0")


def _alike(theirs: pl.Series, ours: pl.Series) -> tuple[str, str] | None:
    """A pair of ids that are the same but for what `_plain` leaves out."""
    plain = [
        ids.to_frame().select(id=written("id", ids.dtype), plain=_plain(written("id", ids.dtype)))
        for ids in (theirs, ours)
    ]
    pairs = plain[0].join(plain[1], on="plain", maintain_order="left").head(1)
    return None if pairs.is_empty() else (pairs["id"].item(), pairs["id_right"].item())


# --- ids in memory ---------------------------------------------------------------------------------


def hashes(ids: pl.Series) -> pl.Series:
    """A hash of each id, the same while this process runs: two ids may share one."""
    rows = ids.alias("id").to_frame().lazy().select(hash=pl.col("id").hash())
    return rows.collect(engine=engine_for(len(ids)))["hash"]


def are_at(ids: pl.Series, at: pl.Series, wanted: pl.Series) -> bool:
    """Whether the wanted ids are the ones at these places; a place that is null says nothing."""
    rows = pl.LazyFrame({"at": at, "id": wanted})
    same = (pl.lit(ids).gather("at") == pl.col("id")).all()
    return bool(rows.select(same).collect(engine=engine_for(len(at))).item())


def are_equal(ids: pl.Series, others: pl.Series) -> bool:
    """Whether these are the same ids, in the same order. Others differ at the beginning, most of them."""
    if len(ids) != len(others):
        return False
    return all(bool((ids.head(n) == others.head(n)).all()) for n in (FEW, len(ids)))
