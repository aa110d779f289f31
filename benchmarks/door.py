"""The door: a text file as a log, against reading the same columns as text and no more.

    python benchmarks/door.py [--rows 3000000] [--repeat 5] [--memory]

The same log with integers and with text as ids, and one with a column of quoted remarks that nobody uses.
`pl.read_csv` reads three columns as text; the door holds every row to the header, finds the types of all
values and reads the log. With `--memory` a file of ten times as many rows also goes into a store.

Then `check_annotations` of a million annotations with text as ids, against one count of their votes.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl
from _measure import (
    BOUNDS,
    Bound,
    Call,
    Job,
    Measurement,
    Shape,
    alternate,
    best,
    data,
    environment,
    markdown,
    measure,
    say,
)

import polars_crowd as pc

ANNOTATORS, CLASSES = 2_000, 5
COLUMNS = ["example", "annotator", "label"]
ROWS, MOST = 3_000_000, 1.6
"""How many rows are read, and what the door may take of the time of `pl.read_csv`."""
CHECKED, MOST_OF_CHECK = 1_000_000, 2.0
"""How many annotations are checked, and what that may take of the CPU of a count of votes."""


def polars_job(path: str) -> Job:
    """The columns as text."""
    return Job(lambda: pl.read_csv(path, columns=COLUMNS, infer_schema=False), len)


def door_job(path: str) -> Job:
    """The log."""
    return Job(lambda: pc.scan_annotations(path).select(COLUMNS).collect(), len)


def votes_job(log: str) -> Job:
    """One count of votes."""
    return Job(lambda: pl.scan_parquet(log).group_by("example", "label").len().collect(), len)


def check_job(log: str) -> Job:
    """Everything that is odd about a log."""
    check = pc.check_annotations
    return Job(lambda: check(log), len)


def store_job(path: str, folder: str) -> Job:
    """A store of the log."""
    return Job(lambda: pc.AnnotationStore.create(folder, path, duplicates="all"), repr)


def write_csv_job(log: str, path: str, remarks: bool) -> Job:
    """The log as a CSV file, with remarks between its columns or without."""
    remark = pl.when(pl.col("label").hash() % 3 == 0).then(pl.lit('he said "no", and\nleft'))
    columns = ["example", remark.alias("remark"), "annotator", "label"] if remarks else COLUMNS
    return Job(lambda: pl.scan_parquet(log).select(columns).sink_csv(path))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument(
        "--data", type=Path, default=Path(tempfile.gettempdir()) / "polars-crowd-data"
    )
    options = parser.parse_args()
    print(markdown(["environment", ""], environment().items()))
    found = compared(options.data, options.rows, options.repeat)
    rows = ([name, *map(str, both)] for name, both in found.items())
    print(markdown(["", "polars_crowd", "the least that is done"], rows))
    print(f"\n{markdown(BOUNDS, (bound.line for bound in bounds_of(found)))}")
    if options.memory:
        store(options.data, options.rows * 10)


Compared = dict[str, tuple[Measurement, Measurement]]
CHECK = "check_annotations"


def bounds(root: Path, repeat: int) -> Iterator[Bound]:
    """The targets, measured."""
    yield from bounds_of(compared(root, ROWS, repeat))


def bounds_of(found: Compared) -> Iterator[Bound]:
    """The targets of what was measured."""
    for name, (ours, least) in found.items():
        wall, cpu = ours.wall / least.wall, ours.cpu / least.cpu
        if name == CHECK:
            yield Bound(f"{name} of {CHECKED:,}: CPU by a count of votes", cpu, MOST_OF_CHECK)
        else:
            yield Bound(f"the door, {name}: wall by pl.read_csv", wall, MOST, cpu=cpu)


def compared(root: Path, n_rows: int, repeat: int) -> Compared:
    """The best run of the door by file, and of the check, each beside the least that is done."""
    found: Compared = {}
    for name, path in files(root, n_rows).items():
        calls: dict[str, Call] = {
            "the door": ("door:door_job", {"path": path}),
            "pl.read_csv": ("door:polars_job", {"path": path}),
        }
        found[name] = both(name, calls, repeat)
    log = data(root, Shape(CHECKED, ANNOTATORS, CLASSES), "string").files["log"]
    calls = {
        CHECK: ("door:check_job", {"log": log}),
        "count of votes": ("door:votes_job", {"log": log}),
    }
    found[CHECK] = both("check", calls, repeat)
    return found


def both(name: str, calls: dict[str, Call], repeat: int) -> tuple[Measurement, Measurement]:
    ours, least = map(best, alternate(name, calls, repeat).values())
    return ours, least


def files(root: Path, n_rows: int) -> dict[str, str]:
    """The files, made if they are not there."""
    shape = Shape(n_rows, ANNOTATORS, CLASSES)
    integers, texts = (data(root, shape, ids).files["log"] for ids in ("integer", "string"))
    kinds = {
        "integers": (integers, False),
        "texts": (texts, False),
        "texts and remarks": (texts, True),
    }
    made = {}
    for name, (log, remarks) in kinds.items():
        path = Path(log).with_name("remarks.csv" if remarks else "log.csv")
        if not path.exists():
            measure("door:write_csv_job", {"log": log, "path": str(path), "remarks": remarks})
        made[f"{name} ({path.stat().st_size / 1e6:,.0f} MB)"] = str(path)
    return made


def store(root: Path, n_rows: int) -> None:
    """A store of a larger file: what its memory is."""
    path = files(root, n_rows)
    name, largest = next((name, path) for name, path in path.items() if "remarks" in name)
    with tempfile.TemporaryDirectory(dir=root) as folder:
        run = measure("door:store_job", {"path": largest, "folder": str(Path(folder) / "store")})
    say(f"store of {name}: {run}")
    print(f"\nA store of {name}: {run}")


if __name__ == "__main__":
    main()
