"""How annotations become partitions of a store: spooled by the rule, then sorted one partition at a time.

Nothing is ever held whole. The log streams once into a raw file per partition; then each partition that
received rows is read together with what the store has of it, checked, sorted and written as two new files.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_hex
from typing import Any

import polars as pl

from polars_crowd.compatible import HORIZONTAL
from polars_crowd.errors import AnnotationError
from polars_crowd.inputs import checks
from polars_crowd.inputs.anonymous import is_anonymous, numbered
from polars_crowd.inputs.checks import Duplicates
from polars_crowd.inputs.log import LOG_COLUMNS
from polars_crowd.inputs.pred_probs import PROBABILITIES, PredProbs, as_columns
from polars_crowd.inputs.probabilities import read_probabilities, with_ids_like
from polars_crowd.rounds.files import write_whole
from polars_crowd.rounds.progress import tracked
from polars_crowd.runs.classes import sort_runs
from polars_crowd.runs.codes import Codebook
from polars_crowd.runs.numbers import sort_values
from polars_crowd.store.manifest import FILES, SPOOL, File, Manifest, Part, named
from polars_crowd.store.partition import ID, POSITION, StoredPartition, model_column
from polars_crowd.store.rule import partition_of

ORDER = "polars_crowd_order"
"""Which row came first, where an annotator labelled an example more than once."""
PARTITION = "polars_crowd_partition"
PAIR = ("example", "annotator")


# --- spooling --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spool:
    """Raw rows by partition, in a directory that is removed in the end."""

    path: Path
    n: int

    def write(self, name: str, frame: pl.LazyFrame, example: pl.DataType) -> None:
        """Stream a frame into a file per partition, by its column `example`."""
        target = pl.PartitionBy(
            self.path / name,
            key=partition_of("example", example, self.n).alias(PARTITION),
            include_key=False,
            file_path_provider=_spool_file,
            approximate_bytes_per_file=None,
        )
        frame.sink_parquet(target, mkdir=True, compression="lz4")

    def scan(self, name: str, part: int) -> pl.LazyFrame | None:
        """The rows of a partition, if it has any."""
        files = sorted((self.path / name / str(part)).glob("*"), key=lambda file: int(file.stem))
        return pl.scan_parquet(files, glob=False) if files else None

    def touched(self, names: Sequence[str]) -> list[int]:
        """The partitions that have rows."""
        found = {int(folder.name) for name in names for folder in (self.path / name).glob("*")}
        return sorted(found)


def _spool_file(args: Any) -> str:
    return f"{args.partition_keys[PARTITION].item()}/{args.index_in_partition}.parquet"


@contextmanager
def spooling(store: Path, n: int) -> Iterator[Spool]:
    path = store / f"{SPOOL}{token_hex(4)}"
    try:
        yield Spool(path, n)
    finally:
        shutil.rmtree(path, ignore_errors=True)


# --- building --------------------------------------------------------------------------------------


@dataclass
class Builder:
    """Builds the next generation of a store."""

    store: Path
    manifest: Manifest
    annotators: pl.Series
    """By code; grows with every partition."""
    duplicates: Duplicates
    handles: dict[int, StoredPartition]
    progress: bool = False

    def build(self, log: pl.LazyFrame | None, models: Sequence[PredProbs]) -> Manifest:
        """Spool the rows and build the partitions they fall into."""
        (self.store / FILES).mkdir(parents=True, exist_ok=True)
        example = self.manifest.schema["example"]
        names = ["log", *(f"model_{m}" for m in range(len(models)))]
        with spooling(self.store, len(self.manifest.parts)) as spool:
            if log is not None:
                numbered = log.with_row_index(ORDER) if self._needs_order else log
                spool.write("log", numbered, example)
            for name, probs in zip(names[1:], models, strict=True):
                columns = [PROBABILITIES] if probs.is_array else list(probs.names)
                frame = with_ids_like(probs, example).select("example", *columns)
                spool.write(name, frame, example)
            touched = spool.touched(names)
            built = (self._part(i, spool, models) for i in touched)
            done = tracked(built, "partitions", len(touched), self.progress)
            try:
                parts = dict(zip(touched, done, strict=True))
            except AnnotationError:
                self._refuse_repeated(spool)
                raise
        annotators = self._write("annotators", self.annotators.alias("annotator").to_frame())
        return self.manifest.with_parts(parts, annotators)

    @property
    def _is_anonymous(self) -> bool:
        return is_anonymous(self.manifest.schema["annotator"])

    @property
    def _needs_order(self) -> bool:
        return self.duplicates != "error"

    def _refuse_repeated(self, spool: Spool) -> None:
        """The error about duplicates, if there are any: counted in all partitions."""
        if self.duplicates == "error" and not self._is_anonymous:
            touched = spool.touched(["log"])
            rows = [repeated(self._stored(i), self._coming(i, spool)) for i in touched]
            if any(found.height for found in rows):
                raise checks.duplicate_annotations(pl.concat(rows).lazy()) from None

    def _part(self, number: int, spool: Spool, models: Sequence[PredProbs]) -> Part:
        log = self._log(number, spool)
        probs = [self._probs(number, spool, m, model) for m, model in enumerate(models)]
        if not models and number in self.handles:
            probs = self._stored_probs(self.handles[number])
        annotations, annotated = self._sorted(log, number)
        probs = [replace(p, independent=self.manifest.sets is not None) for p in probs]
        examples = with_probabilities(annotated, probs, self.manifest.classes or ())
        return Part(
            self._write(f"{number:04d}-annotations", annotations),
            self._write(f"{number:04d}-examples", examples),
            annotated.height,
            self.annotators.len(),
        )

    # --- what a partition is made of ---

    def _stored(self, number: int) -> pl.LazyFrame | None:
        """The rows of the store."""
        if number not in self.handles or not self.handles[number].annotated:
            return None
        return self.handles[number].scan(list(self.manifest.schema))

    def _coming(self, number: int, spool: Spool) -> pl.LazyFrame | None:
        """The rows that come in."""
        coming = spool.scan("log", number)
        if coming is not None and self._needs_order:
            coming = coming.sort(ORDER)
        if coming is not None and self._is_anonymous:
            coming = numbered(coming)
        return None if coming is None else coming.select(list(self.manifest.schema))

    def _log(self, number: int, spool: Spool) -> pl.LazyFrame | None:
        """Both together; where an (example, annotator) comes again, as `duplicates` says."""
        stored, coming = self._stored(number), self._coming(number, spool)
        if stored is None or coming is None:
            return stored if coming is None else coming
        if self._is_anonymous:
            return numbered(pl.concat([stored, coming]))
        coming = checks.without_duplicates(coming, self.duplicates)
        if self.duplicates == "first":
            coming = coming.join(stored, on=PAIR, how="anti", maintain_order="left")
        elif self.duplicates == "last":
            stored = stored.join(coming, on=PAIR, how="anti", maintain_order="left")
        elif self.duplicates == "error" and repeated(stored, coming).height:
            self._refuse_repeated(spool)
        return pl.concat([stored, coming])

    def _probs(self, number: int, spool: Spool, m: int, model: PredProbs) -> PredProbs:
        """The probabilities that come in, and the store's for the examples that have none of these."""
        coming = spool.scan(f"model_{m}", number)
        stored = self._stored_probs(self.handles[number])[m] if number in self.handles else None
        if coming is None:
            return stored or PredProbs(model.frame.clear(), model.names, model.is_array)
        given = PredProbs(coming, model.names, model.is_array)
        if stored is None:
            return given
        wide = as_columns(given).select("example", *stored.names)
        rest = stored.frame.join(wide, on="example", how="anti")
        return PredProbs(pl.concat([wide, rest], how="vertical_relaxed"), stored.names)

    def _stored_probs(self, handle: StoredPartition) -> list[PredProbs]:
        models = range(self.manifest.models)
        return [PredProbs(handle.scan_probs(m), handle.class_names) for m in models]

    def _learn_annotators(self, log: pl.LazyFrame) -> None:
        """New annotators get the next codes."""
        found = log.select(pl.col("annotator").unique().drop_nulls()).collect()["annotator"]
        new = found.filter(~found.is_in(self.annotators.implode())).sort()
        self.annotators = pl.concat([self.annotators, new])

    def _sorted(self, log: pl.LazyFrame | None, number: int) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The files' annotations, and the annotated examples."""
        if log is None:
            return self._no_annotations()
        self._learn_annotators(log)
        duplicates = self.duplicates if self._stored(number) is None else "all"
        if self.manifest.classes is None:
            return self._sorted_values(log, duplicates)
        assert self.manifest.labels is not None
        book = Codebook(self.manifest.labels, self.manifest.classes, self.annotators)
        runs = sort_runs(log, duplicates=duplicates, book=book)
        rows = runs.rows.lazy().select(
            pl.lit(runs.votes["example"]).gather("vote").alias(POSITION),
            "annotator",
            pl.lit(book.classes.gather(runs.votes["label"])).gather("vote").alias("label"),
        )
        return pl.concat([rows, runs.extra], how=HORIZONTAL).collect(), runs.examples

    def _sorted_values(
        self, log: pl.LazyFrame, duplicates: Duplicates
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        values = sort_values(
            log.select(LOG_COLUMNS), duplicates=duplicates, annotators=self.annotators
        )
        codes = pl.DataFrame({"annotator": values.annotators}).with_row_index(ID)
        ids = values.examples.select("example").with_row_index(POSITION)
        rows = checks.without_duplicates(log, duplicates, numeric=True)
        rows = rows.join(codes.lazy(), on="annotator", maintain_order="left")
        rows = rows.join(ids.lazy(), on="example", maintain_order="left")
        annotations = rows.sort(POSITION, "label", ID, maintain_order=True).select(
            POSITION,
            pl.col(ID).alias("annotator"),
            pl.exclude("example", "annotator", ID, POSITION),
        )
        return annotations.collect(), values.examples

    def _no_annotations(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Of a partition all of whose examples are unlabelled."""
        schema = {**self.manifest.schema, "annotator": pl.UInt32()}
        example = schema.pop("example")
        annotations = pl.DataFrame(schema={POSITION: pl.UInt32(), **schema})
        examples = {"example": example, "num_annotations": pl.UInt32()}
        return annotations, pl.DataFrame(schema=examples)

    # --- writing ---

    def _write(self, name: str, frame: pl.DataFrame) -> File:
        path = self.store / FILES / named(name, self.manifest.generation + 1)
        write_whole(path, lambda unfinished: frame.write_parquet(unfinished, compression="lz4"))
        return File.of(path, frame.height)


def repeated(stored: pl.LazyFrame | None, coming: pl.LazyFrame | None) -> pl.DataFrame:
    """The annotations of each (example, annotator) that comes more than once, or again."""
    assert coming is not None
    rows = coming.select(LOG_COLUMNS)
    if stored is not None:
        known = stored.select(LOG_COLUMNS).join(rows, on=PAIR, how="semi")
        rows = pl.concat([known, rows])
    return rows.filter(pl.len().over(PAIR) > 1).collect()


def with_probabilities(
    annotated: pl.DataFrame, models: Sequence[PredProbs], names: tuple[str, ...]
) -> pl.DataFrame:
    """The annotated examples, then the others that the models know, with the models' columns."""
    rest = unlabelled(annotated["example"], models)
    zero = pl.lit(0, annotated.schema["num_annotations"]).alias("num_annotations")
    examples = pl.concat([annotated, rest.to_frame().select("example", zero)])
    kinds = ((annotated["example"], "annotated example"), (rest, "unlabelled example"))
    columns = []
    for m, probs in enumerate(models):
        matrices = [
            read_probabilities(probs, ids, names, kind=kind) for ids, kind in kinds if len(ids)
        ]
        columns += [
            pl.concat([pl.Series(p[:, k]) for p in matrices]).alias(model_column(m, k))
            for k in range(len(names))
        ]
    return examples.hstack(columns)


def unlabelled(annotated: pl.Series, models: Sequence[PredProbs]) -> pl.Series:
    """The examples of the models that have no annotation, sorted."""
    if not models:
        return annotated.clear()
    known = pl.concat([probs.frame.select("example") for probs in models]).unique()
    rest = known.join(annotated.to_frame().lazy(), on="example", how="anti")
    return rest.collect()["example"].sort()
