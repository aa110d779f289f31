"""Ids as integers: in the order of Python's strings, and the same ids back."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from polars_crowd.runs import examples
from polars_crowd.runs.examples import dense_codes, example_codes
from polars_crowd.runs.order import sorted_order

BITS = 40
BEGINNINGS = st.sampled_from(["", "e", "item-", "https://", "x" * 8, "é" * 4, "y" * 21])
MIDDLES = st.sampled_from(["", "/crowd/batch/2024/images/", "\0" * 8, "m" * 16])
"""What several ids share inside, a whole number of words among them."""
CHARACTERS = st.sampled_from(["ab\0", "01", "0123456789", "éa\U0001f600\ud7ff\ue000", "-+ 7"])


def some(characters: str) -> st.SearchStrategy[str]:
    """Texts that end around the ends of words."""
    sizes = st.sampled_from([0, 1, 2, 3, 7, 8, 9, 16, 17])
    return sizes.flatmap(lambda n: st.text(characters, min_size=n, max_size=n))


IDS = st.tuples(BEGINNINGS, MIDDLES, CHARACTERS).flatmap(
    lambda of: st.lists(
        st.tuples(some(of[2]), some(of[2])).map(lambda ends: of[0] + ends[0] + of[1] + ends[1]),
        min_size=1,
        max_size=40,
    )
)
UUIDS = st.lists(st.uuids().map(str), min_size=1)
LIKE_UUIDS = st.lists(
    st.integers(0, 999).map(lambda i: str(UUID(int=i << 40 | 7))), min_size=1, max_size=30
)
ANY = st.one_of(IDS, UUIDS, LIKE_UUIDS, st.lists(st.text(), min_size=1))


@given(ANY)
@example(["a", "a\0", "a\0\0", ""])
@example(["a" * n for n in range(30)])
@example([f"{i % 3}{'=' * 50}{i:05}" for i in range(999)])
def test_distinct_texts_are_in_the_order_of_pythons(ids: list[str]) -> None:
    names = pl.Series(list(dict.fromkeys(ids)))
    assert names.gather(sorted_order(names)).to_list() == sorted(set(ids))


def test_many_ties_at_every_word() -> None:
    """More runs than are looked at for what their texts share, each tied again."""
    names = pl.Series([f"{i % 700:08}{'-' * 12}{i // 700:09}" for i in range(3000)]).shuffle(1)
    assert names.gather(sorted_order(names)).equals(names.sort())


@given(ANY)
@settings(max_examples=50)
def test_codes_are_in_the_order_of_ids_and_lead_back(ids: list[str]) -> None:
    given_ = pl.Series(ids)
    coded = example_codes(given_, BITS)
    codes = coded.values.cast(pl.Int64) - coded.first
    assert codes.is_between(0, (1 << BITS) - 1).all()
    assert coded.decode(codes.cast(pl.UInt64)).to_list() == ids
    in_order = pl.DataFrame({"id": given_, "code": codes}).unique().sort("code")
    assert in_order["id"].to_list() == sorted(set(ids))


COLLISIONS: dict[str, Callable[[pl.Series], pl.Series]] = {
    "all": lambda ids: pl.zeros(len(ids), pl.UInt64, eager=True),
    "pairs": lambda ids: ids.rank("dense").cast(pl.UInt64) // 2,
}


@pytest.mark.parametrize("collide", COLLISIONS.values(), ids=COLLISIONS)
def test_ids_that_share_a_hash_are_told_apart(
    collide: Callable[[pl.Series], pl.Series], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examples, "_hash", collide)
    ids = pl.Series(["b", "a", "c", "a", "ab", "b"])
    codes, names = dense_codes(ids)
    assert names.to_list() == ["a", "ab", "b", "c"]
    assert codes.to_list() == [2, 0, 3, 0, 1, 2]
