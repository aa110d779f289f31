"""CROWDLAB on files: polars_crowd against cleanlab, and against merely counting votes and reading."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import polars as pl
from _measure import (
    BOUNDS,
    Bound,
    Ids,
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

OURS, FLOOR, CLEANLAB = "polars_crowd", "floor", "cleanlab"
PARTS = (CLEANLAB, FLOOR)
MILLION = 1_000_000
USUAL_IDS: tuple[Ids, ...] = ("integer", "string")
FULL_CELLS = 10**9
"""Examples times annotators times 5 from which cleanlab runs under --full only."""
TOLERANCE = 1e-9

# --- jobs ------------------------------------------------------------------------------------------


def ours(log: str, probs: str, keep: str | None = None) -> Job:
    """CROWDLAB from files to all three tables."""
    crowdlab = pc.crowdlab  # imported before the time is taken

    def run() -> dict[str, pl.DataFrame]:
        fit = crowdlab(log, probs)
        return {
            "examples": fit.examples.collect(),
            "annotations": fit.annotations.collect(),
            "annotators": fit.annotators,
        }

    return Job(run, lambda tables: _keep(tables, keep) if keep else None)


def floor(log: str, probs: str) -> Job:
    """What any method has to do: count the votes once, read the probabilities once."""

    def run() -> tuple[pl.DataFrame, pl.DataFrame]:
        votes = pl.scan_parquet(log).group_by("example", "label").len().collect()
        return votes, pl.scan_parquet(probs).collect()

    return Job(run)


def cleanlab(log: str, probs: str, keep: str) -> Job:
    """cleanlab, which is given its wide matrix and its probabilities ready made in memory."""
    from cleanlab.multiannotator import get_label_quality_multiannotator

    rows = pl.read_parquet(log).sort("example", "annotator")
    cells = rows["example"].to_numpy(), rows["annotator"].to_numpy()
    matrix = pl.read_parquet(probs).drop("example").to_numpy().astype(np.float64)
    wide = np.full((len(matrix), int(cells[1].max()) + 1), np.nan)
    wide[cells] = rows["label"].to_numpy()

    def run() -> dict[str, Any]:
        return get_label_quality_multiannotator(wide, matrix, verbose=False)

    return Job(run, lambda found: _keep(_long(found, cells), keep))


def _long(found: dict[str, Any], cells: tuple[np.ndarray, np.ndarray]) -> dict[str, pl.DataFrame]:
    """cleanlab's tables in our form."""
    examples, annotators = found["label_quality"], found["annotator_stats"]
    quality = found["detailed_label_quality"].to_numpy()[cells]
    ids = {"example": cells[0], "annotator": cells[1]}
    return {
        "examples": pl.from_pandas(examples.rename_axis("example").reset_index()),
        "annotations": pl.DataFrame({**ids, "label_quality_score": quality}),
        "annotators": pl.from_pandas(annotators.rename_axis("annotator").reset_index()),
    }


# --- agreement -------------------------------------------------------------------------------------

IDS = {
    "examples": ["example"],
    "annotations": ["example", "annotator"],
    "annotators": ["annotator"],
}
COMPARED = {
    "consensus_label": "examples",
    "consensus_quality_score": "examples",
    "label_quality_score": "annotations",
    "annotator_quality": "annotators",
}


def _keep(tables: Mapping[str, pl.DataFrame], folder: str) -> None:
    for name, table in tables.items():
        columns = [c for c, of in COMPARED.items() if of == name]
        kept = table.select(*IDS[name], *columns).sort(IDS[name])
        kept.write_parquet(Path(folder) / f"{name}.parquet")


def difference(one: str, other: str) -> Job:
    """The largest absolute difference of each column compared, infinite if the ids differ."""

    def run() -> dict[str, float]:
        return {column: _largest(column, Path(one), Path(other)) for column in COMPARED}

    return Job(run, dict)


def _largest(column: str, one: Path, other: Path) -> float:
    table = COMPARED[column]
    a, b = (pl.read_parquet(folder / f"{table}.parquet") for folder in (one, other))
    if any(a[c].to_list() != b[c].to_list() for c in IDS[table]):
        return np.inf
    return float(np.abs(a[column].to_numpy() - b[column].to_numpy()).max())


# --- cases -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """One line of a table."""

    against: str
    shape: Shape
    ids: Ids = "integer"

    def __str__(self) -> str:
        rows, annotators, classes = vars(self.shape).values()
        size = f"{rows:,} x {annotators:,}, {classes} classes, {self.ids} ids"
        return f"{size}, against {self.against}"


@dataclass(frozen=True)
class Result:
    """What was measured for a case."""

    case: Case
    annotations: int
    runs: dict[str, list[Measurement]]
    difference: dict[str, float] | None = None

    @property
    def ours(self) -> Measurement:
        return best(self.runs[OURS])

    @property
    def other(self) -> Measurement:
        return best(self.runs[self.case.against])


def cases(options: argparse.Namespace) -> Iterator[Case]:
    if CLEANLAB in options.part:
        yield from cleanlab_cases(options.rows or [MILLION // 10, MILLION], options.full)
    if FLOOR in options.part:
        for rows in options.rows or [MILLION, 10 * MILLION]:
            for classes in options.classes:
                shape = Shape(rows, max(rows // 1000, 20), classes)
                yield from (Case(FLOOR, shape, ids) for ids in options.ids)


def cleanlab_cases(sizes: list[int], full: bool) -> Iterator[Case]:
    shapes = {Shape(n, min(M, n // 50), 5): None for n in sizes for M in (200, 1000)}
    for shape in shapes:
        if full or shape.rows * shape.annotators < FULL_CELLS:
            yield Case(CLEANLAB, shape)
        else:
            say(f"left out without --full: {Case(CLEANLAB, shape)}")


def measure_case(case: Case, root: Path, repeat: int) -> Result:
    against = against_floor if case.against == FLOOR else against_cleanlab
    return against(case, root, repeat)


def against_floor(case: Case, root: Path, repeat: int) -> Result:
    found = data(root, case.shape, case.ids)
    calls = {FLOOR: ("crowdlab:floor", found.files), OURS: ("crowdlab:ours", found.files)}
    return Result(case, found.annotations, alternate(str(case), calls, repeat))


def against_cleanlab(case: Case, root: Path, repeat: int) -> Result:
    found = data(root, case.shape, case.ids)
    with tempfile.TemporaryDirectory() as theirs, tempfile.TemporaryDirectory() as own:
        calls = {
            CLEANLAB: ("crowdlab:cleanlab", {**found.files, "keep": theirs}),
            OURS: ("crowdlab:ours", {**found.files, "keep": own}),
        }
        runs = alternate(str(case), calls, repeat)
        differences = measure("crowdlab:difference", {"one": own, "other": theirs}).report
    check_agreement(case, differences)
    return Result(case, found.annotations, runs, differences)


def check_agreement(case: Case, differences: Mapping[str, float]) -> None:
    """Labels must be equal, scores within the tolerance."""
    scores = max(d for column, d in differences.items() if column != "consensus_label")
    if not (differences["consensus_label"] == 0 and scores <= TOLERANCE):
        sys.exit(f"{case}: the numbers do not agree: {differences}")


# --- targets ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    """What a case is to reach."""

    case: Case
    most: float | None = None
    """Wall time by that of the floor."""
    peak: float | None = None
    """GB."""
    times: float | None = None
    """How many times as fast as the other."""

    def bounds(self, result: Result) -> Iterator[Bound]:
        ours, other = result.ours, result.other
        if self.most is not None:
            ratio, cpu = ours.wall / other.wall, ours.cpu / other.cpu
            yield Bound(f"{self.case}: wall by floor", ratio, self.most, cpu=cpu)
        if self.peak is not None:
            yield Bound(f"{self.case}: peak, GB", ours.peak, self.peak)
        if self.times is not None:
            yield Bound(f"{self.case}: times as fast", speed_up(result), least=self.times)


def wall_ratio(result: Result) -> float:
    return result.ours.wall / result.other.wall


def speed_up(result: Result) -> float:
    return result.other.wall / result.ours.wall


def of_floor(rows: int, classes: int = 5, ids: Ids = "integer") -> Case:
    return Case(FLOOR, Shape(rows, rows // 1000, classes), ids)


LARGE, HALF = 10 * MILLION, 5 * MILLION
TARGETS = (
    Target(of_floor(LARGE), 2.0, 1.3),
    Target(of_floor(LARGE, ids="padded"), 2.5),
    Target(of_floor(HALF, ids="digits"), 2.5),
    Target(of_floor(HALF, ids="uuid"), 2.8),
    Target(of_floor(HALF, ids="url"), 2.8),
    Target(of_floor(HALF, ids="path"), 2.8),
    Target(of_floor(LARGE, 100), 3.0, 1.6),
    Target(of_floor(LARGE, 100, "padded"), 3.2, 1.6),
    Target(of_floor(MILLION), 2.5),
    Target(of_floor(MILLION, 100), 3.0),
    Target(Case(CLEANLAB, Shape(MILLION, 1000, 5)), times=300),
)


def bounds(root: Path, repeat: int) -> Iterator[Bound]:
    """Every target, measured."""
    for target in TARGETS:
        yield from target.bounds(measure_case(target.case, root, repeat))


# --- report ----------------------------------------------------------------------------------------


def report(results: Mapping[Case, Result], about: Mapping[str, str]) -> str:
    """All tables as Markdown."""
    of_cleanlab = [r for r in results.values() if r.case.against == CLEANLAB]
    of_floor = [r for r in results.values() if r.case.against == FLOOR]
    parts = [", ".join(f"{name} {value}" for name, value in about.items())]
    if of_cleanlab:
        parts.append(cleanlab_table(of_cleanlab))
    if of_floor:
        parts.append(floor_table(of_floor))
    return "\n\n".join([*parts, target_table(results)])


def cleanlab_table(results: list[Result]) -> str:
    header = ["annotations", "annotators", "classes", *pair("wall s", CLEANLAB), "times faster"]
    header += [*pair("CPU s", CLEANLAB), *pair("peak GB", CLEANLAB), "largest difference"]
    rows = []
    for r in results:
        row = [f"{r.annotations:,}", f"{r.case.shape.annotators:,}", str(r.case.shape.classes)]
        row += [*seconds(r.other.wall, r.ours.wall), f"{speed_up(r):,.0f}"]
        row += [*seconds(r.other.cpu, r.ours.cpu), *seconds(r.other.peak, r.ours.peak)]
        rows.append([*row, f"{max((r.difference or {}).values()):.0e}"])
    return markdown(header, rows)


def floor_table(results: list[Result]) -> str:
    header = ["annotations", "annotators", "classes", "ids", *pair("wall s", FLOOR), "ratio"]
    header += [*pair("CPU s", FLOOR), "ratio", *pair("peak GB", FLOOR)]
    rows = []
    for r in results:
        row = [f"{r.annotations:,}", f"{r.case.shape.annotators:,}", str(r.case.shape.classes)]
        row += [r.case.ids, *seconds(r.other.wall, r.ours.wall), f"{wall_ratio(r):.1f}"]
        row += [*seconds(r.other.cpu, r.ours.cpu), f"{r.ours.cpu / r.other.cpu:.1f}"]
        rows.append([*row, *seconds(r.other.peak, r.ours.peak)])
    return markdown(header, rows)


def pair(what: str, other: str) -> list[str]:
    return [f"{what}: {other}", OURS]


def seconds(other: float, own: float) -> list[str]:
    return [f"{other:.2f}", f"{own:.2f}"]


def target_table(results: Mapping[Case, Result]) -> str:
    return markdown(BOUNDS, (bound.line for bound in met_or_not(results)))


def met_or_not(results: Mapping[Case, Result]) -> Iterator[Bound]:
    """The targets of what was measured."""
    for target in TARGETS:
        if target.case in results:
            yield from target.bounds(results[target.case])


def as_json(results: Mapping[Case, Result], about: Mapping[str, str]) -> str:
    return json.dumps({**about, "results": [asdict(r) for r in results.values()]}, indent=1)


# --- command line ----------------------------------------------------------------------------------


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    cache = Path(tempfile.gettempdir()) / "polars-crowd-benchmarks"
    add = parser.add_argument
    add("--part", nargs="+", choices=PARTS, default=PARTS, help="what to compare with")
    add("--full", action="store_true", help="cleanlab at 1M x 1,000 too: minutes and 7 GB")
    add("--rows", nargs="+", type=int, metavar="N", help="annotations, instead of 100k to 10M")
    add("--classes", nargs="+", type=int, metavar="K", default=[5, 100], help="for the floor")
    add("--ids", nargs="+", choices=get_args(Ids), default=USUAL_IDS, help="for the floor")
    add("--repeat", type=int, metavar="N", default=3, help="runs of each; the best counts")
    add("--check", action="store_true", help="exit with 1 if a target is missed")
    add("--json", type=Path, metavar="FILE", help="write every single run there")
    add("--data", type=Path, metavar="DIR", default=cache, help="where data are kept: %(default)s")
    return parser.parse_args(arguments)


def main() -> None:
    options = parse()
    about = environment()
    results = {case: measure_case(case, options.data, options.repeat) for case in cases(options)}
    print(report(results, about))
    if options.json:
        options.json.write_text(as_json(results, about))
    if options.check and not all(bound.is_met for bound in met_or_not(results)):
        sys.exit(1)


if __name__ == "__main__":
    main()
