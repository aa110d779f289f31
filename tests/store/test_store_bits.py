"""What is read from a store is what was written, whatever happened to its bits."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import polars_crowd as pc
from polars_crowd.errors import StoreError
from tests.store.store_cases import contents

DATA = pc.datasets.tutorial()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> pc.AnnotationStore:
    path = tmp_path_factory.mktemp("bits") / "store"
    return pc.AnnotationStore.create(path, DATA.log, DATA.pred_probs, partitions=2)


def everything(path: Path) -> list[pl.DataFrame]:
    """All that is in a store."""
    found = pc.AnnotationStore.open(path)
    probs = found.scan_pred_probs()
    assert isinstance(probs, pl.LazyFrame)
    return [contents(found), probs.collect()]


def flipped(data: bytes, rng: random.Random) -> bytes:
    spoilt = bytearray(data)
    spoilt[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(spoilt)


def test_a_bit_of_any_file_that_flips_is_told(store: pc.AnnotationStore) -> None:
    expected, rng = everything(store.path), random.Random(5)
    files = sorted(store.path.glob("files/*.parquet"))
    for _ in range(150):
        file = rng.choice(files)
        sound = file.read_bytes()
        file.write_bytes(flipped(sound, rng))
        with pytest.raises(
            StoreError, match=f"{file.name} has other bytes than were written"
        ) as told:
            everything(store.path)
        part = file.name.split("-")[0]
        assert part == "annotators" or f"partition {int(part)}: " in str(told.value)
        file.write_bytes(sound)
    assert all(a.equals(b) for a, b in zip(everything(store.path), expected, strict=True))


@pytest.mark.parametrize(
    "use",
    [
        lambda store: pc.crowdlab(store),
        lambda store: pc.majority_vote(store).collect(),
        lambda store: pc.agreement(store),
        lambda store: store.scan_annotations().select(pl.len()).collect(),
        lambda store: store.append(DATA.log.with_columns(pl.col("annotator") + "-again")),
    ],
)
def test_whoever_reads_a_damaged_file_is_told(
    use: Callable[[pc.AnnotationStore], Any], tmp_path: Path
) -> None:
    store = pc.AnnotationStore.create(tmp_path / "store", DATA.log, DATA.pred_probs, partitions=2)
    [file] = store.path.glob("files/0001-annotations-*")
    file.write_bytes(flipped(file.read_bytes(), random.Random(1)))
    damaged = pc.AnnotationStore.open(store.path)
    with pytest.raises(StoreError, match=file.name):
        use(damaged)


def test_it_can_be_left_out(tmp_path: Path) -> None:
    log = DATA.log.with_columns(note=pl.lit(7, pl.Int64) + pl.int_range(pl.len()))
    store = pc.AnnotationStore.create(tmp_path / "store", log, partitions=1)
    [file] = store.path.glob("files/0000-annotations-*")
    other = pl.read_parquet(file).with_columns(pl.col("note") + 1)
    other.write_parquet(file, compression="lz4")
    trusting = pc.AnnotationStore.open(store.path, check=False, verify=False)
    assert trusting.scan_annotations().select(pl.col("note").sum()).collect().item() > 0
    doubting = pc.AnnotationStore.open(store.path, check=False)
    with pytest.raises(StoreError, match="has other bytes"):
        doubting.scan_annotations().collect()
