"""Ids as integers: in the order of Python's strings, and the same ids back."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from polars_crowd.runs import examples
from polars_crowd.runs.examples import dense_codes, example_codes
from polars_crowd.runs.order import sorted_order

BITS = 46
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
DIGITS = st.text("0123456789", min_size=1, max_size=19) | st.sampled_from(
    ["+5", "5", "05", "-5", "", "5_0"]
)
NUMBERED = st.tuples(BEGINNINGS, st.sampled_from(["", ".png", "/x1", "a", "é", "\0"])).flatmap(
    lambda of: st.lists(
        st.tuples(DIGITS, st.sampled_from([of[1]] * 9 + ["", ".pn"])).map(
            lambda ends: of[0] + ends[0] + ends[1]
        ),
        min_size=1,
        max_size=9,
    )
)
PADDED = st.tuples(BEGINNINGS, st.sampled_from(["", ".png", "z"]), st.integers(1, 18)).flatmap(
    lambda of: st.lists(
        st.integers(0, 10 ** of[2] - 1).map(lambda i: f"{of[0]}{i:0{of[2]}}{of[1]}"),
        min_size=1,
        max_size=9,
    )
)
ANY = st.one_of(IDS, UUIDS, LIKE_UUIDS, NUMBERED, PADDED, st.lists(st.text(), min_size=1))


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


@pytest.mark.parametrize("other", ["", "same/", "same/beginning/", "same/begun/0001", "zz", "é"])
def test_one_text_that_begins_otherwise_than_those_that_were_looked_at(other: str) -> None:
    ids = [f"same/beginning/of/all/{i:05}" for i in range(1000)]
    names = pl.Series([*ids[:701], other, *ids[701:]])
    assert names.gather(sorted_order(names)).to_list() == sorted([*ids, other])


@given(ANY)
@example(["1x", "10x", "12x"])
@example(["a12345678.png", "a1.png", "a12.png", "a123456789012"])
@example(["a1", "a+1", "a01", "a2"])
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
    monkeypatch.setattr(examples, "hashes", collide)
    ids = pl.Series(["b", "a", "c", "a", "ab", "b"])
    codes, names = dense_codes(ids)
    assert names.to_list() == ["a", "ab", "b", "c"]
    assert codes.to_list() == [2, 0, 3, 0, 1, 2]


NUMBERS: dict[str, list[str]] = {
    "of several lengths": ["item-10", "item-2", "item-1", "item-01"],
    "padded": ["e0000017", "e0000003", "e0000017"],
    "files": ["frames/07.png", "frames/11.png"],
    "files of several lengths": ["7.png", "11.png", "70.png"],
    "alone": ["0017", "0018"],
}


@pytest.mark.parametrize("ids", NUMBERS.values(), ids=NUMBERS)
def test_numbered_ids_are_read_as_their_numbers(ids: list[str]) -> None:
    assert example_codes(pl.Series(ids), BITS).numerals is not None
