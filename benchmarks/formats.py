"""Exports of tools as logs, against `pl.read_ndjson` of the same records.

    python benchmarks/formats.py [--records 1000000] [--repeat 2] [--memory GB]

Label Studio's JSON (an array) and Prodigy's JSON lines, as the tools write them. With `--memory` a file of
Prodigy of so many gigabytes goes into a store; the peak of its anonymous memory is printed (Linux: Polars
maps the file, too, which the resident memory counts).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
from _measure import (
    BOUNDS,
    Bound,
    Call,
    Job,
    Measurement,
    alternate,
    best,
    environment,
    markdown,
    measure,
    say,
)

import polars_crowd as pc

RECORDS, MOST = 1_000_000, 3.0
"""How many records are read, and what a reader may take of the CPU of `pl.read_ndjson`."""
TIME = "2026-02-02T10:00:01.123456Z"
TEXT = "some text number {} that is of usual length, neither long nor short"


def task(number: int) -> dict[str, Any]:
    """A task of Label Studio with one annotation."""
    result = {
        "id": "r1",
        "from_name": "tone",
        "to_name": "text",
        "type": "choices",
        "value": {"choices": [("warm", "cold")[number % 2]]},
        "origin": "manual",
    }
    annotation = {
        "id": number,
        "completed_by": number % 50,
        "result": [result],
        "was_cancelled": False,
        "ground_truth": False,
        "created_at": TIME,
        "updated_at": TIME,
        "lead_time": 12.5,
        "prediction": {},
        "result_count": 0,
        "import_id": None,
        "task": number,
        "project": 12,
        "unique_id": "00000000-0000-4000-8000-000000000501",
        "parent_prediction": None,
    }
    return {
        "id": number,
        "annotations": [annotation],
        "drafts": [],
        "predictions": [],
        "meta": {},
        "data": {"text": TEXT.format(number)},
        "created_at": TIME,
        "updated_at": TIME,
        "inner_id": number,
        "total_annotations": 1,
        "project": 12,
        "comment_authors": [],
    }


def answer(number: int) -> dict[str, Any]:
    """An answer of Prodigy."""
    options = [{"id": name, "text": name.lower()} for name in ("QUESTION", "REQUEST", "OTHER")]
    return {
        "text": TEXT.format(number),
        "meta": {"source": "mail"},
        "_input_hash": number // 3,
        "_task_hash": number,
        "options": options,
        "_view_id": "choice",
        "answer": "accept",
        "accept": [("QUESTION", "OTHER")[number % 2]],
        "config": {"choice_style": "single"},
        "_timestamp": 1772615001 + number,
        "_annotator_id": f"mails-{number % 51}",
    }


def array(records: int) -> Iterator[str]:
    """Tasks as an array."""
    yield "["
    for number in range(records):
        yield ("" if number == 0 else ",\n") + json.dumps(task(number))
    yield "]"


def lines(records: int) -> Iterator[str]:
    """Answers as lines."""
    return (json.dumps(answer(number)) + "\n" for number in range(records))


def read_job(path: str, format: str) -> Job:
    """The log of an export, collected."""
    return Job(lambda: pc.formats.read(path, format).log.collect(), len)


def polars_job(path: str) -> Job:
    """The records as Polars reads them."""
    return Job(lambda: pl.read_ndjson(path), len)


def store_job(path: str, folder: str) -> Job:
    """A store of an export."""
    return Job(lambda: _anonymous_peak(path, folder), float)


def _anonymous_peak(path: str, folder: str) -> float:
    """The most memory, in GB, that a store of an export takes beside the files that are mapped."""
    peak, done = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.02):
            status = Path("/proc/self/status").read_text(encoding="ascii")
            peak = max(peak, int(status.partition("RssAnon:")[2].split()[0]))

    watcher = threading.Thread(target=watch)
    watcher.start()
    pc.AnnotationStore.create(folder, pc.formats.read(path, "prodigy"))
    done.set()
    watcher.join()
    return peak * 1024 / 1e9


def written(path: Path, parts: Iterator[str]) -> Path:
    """A file of the parts."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(parts)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--memory", type=float, default=0, help="gigabytes of a file for a store")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        found = compared(place, options.records, options.repeat)
        print(environment())
        rows = ([format, *map(str, both)] for format, both in found.items())
        print(markdown(["export", "polars_crowd", "pl.read_ndjson"], rows))
        print(f"\n{markdown(BOUNDS, (bound.line for bound in bounds_of(found)))}")
        if options.memory:
            print(_memory(place, options.memory))


Compared = dict[str, tuple[Measurement, Measurement]]


def bounds(root: Path, repeat: int) -> Iterator[Bound]:
    """The targets, measured."""
    with tempfile.TemporaryDirectory(dir=root) as place:
        yield from bounds_of(compared(Path(place), RECORDS, repeat))


def bounds_of(found: Compared) -> Iterator[Bound]:
    """The targets of what was measured."""
    for format, (ours, theirs) in found.items():
        yield Bound(f"{format}: CPU by that of pl.read_ndjson", ours.cpu / theirs.cpu, MOST)


def compared(place: Path, records: int, repeat: int) -> Compared:
    """The best run of a reader, and of Polars, of each export."""
    both: Compared = {}
    for format, parts in (("label_studio", array), ("prodigy", lines)):
        path = written(place / f"{format}.json", parts(records))
        same = place / f"{format}.ndjson"
        of_lines = (line.strip("[],\n") + "\n" for line in parts(records))
        written(same, (line for line in of_lines if line.strip()))
        calls: dict[str, Call] = {
            "polars_crowd": ("formats:read_job", {"path": str(path), "format": format}),
            "pl.read_ndjson": ("formats:polars_job", {"path": str(same)}),
        }
        found = {name: best(runs) for name, runs in alternate(format, calls, repeat).items()}
        both[format] = (found["polars_crowd"], found["pl.read_ndjson"])
        path.unlink()
        same.unlink()
    return both


def _memory(place: Path, gigabytes: float) -> str:
    records = int(gigabytes * 1e9 / len(json.dumps(answer(10_000_000))))
    path = written(place / "large.jsonl", lines(records))
    say(f"a file of {path.stat().st_size / 1e9:.2f} GB")
    found = measure("formats:store_job", {"path": str(path), "folder": str(place / "store")})
    size = path.stat().st_size / 1e9
    return f"{size:.2f} GB of Prodigy into a store: {found}, {found.report:.2f} GB of it anonymous"


if __name__ == "__main__":
    main()
