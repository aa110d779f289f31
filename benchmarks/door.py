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
from pathlib import Path

import polars as pl
from _measure import Call, Job, Shape, alternate, best, data, environment, markdown, measure, say

import polars_crowd as pc

ANNOTATORS, CLASSES = 2_000, 5
COLUMNS = ["example", "annotator", "label"]
MOST = 1.6
"""What the door may take of the time of `pl.read_csv`."""
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
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument(
        "--data", type=Path, default=Path(tempfile.gettempdir()) / "polars-crowd-data"
    )
    options = parser.parse_args()
    print(markdown(["environment", ""], environment().items()))
    rows = []
    for name, path in files(options.data, options.rows).items():
        calls: dict[str, Call] = {
            "pl.read_csv": ("door:polars_job", {"path": path}),
            "the door": ("door:door_job", {"path": path}),
        }
        found = {call: best(runs) for call, runs in alternate(name, calls, options.repeat).items()}
        text, door = found["pl.read_csv"], found["the door"]
        ratio = door.wall / text.wall
        cells = [f"{m.wall:.2f} s, {m.cpu:.2f} s, {m.peak:.2f} GB" for m in (text, door)]
        rows.append([name, *cells, f"{ratio:.2f}" + ("" if ratio <= MOST else " (too much)")])
    print(markdown(["file", "pl.read_csv: wall, CPU, peak", "the door", "wall / wall"], rows))
    check(options.data, options.repeat)
    if options.memory:
        store(options.data, options.rows * 10)


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


def check(root: Path, repeat: int) -> None:
    """A check against a count of votes."""
    log = data(root, Shape(CHECKED, ANNOTATORS, CLASSES), "string").files["log"]
    calls: dict[str, Call] = {
        "count of votes": ("door:votes_job", {"log": log}),
        "check_annotations": ("door:check_job", {"log": log}),
    }
    found = {call: best(runs) for call, runs in alternate("check", calls, repeat).items()}
    ratio = found["check_annotations"].cpu / found["count of votes"].cpu
    too_much = "" if ratio <= MOST_OF_CHECK else " (too much)"
    rows = [[*map(str, found.values()), f"{ratio:.2f}{too_much}"]]
    print()
    print(markdown([*found, "CPU / CPU"], rows))


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
