"""What steers a terminal, or cannot be seen, is shown escaped: in tables, errors and warnings."""

from __future__ import annotations

import re
import warnings

import polars as pl
import pytest

import polars_crowd as pc
from polars_crowd.errors import AnnotationError, OptionError
from polars_crowd.escapes import STEERING, escaped, escaped_texts
from polars_crowd.reports import table_text
from tests.cases import EVIL

LOG = pl.DataFrame(
    [
        (e, a, EVIL[(i + (i + j) % 3) % 9])
        for i, e in enumerate(EVIL)
        for j, a in enumerate(EVIL[:5])
    ],
    schema=["example", "annotator", "label"],
    orient="row",
)
PROBS = pl.DataFrame({"example": EVIL}).with_columns(pl.lit(1 / 9).alias(name) for name in EVIL)
METHODS = ["dawid_skene", "wawa", "glad", "mace"]


def assert_is_safe(text: str) -> None:
    assert re.findall(STEERING, text.replace("\n", "")) == []


@pytest.mark.filterwarnings("ignore::polars_crowd.AnnotationWarning")
@pytest.mark.parametrize("name", METHODS)
def test_a_fit_prints_ids_escaped(name: str) -> None:
    text = repr(getattr(pc, name)(LOG))
    assert_is_safe(text)
    assert r"\x1b[31mred" in text
    assert_is_safe(re.sub(r"\n", "", getattr(pc, name)(LOG)._repr_html_()))


@pytest.mark.filterwarnings("ignore::polars_crowd.AnnotationWarning")
def test_other_results_do() -> None:
    assert_is_safe(repr(pc.crowdlab(LOG, PROBS)))
    assert_is_safe(repr(pc.compare(LOG, ["wawa"], folds=0)))


@pytest.mark.parametrize("evil", EVIL)
def test_errors_do(evil: str) -> None:
    for call in (
        lambda: pc.scan_annotations(LOG, label=evil),
        lambda: pc.scan_annotations(LOG.rename({"label": evil})),
        lambda: pc.scan_annotations(evil.replace("\0", "") + ".csv"),
        lambda: pc.majority_vote(pl.concat([LOG, LOG.filter(example=evil)])).collect(),
        lambda: pc.agreement(LOG, by=evil),
        lambda: pc.agreement(LOG, level=evil),  # type: ignore[arg-type]
        lambda: pc.dawid_skene(LOG, gold=LOG.select("example", label=pl.lit(evil + evil))),
    ):
        with pytest.raises((ValueError, FileNotFoundError)) as raised:
            call()
        assert_is_safe(str(raised.value))
    error = AnnotationError(f"{evil} is wrong.", f"Mend {evil}.", source=evil, column=evil)
    assert_is_safe(str(error) + error.said("command"))
    assert_is_safe(OptionError("by", evil, f"it has {evil}.").said("command"))


def test_warnings_do() -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        pc.dawid_skene(LOG, max_iter=1)
    assert said
    assert_is_safe("".join(str(one.message) for one in said))


@pytest.mark.parametrize(
    "values",
    [
        pl.Series(EVIL, dtype=pl.Categorical),
        pl.Series(EVIL, dtype=pl.Enum(EVIL)),
        pl.Series([[one] for one in EVIL]),
        pl.Series([[[one]] for one in EVIL]),
        pl.Series([{"text": one} for one in EVIL]),
        pl.Series([[{"text": one}] for one in EVIL]),
    ],
)
def test_tables_of_any_type_do(values: pl.Series) -> None:
    frame = pl.DataFrame({"x": values}).rename({"x": EVIL[0]})
    assert_is_safe(table_text(frame))


def test_columns_whose_names_differ_in_what_is_not_seen() -> None:
    text = table_text(pl.DataFrame({"a\u200b": [1], "a\u200c": [2]}))
    assert r"a\u200b" in text
    assert r"a\u200c" in text


def test_texts_are_escaped_alike_in_columns_and_one_by_one() -> None:
    every = [chr(c) for c in (*range(0x3000), *range(0xFE00, 0x10000), 0x1F600, 0xE0041)]
    frame = pl.DataFrame({"text": every}).select(escaped_texts(pl.col("text")))
    assert frame["text"].to_list() == [escaped(one) for one in every]
    assert escaped("Zürich 日本 👍") == "Zürich 日本 👍"
    assert escaped("a\udcff") == r"a\udcff"
