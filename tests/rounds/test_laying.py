"""Sums that are laid down are those of sums that are returned, to the last bit."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polars_crowd.rounds import laying
from polars_crowd.rounds.laying import Ground, Laid, Range, merge_laid, ranges_of
from polars_crowd.rounds.summaries import Merged, Ordered, merge
from tests.cases import assert_same

CELL, LARGE = ("annotator", "label"), 1_000


class AtOnce(Executor):
    """Does what it is given at once; of the workers some may not see files."""

    def __init__(self, blind: int) -> None:
        self.blind, self.given = blind, 0

    def submit(self, call: Any, /, *args: Any, **options: Any) -> Future[Any]:
        self.given += 1
        if self.blind and self.given % self.blind == 0:
            args = tuple(
                Ground(Path("elsewhere"), LARGE) if isinstance(one, Ground) else one for one in args
            )
        future: Future[Any] = Future()
        future.set_result(call(*args, **options))
        return future


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(laying, "PILE", 20_000)
        patch.setattr(laying, "RANGE", 5_000)
        yield ground_in(tmp_path_factory.mktemp("work"))


def ground_in(folder: Path) -> Ground:
    first = folder / "sums-0.frames"
    first.touch()
    return Ground(first, LARGE)


def part_of(seed: int, n: int) -> pl.DataFrame:
    """Sums of n annotations: the pairs in any order, some of them twice."""
    rng = np.random.default_rng([seed, n])
    found = {
        "annotator": rng.integers(0, 60, n).astype(np.uint32),
        "label": rng.integers(0, 3, n).astype(np.uint32),
        "count": rng.integers(1, 9, n),
        "mass": rng.random(n),
    }
    return pl.DataFrame(found)


def laid(ground: Ground, parts: list[pl.DataFrame], executor: Executor) -> tuple[Merged, int]:
    """The sums of parts, and how many of these were laid down."""
    found = [ground.lay({CELL: part, (): part.select("mass").sum()}) for part in parts]
    n_laid = sum(isinstance(one[CELL], Laid) for one in found)
    return merge_laid(ground, found, executor, len(parts)), n_laid


@settings(max_examples=40)
@given(st.lists(st.integers(0, 400), min_size=1, max_size=12), st.integers(0, 9), st.integers(0, 3))
def test_sums_of_what_is_laid_and_what_is_returned(
    ground: Ground, heights: list[int], seed: int, blind: int
) -> None:
    parts = [part_of(seed + i, n) for i, n in enumerate(heights)]
    expected = merge({CELL: part, (): part.select("mass").sum()} for part in parts)
    found, n_laid = laid(ground, parts, AtOnce(blind))
    assert n_laid == sum(part.estimated_size() >= LARGE for part in parts)
    if len(parts) > 1:
        for keys, frame in expected.items():
            assert_same(found[keys], frame, 0)


def test_what_lies_in_files_does_not_grow_with_the_partitions(tmp_path: Path) -> None:
    ground, executor, part = ground_in(tmp_path), AtOnce(0), part_of(0, 400)
    lying = list[int]()

    def returned() -> Iterator[Any]:
        for _ in range(60):
            yield ground.lay({CELL: part})
            lying.append(sum(file.stat().st_size for file in tmp_path.iterdir()))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(laying, "PILE", 40_000)
        patch.setattr(laying, "RANGE", 5_000)
        found = merge_laid(ground, returned(), executor, 60)[CELL]
    assert found["count"].sum() == 60 * part["count"].sum()
    assert executor.given > 10, "ranges were added up"
    assert max(lying) < 60_000
    ground.clear()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("at", [0, 2, 5])
def test_sums_that_cannot_be_laid(ground: Ground, at: int) -> None:
    """Some keys are missing: these are of no one's."""
    parts = [part_of(i, 300) for i in range(6)]
    parts[at] = parts[at].with_columns(label=pl.lit(None, pl.UInt32))
    found, n_laid = laid(ground, parts, AtOnce(0))
    assert n_laid == 5
    assert_same(found[CELL], merge({CELL: part} for part in parts)[CELL], 1e-12)


def test_ranges_hold_each_key_once(ground: Ground) -> None:
    pile = [
        one for i in range(4) if isinstance(one := ground.lay({CELL: part_of(i, 300)})[CELL], Laid)
    ]
    assert len(pile) == 4
    ranges = ranges_of(pile)
    assert len(ranges) > 4
    heights = [len(one.of(pile).codes) for one in ranges]
    assert sum(heights) == len(Range("all", None, None).of(pile).codes)
    assert max(heights) < 3 * np.mean(heights)


def test_threads_return_their_sums(tmp_path: Path) -> None:
    class Part:
        work = tmp_path

    with ThreadPoolExecutor(1) as threads:
        for executor, parts in ((threads, [Part, Part]), (None, [Part, Part]), (AtOnce(0), [Part])):
            with laying.laying(executor, parts) as ground:
                assert ground is None
    with laying.laying(AtOnce(0), [Part, Part]) as ground:
        assert ground is not None
        rows = Ordered.rows_of(part_of(0, 9), CELL)
        assert rows is not None
        ground.put(rows)
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]
