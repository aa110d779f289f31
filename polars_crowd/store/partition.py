"""A partition of a store, as methods see it: read from its two files, as sorted runs or sorted values.

The annotations of a partition lie sorted by (example, label, annotator), with the columns POSITION (of the
example among the partition's examples), `annotator` (code), `label`, then the log's others. Its examples lie
sorted by id, those with annotations first: `example`, `num_annotations`, then the models' probabilities,
`model_0_0`, `model_0_1`, ... So there is nothing left to sort, and no id to look up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from polars_crowd.arrays import Probabilities
from polars_crowd.compatible import Engine, engine_for
from polars_crowd.errors import Advice, AnnotationError
from polars_crowd.rounds.partitions import Handle
from polars_crowd.runs.classes import Runs, pack_votes
from polars_crowd.runs.codes import Codebook, label_code
from polars_crowd.runs.numbers import Values, check_numeric
from polars_crowd.store.files import DataFiles
from polars_crowd.store.manifest import File

POSITION = "polars_crowd_position"
ID = "polars_crowd_id"


def model_column(model: int, label: int) -> str:
    """The column of a model's probability of a class.

    >>> model_column(0, 2)
    'model_0_2'
    """
    return f"model_{model}_{label}"


@dataclass(frozen=True)
class StoredPartition(Handle):
    """Where a partition's files are. Small: it travels to the workers."""

    name: str
    fingerprint: str
    files: DataFiles
    annotations: File
    examples: File
    annotated: int
    annotators: File
    label: pl.DataType
    classes: pl.Series | None
    class_names: tuple[str, ...]
    n_models: int
    work: Path | None

    @property
    def engine(self) -> Engine:
        return engine_for(self.annotations.rows)

    @property
    def has_runs(self) -> bool:
        return self.classes is not None

    def runs(self) -> Runs:
        if self.classes is None:
            raise AnnotationError(
                "holds numbers, not classes.",
                Advice(
                    "Use a method for numbers, or make the store anew and declare the classes",
                    python="pc.AnnotationStore.create(path, log, classes=[...])",
                    command="polars-crowd store create STORE LOG --classes A,B,C",
                ),
                source="the store",
                column="label",
            )
        code = label_code(self.label, self.classes).alias("label")
        rows = self._rows(POSITION, "annotator", code)
        vote, votes = pack_votes(rows[POSITION], rows["label"])
        examples = self._examples()
        return Runs(
            rows=pl.DataFrame({"vote": vote, "annotator": rows["annotator"]}),
            extra=self.files.scan(self.annotations).drop(POSITION, "annotator", "label"),
            votes=votes,
            examples=examples.select("example", "num_annotations"),
            models=self._models(examples),
            book=self.book(),
        )

    def values(self) -> Values:
        check_numeric(self.label)
        order = (POSITION, "annotator", pl.col("label").cast(pl.Float64))
        with self.files.reading(self.annotations):
            sorted_rows = self.files.scan(self.annotations).sort(order, maintain_order=True)
            rows = sorted_rows.select(order).collect(engine=self.engine)
        return Values(
            rows=rows.rename({POSITION: "example", "label": "value"}),
            extra=sorted_rows.drop(POSITION, "annotator", "label"),
            examples=self._examples().select("example", "num_annotations"),
            annotators=self.files.annotators(self.annotators),
        )

    def unlabelled(self) -> tuple[pl.Series, tuple[Probabilities, ...]]:
        """The examples without annotations, and the models' probabilities of them."""
        with self.files.reading(self.examples):
            rest = self.files.scan(self.examples).slice(self.annotated).collect()
        return rest["example"], self._models(rest)

    def book(self) -> Codebook:
        assert self.classes is not None, "runs are of classes"
        annotators = self.files.annotators(self.annotators)
        return Codebook(self.classes, self.class_names, annotators)

    def scan(self, names: Sequence[str]) -> pl.LazyFrame:
        """These columns of the annotations, as they were given."""
        rows, columns = self.files.scan(self.annotations), dict[str, pl.Expr]()
        if "example" in names:
            with self.files.reading(self.examples):
                ids = self.files.scan(self.examples).select("example").collect()["example"]
            columns["example"] = pl.lit(ids).gather(POSITION)
        if "annotator" in names:
            annotators = self.files.annotators(self.annotators)
            columns["annotator"] = pl.lit(annotators).gather("annotator")
        return rows.select(columns.get(name, pl.col(name)).alias(name) for name in names)

    def scan_probs(self, model: int) -> pl.LazyFrame:
        """`example` and a model's probability of each class, of all examples."""
        columns = {name: model_column(model, k) for k, name in enumerate(self.class_names)}
        return self.files.scan(self.examples).select("example", **columns)

    def _rows(self, *columns: str | pl.Expr) -> pl.DataFrame:
        return self.collected(self.files.scan(self.annotations).select(*columns))

    def collected(self, rows: pl.LazyFrame) -> pl.DataFrame:
        """Rows of the annotations, or an error that names their file."""
        with self.files.reading(self.annotations):
            return rows.collect(engine=self.engine)

    def _examples(self) -> pl.DataFrame:
        with self.files.reading(self.examples):
            rows = self.files.scan(self.examples).head(self.annotated)
            return rows.collect(engine=engine_for(self.annotated))

    def _models(self, examples: pl.DataFrame) -> tuple[Probabilities, ...]:
        K = len(self.class_names)
        columns = ([model_column(m, k) for k in range(K)] for m in range(self.n_models))
        with self.files.reading(self.examples):
            return tuple(_floats(examples.select(names)) for names in columns)


def _floats(probabilities: pl.DataFrame) -> Probabilities:
    matrix = probabilities.to_numpy()
    return matrix if matrix.dtype in (np.float32, np.float64) else matrix.astype(np.float64)
