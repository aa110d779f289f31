"""What is left when a process is killed, a bit flips, a disk is full or two runs meet: a table of counts.

    python benchmarks/faults.py [--kills 2000] [--bits 1000] [--logs 2000] [--reads 500] [--bad-input]

* kills: `kill -9` at a random moment of create, append, and fits with `into=`; what is there afterwards must
  be what was there before, or what was to be, and running again must succeed.
* bits: one flipped bit in a store, in result tables, in what is kept between runs.
* logs: random logs, the numbers beside those of cleanlab, crowd-kit, krippendorff.
* reads: a reader beside a writer, two runs into one directory, no room, no locks, clocks set back.
* bad input: the tests' tables of it, counted.

An answer is right, or the library says what is wrong; anything else makes the exit code 1. --quick is a
twentieth of it.
"""

from __future__ import annotations

import argparse
import errno
import fcntl
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import polars as pl
from _measure import environment, markdown, say

import polars_crowd as pc

ROOT = Path(__file__).parents[1]
RIGHT, SAID, OTHER, RAW = "right", "said", "OTHER NUMBERS", "RAW ERROR"
Tables = dict[str, pl.DataFrame]
SOUND: Tables = {"wrong": pl.DataFrame()}
"""What is said of a store in which nothing is wrong."""

FITS: dict[str, Callable[..., Any]] = {
    "crowdlab": pc.crowdlab,
    "majority_vote": pc.majority_vote,
    "dawid_skene": partial(pc.dawid_skene, max_iter=3),
    "glad": partial(pc.glad, max_iter=3),
    "mace": partial(pc.mace, max_iter=3),
    "blend": pc.blend,
    "activelab": pc.activelab,
    "example_agreement": pc.example_agreement,
    "multilabel_crowdlab": pc.multilabel_crowdlab,
}
"""What is killed while it writes into a directory: after few iterations, so that kills meet it writing."""
PARTITIONS = 2


@dataclass
class Row:
    """Of one kind of fault, what came of it how often."""

    fault: str
    what: str
    found: Counter[str] = field(default_factory=Counter)
    note: str = ""

    @property
    def survived(self) -> int:
        return self.found[RIGHT] + self.found[SAID]

    @property
    def is_good(self) -> bool:
        return self.survived == self.found.total()

    def cells(self) -> list[str]:
        kinds = ", ".join(f"{n} {kind}" for kind, n in self.found.most_common())
        about = f"{kinds}; {self.note}" if self.note else kinds
        return [self.fault, self.what, f"{self.found.total():,}", f"{self.survived:,}", about]


def outcome(ask: Callable[[], Tables], *expected: Tables) -> str:
    """Whether the answer is one of those expected, or an error of the library, or neither."""
    try:
        found = ask()
    except Exception as error:
        ours = type(error).__module__.startswith("polars_crowd")
        return SAID if ours else f"{RAW} {type(error).__name__}"
    return RIGHT if any(same(found, tables) for tables in expected) else OTHER


def same(found: Tables, expected: Tables) -> bool:
    """Equal names, rows and values, numbers to 1e-9."""
    return found.keys() == expected.keys() and all(
        same_table(found[name], expected[name]) for name in found
    )


def same_table(found: pl.DataFrame, expected: pl.DataFrame) -> bool:
    if found.schema != expected.schema or found.height != expected.height:
        return False
    floats = pl.selectors.float()
    close = (found.select(floats) - expected.select(floats)).select(pl.all().abs().max())
    rest = found.select(~floats).equals(expected.select(~floats))
    return rest and all(far is None or far <= 1e-9 for row in close.rows() for far in row)


def by_key(table: pl.DataFrame) -> pl.DataFrame:
    keys = ("example", "annotator", "class", "true_label", "label", "method")
    there = [key for key in keys if key in table.columns and not table.schema[key].is_nested()]
    return table.sort(there) if there else table


# --- logs, stores, results -------------------------------------------------------------------------


@cache
def log_of(seed: int, n_examples: int = 24) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A small log and a model's probabilities."""
    data = pc.simulate.simulate_annotations(
        n_examples=n_examples, n_annotators=5, n_classes=3, accuracy=(0.8, 0.95), seed=seed
    )
    return data.log, data.pred_probs


def as_sets(log: pl.DataFrame) -> pl.DataFrame:
    return log.with_columns(label=pl.concat_list(pl.col("label").cast(pl.String)))


def make_store(path: Path, seed: int, *, of_sets: bool = False) -> pc.AnnotationStore:
    log, probs = log_of(seed)
    log = as_sets(log) if of_sets else log
    return pc.AnnotationStore.create(path, log, probs, partitions=PARTITIONS, multilabel=of_sets)


def batch(i: int) -> pl.DataFrame:
    """What is appended for the i-th time: other annotators on the same examples."""
    return log_of(0)[0].with_columns(pl.format("{}-{}", "annotator", pl.lit(i)).alias("annotator"))


def rows_in(path: Path) -> pl.DataFrame:
    """The log in a store that is sound."""
    store = pc.AnnotationStore.open(path)
    damaged = store.verify()
    assert damaged.is_empty(), damaged
    return store.scan_annotations().collect().sort("example", "annotator")


def whole(batches: list[int]) -> pl.DataFrame:
    return pl.concat([batch(i) for i in batches]).sort("example", "annotator")


def results_in(directory: Path) -> Tables:
    """All the tables of a directory of results."""
    found = pc.open_results(directory)
    return framed({name: getattr(found, name) for name in found.tables})


def framed(tables: dict[str, Any]) -> Tables:
    return {
        name: by_key(t.to_frame() if isinstance(t, pl.Series) else t.lazy().collect())
        for name, t in tables.items()
        if t is not None
    }


def run_into(kind: str, store: Path, into: Path) -> Tables:
    """The results of a run, read back."""
    FITS[kind](pc.AnnotationStore.open(store), into=into)
    return results_in(into)


@dataclass(frozen=True)
class Places:
    """Two stores for each kind of fit, and what each fit must answer to them."""

    folder: Path

    def stores(self, kind: str) -> list[Path]:
        of_sets = kind.startswith("multilabel")
        paths = [self.folder / f"{'sets' if of_sets else 'store'}-{seed}" for seed in (1, 2)]
        for seed, path in enumerate(paths, start=1):
            if not path.exists():
                make_store(path, seed, of_sets=of_sets)
        return paths

    def expected(self, kind: str) -> list[Tables]:
        return _expected(self, kind)


@cache
def _expected(places: Places, kind: str) -> list[Tables]:
    return [
        run_into(kind, store, places.folder / f"expected-{kind}-{i}")
        for i, store in enumerate(places.stores(kind))
    ]


# --- kills -----------------------------------------------------------------------------------------

SPAN = 0.12
"""Seconds after the first word of a writer within which it is killed."""


def write_for_ever(
    kind: str, folder: Path, stores: list[str], early: bool, patient: bool = False
) -> None:
    """Writes until it is killed; says its number first, or after it has written once.

    One that is patient goes on where another run is at work.
    """
    ready = f"{os.getpid()}\n".encode()
    if early:
        os.write(1, ready)
    for i in range(1_000_000):
        with suppress(*([pc.StoreError] if patient else [])):
            write_once(kind, folder, stores, i)
        if i == 0 and not early:
            os.write(1, ready)


def write_once(kind: str, folder: Path, stores: list[str], i: int) -> None:
    if kind == "create":
        pc.AnnotationStore.create(folder / f"{i:04d}", batch(i), partitions=PARTITIONS)
    elif kind == "append" and i == 0:
        pc.AnnotationStore.create(folder / "store", batch(0), partitions=PARTITIONS)
    elif kind == "append":
        pc.AnnotationStore.open(folder / "store").append(batch(i))
    else:
        FITS[kind](pc.AnnotationStore.open(stores[i % 2]), into=folder / "out")


def nursery() -> None:
    """Starts a writer for each line: a copy of this process, which has imported all and run nothing."""
    warnings.simplefilter("ignore")
    for name in pc.__all__:
        getattr(pc, name)
    for line in sys.stdin:
        kind, folder, *order = json.loads(line)
        if (child := os.fork()) == 0:
            try:
                write_for_ever(kind, Path(folder), *order)
            finally:
                os._exit(3)
        print("ended", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


@contextmanager
def started_nursery() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, __file__, "--nursery"]
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def started(process: subprocess.Popen[str], *order: Any) -> int:
    """A writer that is ready."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(order) + "\n")
    process.stdin.flush()
    word = process.stdout.readline()
    assert word.strip().isdigit(), f"the writer of {order} failed: {word}"
    return int(word)


def kill(process: subprocess.Popen[str], writer: int) -> None:
    """End a writer, which must be at work still."""
    assert process.stdout is not None
    os.kill(writer, signal.SIGKILL)
    word = process.stdout.readline()
    assert word == f"ended {-signal.SIGKILL}\n", f"a writer failed: {word}"


def kills(n: int, folder: Path, rng: random.Random) -> Iterator[Row]:
    """n kills, of each kind in turn; every other one may hit the first that is ever written."""
    kinds = ["create", "append", *FITS]
    rows = {kind: Row("kill -9", kind) for kind in kinds}
    places = Places(folder)
    with started_nursery() as process:
        for i in range(n):
            kind, early = kinds[i % len(kinds)], bool(i // len(kinds) % 2)
            place = folder / f"kill-{i}"
            place.mkdir()
            stores = [] if kind in ("create", "append") else places.stores(kind)
            child = started(process, kind, str(place), [*map(str, stores)], early)
            time.sleep(rng.uniform(0, SPAN))
            kill(process, child)
            rows[kind].found[left(kind, place, places, early)] += 1
            shutil.rmtree(place)
            if i % 100 == 99:
                say(f"{i + 1} kills")
    yield from rows.values()


def left(kind: str, place: Path, places: Places, early: bool) -> str:
    """What a killed writer has left: right if it is one of its steps, and the next one can be taken."""
    if kind in ("create", "append"):
        return outcome(lambda: {"wrong": left_in_stores(kind, place)}, SOUND)
    expected = places.expected(kind)
    found = outcome(lambda: results_in(place / "out"), *expected)
    if found != RIGHT and not (early and found.startswith((SAID, f"{RAW} FileNotFound"))):
        return found if found != SAID else "LOST"
    again = outcome(lambda: run_into(kind, places.stores(kind)[0], place / "out"), expected[0])
    return "CANNOT BE RUN AGAIN" if again == SAID else again


def left_in_stores(kind: str, place: Path) -> pl.DataFrame:
    """Nothing, if each store holds what was written up to a step, and can be written to."""
    made = sorted(p for p in place.iterdir() if not p.name.startswith("."))
    for path in made:
        log = rows_in(path)
        written = sorted({int(a.rpartition("-")[2]) for a in log["annotator"]})
        steps = [int(path.name)] if kind == "create" else [*range(len(written))]
        if written != steps or not log.equals(whole(written)):
            return log
    if kind == "append" and made:
        pc.AnnotationStore.open(made[0]).append(batch(len(written)))
        return pl.DataFrame() if rows_in(made[0]).equals(whole([*written, len(written)])) else log
    write_once(kind, place, [], len(made))
    hidden = [p.name for p in place.iterdir() if p.name.startswith(".")]
    return pl.DataFrame({"abandoned": hidden}) if hidden else pl.DataFrame()


# --- bits ------------------------------------------------------------------------------------------


def flip(folder: Path, rng: random.Random, *, within: str = "**/*", but: str = "") -> str:
    """Flip one bit of one file, and say which file it was."""
    files = sorted(
        f
        for f in folder.glob(within)
        if f.is_file() and f.stat().st_size and not (but and but in f.parts) and f.name != ".lock"
    )
    file = rng.choices(files, [f.stat().st_size for f in files])[0]
    data = bytearray(file.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    file.write_bytes(bytes(data))
    return str(file.relative_to(folder))


def bits(n: int, folder: Path, rng: random.Random) -> Iterator[Row]:
    """n flips in each: a store, result tables as they are opened and as they are made again, what is kept."""
    places = Places(folder)
    kinds = ("crowdlab", "dawid_skene", "majority_vote", "multilabel_crowdlab")
    names = (
        "a store",
        "result tables, opened",
        "result tables, run again",
        "what is kept, run again",
    )
    rows = [Row("a flipped bit", name) for name in names]
    for i in range(n):
        kind = kinds[i % len(kinds)]
        for row, found in zip(rows, flipped(places, kind, rng), strict=True):
            row.found[found] += 1
        if i % 100 == 99:
            say(f"{i + 1} bits")
    yield from rows


def flipped(places: Places, kind: str, rng: random.Random) -> Iterator[str]:
    """What comes of a bit in each."""
    store, expected = places.stores(kind)[0], places.expected(kind)[0]
    grown, before, after = grown_of(places, kind)
    with copied(store) as copy:
        flip(copy, rng)
        yield outcome(lambda: tables_of(FITS[kind](pc.AnnotationStore.open(copy))), expected)
    with copied(places.folder / f"expected-{kind}-0") as copy:
        flip(copy, rng, but=".work")
        yield outcome(lambda: results_in(copy), expected)
        yield outcome(lambda: run_into(kind, store, copy), expected)
    with copied(before) as copy:
        flip(copy, rng, within="**/.work/**/*")
        yield outcome(lambda: run_into(kind, grown, copy), after)


def tables_of(fit: Any) -> Tables:
    """What a fit says itself, not the directory that it may have written to."""
    if isinstance(fit, pl.LazyFrame):
        return {"examples": by_key(fit.collect())}
    written = [name for name in fit.TABLES if name not in fit.ON_DEMAND]
    return framed({name: getattr(fit, name) for name in written})


@cache
def grown_of(places: Places, kind: str) -> tuple[Path, Path, Tables]:
    """A store that grew after a run, the directory as that run left it, and what a run says now."""
    grown, before = (places.folder / f"{name}-{kind}" for name in ("grown", "before"))
    shutil.copytree(places.stores(kind)[0], grown)
    FITS[kind](pc.AnnotationStore.open(grown), into=before)
    more = (
        log_of(1)[0]
        .unique("example", maintain_order=True)
        .head(3)
        .with_columns(annotator=pl.lit("somebody else"))
    )
    pc.AnnotationStore.open(grown).append(as_sets(more) if kind.startswith("multilabel") else more)
    return grown, before, run_into(kind, grown, places.folder / f"after-{kind}")


@contextmanager
def copied(path: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=path.parent) as place:
        copy = Path(place) / path.name
        shutil.copytree(path, copy)
        yield copy


# --- peers -----------------------------------------------------------------------------------------


@dataclass
class Peer:
    """Numbers of ours beside theirs."""

    name: str
    numbers: Callable[[np.ndarray[Any, Any], np.ndarray[Any, Any]], Iterator[tuple[Any, Any]]]
    """(labels, probabilities) to pairs of arrays."""
    tolerance: float


def random_log(rng: np.random.Generator) -> tuple[Any, Any]:
    """Labels (examples x annotators, -1: none) of annotators of any quality, and a model's probabilities."""
    n, m, k = rng.integers(4, 40), rng.integers(2, 8), rng.integers(2, 6)
    truth = rng.integers(0, k, (n, 1))
    right = rng.random((n, m)) < rng.uniform(1 / k, 1, m)
    labels = np.where(right, truth, rng.integers(0, k, (n, m)))
    labels[(rng.random((n, m)) < rng.uniform(0, 0.6)) & (np.arange(m) >= 2)] = -1
    labels = labels[:, (labels >= 0).any(axis=0)]
    return labels, rng.dirichlet(np.ones(k), n) * 0.98 + 0.02 / k


def of_cleanlab(labels: Any, probs: Any) -> Iterator[tuple[Any, Any]]:
    from tests.cases import Case
    from tests.consensus.test_parity_cleanlab import cleanlabs

    case = Case(labels, [probs])
    if not case.has_clear_vote:
        return
    theirs = cleanlabs(case, {}, calibrate=False)
    fit = pc.crowdlab(case.log, case.pred_probs[0])
    examples, stats = fit.examples.collect().sort("example"), theirs["annotator_stats"].sort_index()
    for column in ("consensus_quality_score", "annotator_agreement", "consensus_label"):
        yield examples[column], theirs["label_quality"][column]
    yield fit.annotators.sort("annotator")["annotator_quality"], stats["annotator_quality"]
    scores = fit.annotations.collect()
    at = scores["example"].to_numpy(), scores["annotator"].to_numpy()
    yield scores["label_quality_score"], theirs["detailed_label_quality"].to_numpy()[at]


def of_crowd_kit(labels: Any, probs: Any) -> Iterator[tuple[Any, Any]]:
    from crowdkit.aggregation import MajorityVote, Wawa

    from tests.cases import log_of as log_of_matrix

    log = log_of_matrix(labels)
    named = {"example": "task", "annotator": "worker"}
    frame = log.rename(named).to_pandas()
    votes = MajorityVote().fit(frame).probas_.sort_index().max(axis=1)
    found = pc.majority_vote(log).collect().sort("example")
    agreed = log.join(found, on="example").filter(pl.col("label") == pl.col("consensus_label"))
    shares = agreed.group_by("example").len().sort("example")["len"]
    yield shares / found["num_annotations"], votes
    if has_ties(labels):
        return  # which are broken at random there
    skills = Wawa().fit(frame).skills_.sort_index()
    yield pc.wawa(log).annotators.sort("annotator")["skill"], skills


def has_ties(labels: Any) -> bool:
    votes = np.stack([(labels == k).sum(axis=1) for k in range(labels.max() + 1)])
    return bool(((votes == votes.max(axis=0)).sum(axis=0) > 1).any())


def of_krippendorff(labels: Any, probs: Any) -> Iterator[tuple[Any, Any]]:
    import krippendorff

    from tests.cases import log_of as log_of_matrix

    data = np.where(labels < 0, np.nan, labels).T
    pairable = (labels >= 0).sum(axis=1) > 1
    if len(np.unique(labels[pairable][labels[pairable] >= 0])) < 2:
        return
    for level in ("nominal", "ordinal", "interval", "ratio"):
        alpha = krippendorff.alpha(data, level_of_measurement=level)
        yield pc.krippendorff_alpha(log_of_matrix(labels), level=level)["value"], [alpha]


PEERS = [
    Peer("cleanlab", of_cleanlab, 1e-9),
    Peer("crowd-kit", of_crowd_kit, 1e-9),
    Peer("krippendorff", of_krippendorff, 1e-9),
]


def logs(n: int, folder: Path, rng: random.Random) -> Iterator[Row]:
    """n random logs, each given to all."""
    sys.path.insert(0, str(ROOT))
    draws = np.random.default_rng(rng.getrandbits(32))
    drawn = [random_log(draws) for _ in range(n)]
    for peer in PEERS:
        row, numbers, greatest = Row("a random log", f"beside {peer.name}"), 0, 0.0
        for labels, probs in drawn:
            pairs = [
                (np.asarray(a, float), np.asarray(b, float)) for a, b in peer.numbers(labels, probs)
            ]
            if not pairs:
                continue
            far = max(float(np.nanmax(np.abs(a - b), initial=0)) for a, b in pairs)
            gaps = all((np.isnan(a) == np.isnan(b)).all() for a, b in pairs)
            row.found[RIGHT if gaps and far <= peer.tolerance else OTHER] += 1
            numbers += sum(a.size for a, _ in pairs)
            greatest = max(greatest, far)
        row.note = f"{numbers:,} numbers, greatest difference {greatest:.1e}"
        say(f"{n} logs beside {peer.name}")
        yield row


# --- others at the same time -----------------------------------------------------------------------


@contextmanager
def writer(*order: Any) -> Iterator[None]:
    """Somebody who writes meanwhile, until it is killed."""
    with started_nursery() as process:
        child = started(process, *order)
        try:
            yield
        finally:
            kill(process, child)


def reads(n: int, folder: Path) -> Iterator[Row]:
    """n reads each of a store that grows, and of results that are made again and again."""
    place, row = folder / "beside", Row("a reader beside a writer", "a store")
    place.mkdir()
    with writer("append", str(place), [], False):
        for _ in range(n):
            row.found[outcome(partial(first_of, place / "store"), SOUND)] += 1
    yield row
    places = Places(folder)
    for kind in ("crowdlab", "majority_vote"):
        row = Row("a reader beside a writer", f"results of {kind}")
        stores, expected = [*map(str, places.stores(kind))], places.expected(kind)
        with writer(kind, str(place), stores, False):
            for _ in range(n // 2):
                row.found[outcome(partial(results_in, place / "out"), *expected)] += 1
        shutil.rmtree(place / "out")
        yield row


def first_of(path: Path) -> Tables:
    """Nothing, if a store that is being appended to holds all that was appended up to a step."""
    log = pc.AnnotationStore.open(path).scan_annotations().collect().sort("example", "annotator")
    steps = log["annotator"].str.extract(r"-(\d+)$").n_unique()
    return {"wrong": pl.DataFrame() if log.equals(whole([*range(steps)])) else log}


def two_at_once(n: int, folder: Path) -> Iterator[Row]:
    """n runs into a directory that another process writes to all the time, of another log."""
    places = Places(folder)
    for kind in ("crowdlab", "dawid_skene"):
        row, place = Row("two runs at once", kind), folder / f"both-{kind}"
        place.mkdir()
        (mine, theirs), expected = places.stores(kind), places.expected(kind)
        with writer(kind, str(place), [str(theirs)] * 2, False, True):
            for _ in range(n):
                row.found[outcome(partial(fitted, kind, mine, place / "out"), expected[0])] += 1
        row.found[outcome(partial(results_in, place / "out"), *expected)] += 1
        yield row


def fitted(kind: str, store: Path, into: Path) -> Tables:
    return tables_of(FITS[kind](pc.AnnotationStore.open(store), into=into))


# --- the system ------------------------------------------------------------------------------------


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """No file may get larger, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def no_locks(*args: Any) -> None:
    raise OSError(errno.ENOLCK, "No locks available")


def system(n: int, folder: Path, rng: random.Random) -> Iterator[Row]:
    """No room, no locks, and clocks set back: n times each."""
    places, kinds = Places(folder), ("crowdlab", "dawid_skene", "majority_vote")
    what = "create, append, fit"
    full, lockless, late = (Row(f, what) for f in ("a full disk", "no locks", "clocks set back"))
    for i in range(n):
        kind = kinds[i % len(kinds)]
        full.found[with_little_room(places, kind, rng)] += 1
        lockless.found[without_locks(places, kind)] += 1
        late.found[with_clocks_set_back(places, kind, rng)] += 1
    yield from (full, lockless, late)


def with_little_room(places: Places, kind: str, rng: random.Random) -> str:
    """... and with room again, when all can be done."""
    store, expected = places.stores(kind)[0], places.expected(kind)[0]
    with tempfile.TemporaryDirectory(dir=places.folder) as place:
        task = partial(write_and_fit, Path(place), kind, store)
        with files_up_to(rng.randrange(200, 20_000)):
            tried = outcome(task, expected)
        again = outcome(task, expected)
    return "CANNOT BE RUN AGAIN" if again == SAID else tried if again == RIGHT else again


def without_locks(places: Places, kind: str) -> str:
    store, expected = places.stores(kind)[0], places.expected(kind)[0]
    with (
        tempfile.TemporaryDirectory(dir=places.folder) as place,
        mock.patch.object(fcntl, "flock", no_locks),
    ):
        return outcome(partial(write_and_fit, Path(place), kind, store), expected)


def with_clocks_set_back(places: Places, kind: str, rng: random.Random) -> str:
    """Files that are older, or younger, than what they are made of."""
    one, two = places.stores(kind)
    with tempfile.TemporaryDirectory(dir=places.folder) as place:
        write_and_fit(Path(place), kind, two)
        for file in Path(place).rglob("*"):
            os.utime(file, (rng.choice([0, 2**32]),) * 2)
        return outcome(partial(write_and_fit, Path(place), kind, one), places.expected(kind)[0])


def write_and_fit(place: Path, kind: str, store: Path) -> Tables:
    """A store that is made or grows, and a fit into a directory that may be there."""
    target = place / "store"
    if target.exists():
        pc.AnnotationStore.open(target).append(batch(len(whole_steps(target))))
    else:
        pc.AnnotationStore.create(target, batch(0), partitions=PARTITIONS)
    assert rows_in(target).equals(whole(whole_steps(target)))
    return run_into(kind, store, place / "out")


def whole_steps(target: Path) -> list[int]:
    log = pc.AnnotationStore.open(target).scan_annotations().collect()
    return sorted({int(a.rpartition("-")[2]) for a in log["annotator"]})


# --- bad input -------------------------------------------------------------------------------------


def bad_input() -> Iterator[Row]:
    """The tests' tables of bad input to functions and to the command."""
    files = sorted(str(f) for f in (ROOT / "tests").rglob("test_*bad_input*.py"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *files], cwd=ROOT, capture_output=True, text=True
    )
    counts = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|error)", done.stdout)}
    row = Row("bad input", "functions and commands")
    row.found[SAID] = counts.get("passed", 0)
    row.found[RAW] = counts.get("failed", 0) + counts.get("error", 0)
    yield row


# --- all of it -------------------------------------------------------------------------------------


def others(n: int, folder: Path, rng: random.Random) -> Iterator[Row]:
    """n reads beside writers, and fewer of what takes longer."""
    yield from reads(n, folder)
    yield from two_at_once(max(n // 5, 2), folder)
    yield from system(max(n // 10, 3), folder, rng)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=2000)
    parser.add_argument("--bits", type=int, default=1000)
    parser.add_argument("--logs", type=int, default=2000)
    parser.add_argument("--reads", type=int, default=500)
    parser.add_argument("--bad-input", action="store_true")
    parser.add_argument("--quick", action="store_true", help="a twentieth of each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--nursery", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.nursery:
        nursery()
        return
    warnings.simplefilter("ignore")
    less = 20 if options.quick else 1
    rng = random.Random(options.seed)
    rows: list[Row] = []
    for ask, n in (
        (kills, options.kills),
        (bits, options.bits),
        (logs, options.logs),
        (others, options.reads),
    ):
        with tempfile.TemporaryDirectory() as folder:
            rows += ask(n // less, Path(folder), rng) if n else ()
    rows += bad_input() if options.bad_input else ()
    for name, value in environment().items():
        print(f"* {name}: {value}")
    header = ("fault", "in", "tried", "survived", "what came of it")
    print(f"\n{markdown(header, [row.cells() for row in rows])}")
    sys.exit(0 if all(row.is_good for row in rows) else 1)


if __name__ == "__main__":
    main()
