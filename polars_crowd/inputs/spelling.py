"""Spellings of one value: the same text but for case, space and Unicode form."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Literal, get_args

import polars as pl

from polars_crowd.compatible import Engine, engine_for
from polars_crowd.errors import OptionError, shown
from polars_crowd.inputs.anonymous import is_anonymous
from polars_crowd.inputs.parts import is_text
from polars_crowd.option_checks import check_list

Way = Literal["strip", "case", "unicode"]
WAYS: tuple[Way, ...] = get_args(Way)


def normalized(rows: pl.LazyFrame, columns: Sequence[str], ways: Any) -> pl.LazyFrame:
    """The rows with these columns, where they are text, in one spelling; categories become text.

    Raises
    ------
    OptionError
        There is no such way, or none of the columns is text.
    """
    ways = check_ways(ways)
    schema = rows.collect_schema()
    texts = [column for column in columns if _is_spelled(schema[column])]
    if ways and not texts:
        wrong = (
            "it has no effect: neither ids nor labels are text (the categories of an Enum stay)."
        )
        raise OptionError("normalize", list(ways), wrong)
    return rows.with_columns(spelled(pl.col(texts).cast(pl.String), ways)) if ways else rows


def _is_spelled(dtype: pl.DataType) -> bool:
    """Whether values of this type are texts that somebody wrote."""
    return dtype == pl.String or (isinstance(dtype, pl.Categorical) and not is_anonymous(dtype))


def check_ways(ways: Any) -> tuple[Way, ...]:
    """Those that are asked for, each known."""
    ways = (ways,) if isinstance(ways, str) else ways
    check_list("normalize", ways)
    given = tuple(ways)
    if any(way not in WAYS for way in given):
        wrong = f"it must be a list of some of {shown(list(WAYS))}."
        raise OptionError("normalize", list(given), wrong)
    return given


def spelled(text: pl.Expr, ways: Collection[Way] = WAYS) -> pl.Expr:
    r"""A text in the spelling that all of its kind have.

    `"unicode"`: in Unicode's composed form, NFC. `"case"`: in lower case. `"strip"`: without space around it,
    and one space where there are several or others inside; what is blank is null.

    >>> texts = pl.Series(["Yes", " yes ", "not\u00a0 Sure", " ", "cafe\u0301"])
    >>> pl.select(spelled(pl.lit(texts))).to_series().to_list()
    ['yes', 'yes', 'not sure', None, 'café']
    """
    if "unicode" in ways:
        text = text.str.normalize("NFC")
    if "case" in ways:
        text = text.str.to_lowercase()
    if "strip" in ways:
        text = text.str.replace_all(r"\s+", " ").str.strip_chars()
        text = pl.when(text != "").then(text)
    return text


def alike(values: pl.Series) -> list[list[str]]:
    """The values of a text column that are spellings of one, together; `values` are distinct.

    >>> alike(pl.Series(["no", "Yes", "yes", "YES ", "maybe"]))
    [['YES ', 'Yes', 'yes']]
    """
    if not is_text(values.dtype) or is_anonymous(values.dtype):
        return []
    texts = values.cast(pl.String).drop_nulls().alias("text").to_frame().lazy()
    engine = engine_for(len(values))
    ways = _ways_that_differ(texts, engine)
    # what is plain is cheap: most ids differ in no way but case
    keys = texts.with_columns(key=spelled(pl.col("text"), ways).fill_null("")).collect(
        engine=engine
    )
    if keys["key"].n_unique() == keys.height:
        return []
    groups = keys.group_by("key").agg(pl.col("text").sort()).filter(pl.col("text").list.len() > 1)
    return groups.sort("key")["text"].to_list()


def _ways_that_differ(texts: pl.LazyFrame, engine: Engine) -> list[Way]:
    """The ways in which the values may be spelled otherwise at all."""
    text = pl.col("text")
    found = texts.select(
        strip=text.str.contains(r"\s").any(),
        case=pl.lit(value=True),
        unicode=(text.str.len_bytes() != text.str.len_chars()).any(),
    )
    differ = found.collect(engine=engine).row(0, named=True)
    return [way for way in WAYS if differ[way]]
