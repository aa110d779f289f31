"""A bit that flips in results or in frames that are kept is seen: never another number, never a raw error."""

from __future__ import annotations

import random
from pathlib import Path

import polars as pl
import pytest

import polars_crowd as pc
from polars_crowd.errors import StoreError

DATA = pc.datasets.tutorial()
LOG = DATA.log


def tables(found: object) -> list[pl.DataFrame]:
    names = ("examples", "annotations", "annotators")
    if isinstance(found, pc.Results):
        _ = found._kept
    return [getattr(found, name).lazy().collect() for name in names]


def same(found: list[pl.DataFrame], expected: list[pl.DataFrame]) -> bool:
    return all(a.equals(b) for a, b in zip(found, expected, strict=True))


def flip(file: Path, rng: random.Random) -> None:
    spoilt = bytearray(file.read_bytes())
    spoilt[rng.randrange(len(spoilt))] ^= 1 << rng.randrange(6)
    file.write_bytes(spoilt)


@pytest.fixture
def store(tmp_path: Path) -> pc.AnnotationStore:
    return pc.AnnotationStore.create(tmp_path / "store", LOG, DATA.pred_probs, partitions=2)


@pytest.mark.parametrize("how", ["into", "parquet", "csv"])
def test_results_that_are_opened(how: str, store: pc.AnnotationStore, tmp_path: Path) -> None:
    place = tmp_path / "results"
    fit = pc.crowdlab(store, into=place if how == "into" else None)
    if how != "into":
        fit.write(place, how)  # type: ignore[arg-type]
    expected, rng = tables(pc.open_results(place)), random.Random(2)
    files = [f for f in sorted(place.rglob("*.*")) if f.suffix in (".parquet", ".csv", ".json")]
    files = [f for f in files if f.stem != "posterior"]  # which is not asked for
    told = 0
    for _ in range(40):
        file = rng.choice(files)
        sound = file.read_bytes()
        flip(file, rng)
        try:
            assert same(tables(pc.open_results(place)), expected), "white space, at most"
        except (StoreError, FileExistsError) as error:
            told += file.name in str(error)
        file.write_bytes(sound)
    assert told > 30
    assert same(tables(pc.open_results(place)), expected)


@pytest.mark.parametrize("kind", [".parquet", ".frames"])
def test_what_is_damaged_is_made_anew(kind: str, store: pc.AnnotationStore, tmp_path: Path) -> None:
    place = tmp_path / "results"
    expected, rng = tables(pc.crowdlab(store, into=place)), random.Random(3)
    for _ in range(6):
        flip(rng.choice(sorted(place.rglob(f"*{kind}"))), rng)
        assert same(tables(pc.crowdlab(store, into=place)), expected)
        assert same(tables(pc.open_results(place)), expected)


def test_a_fit_hands_out_no_damaged_table(store: pc.AnnotationStore, tmp_path: Path) -> None:
    fit = pc.crowdlab(store, into=tmp_path / "results")
    [file] = (tmp_path / "results").glob("generation-*/examples/part-0001.parquet")
    flip(file, random.Random(4))
    with pytest.raises(StoreError, match=r"part-0001.parquet has other bytes .*Run again"):
        _ = fit.examples


def test_it_can_be_left_out(tmp_path: Path) -> None:
    pc.crowdlab(LOG, DATA.pred_probs).write(tmp_path)
    other = pl.read_parquet(tmp_path / "annotators.parquet").head(3)
    other.write_parquet(tmp_path / "annotators.parquet")
    assert pc.open_results(tmp_path, verify=False).annotators.equals(other)
    with pytest.raises(StoreError, match=r"annotators.parquet has other bytes"):
        _ = pc.open_results(tmp_path).annotators
