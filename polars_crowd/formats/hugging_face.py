"""Datasets of the Hugging Face Hub: tables with a row an annotation, or with lists of annotations in a row.

Columns of classes hold integers; their names lie in the metadata of Parquet files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import polars as pl

from polars_crowd.errors import Advice, AnnotationError, shown
from polars_crowd.formats.answers import (
    TEXT,
    Answers,
    blank_as_null,
    first_true,
    one,
    sent,
    translated,
)
from polars_crowd.formats.export import ExportOptions
from polars_crowd.formats.look import Look, anything
from polars_crowd.formats.reader import reads
from polars_crowd.formats.records import Records
from polars_crowd.inputs.sources import open_frame

ANNOTATORS = (
    "annotator_id",
    "rater_id",
    "worker_id",
    "WorkerId",
    "user_id",
    "annotator",
    "worker",
    "rater",
)
EXAMPLES = (
    "id",
    "example_id",
    "item_id",
    "comment_id",
    "text_id",
    "post_id",
    "pairID",
    "uid",
    "idx",
)
LABELS = ("label", "labels", "annotator_labels", "annotations", "annotation", "answer", "rating")
LISTS = ("annotators", *ANNOTATORS)
"""Lists of annotators beside lists of labels, or lists of both."""
TITLE = "Hugging Face datasets"
UNCLEAR = "example_very_unclear"
NO_MAJORITY = "-"
NAMES = Advice("Name the columns", python="example=..., worker=..., labels=[...]")


def _is_like(look: Look) -> bool:
    if look.kind not in ("table", "lines", "array", "object") or look.has("task", "worker"):
        return False
    schema = look.schema or _schema(look)
    return schema is not None and Columns.of(schema, None, None, None) is not None


@reads("hugging_face", TITLE, _is_like, accepts=anything, is_plain=True)
def read_hugging_face(
    look: Look,
    *,
    example: str | None = None,
    worker: str | None = None,
    labels: Sequence[str] | None = None,
    **options: Unpack[ExportOptions],
) -> Answers:
    """Read a table of the Hugging Face Hub: Parquet, JSON lines or CSV.

    Its rows are annotations, with a column of annotators; or examples with a list of annotations, a struct of
    lists, parallel lists of labels and annotators, or a list of labels alone, whose annotators are then the
    places in the list, `1`, `2`, ... Columns of 0 and 1 are the members of a set of classes.

    Parameters
    ----------
    example, worker
        The columns of examples and annotators, where they have no usual name (`id`, `item_id`, ...;
        `annotator_id`, `rater_id`, `worker_id`, ...).
    labels
        The columns of labels, each a question, where they have no usual name and are no columns of classes.

    Returns
    -------
    Export
        Classes are called by their names. `gold_label` is gold, but for `-`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "train.jsonl")
    >>> _ = path.write_text('{"pairID": "p", "annotator_labels": ["yes", "no"], "gold_label": "-"}')
    >>> read_hugging_face(path).log.select("example", "annotator", "label").collect().rows()
    [('p', '1', 'yes'), ('p', '2', 'no')]
    """
    if example is worker is labels is None:
        look.check(TITLE, _is_like)
    table = _table(look)
    known = Columns.of(table.collect_schema(), example, worker, labels)
    if known is None:
        raise AnnotationError(
            f"{look}: which columns are examples, annotators and labels cannot be told of "
            f"{shown(list(table.collect_schema()), 50)}.",
            NAMES,
        )
    schema = table.collect_schema()
    named = {name for name in (known.example, known.annotator, *known.labels) if name is not None}
    if missing := sorted(named - _names_in(schema)):
        raise AnnotationError(
            f"{look} has no {shown(missing)}, but {shown(list(schema), 50)}.", NAMES
        )
    rows = known.long(table)
    features = _features(look)
    answers = (
        _one_hot(rows, known.labels)
        if known.are_members
        else pl.concat([_answers(rows, label, _names(features, label)) for label in known.labels])
    )
    return Answers(rows=answers, gold=_gold(table, known))


@dataclass(frozen=True)
class Columns:
    """Which columns are what, and how the annotations lie in them."""

    example: str
    annotator: str | None
    labels: tuple[str, ...]
    lists: tuple[str, ...] = ()
    """The columns of lists that go together."""
    inside: str | None = None
    """The column of structs, or of lists of structs, that holds annotators and labels."""
    are_members: bool = False
    """Whether the labels are columns of 0 and 1."""

    @classmethod
    def of(
        cls,
        schema: pl.Schema,
        example: str | None,
        worker: str | None,
        labels: Sequence[str] | None,
    ) -> Columns | None:
        """What can be told by the names and types of columns."""
        example = example or _example(schema)
        if example is None:
            return None
        for column, fields in _nested(schema).items():
            who = worker or _first(fields, ANNOTATORS)
            said = tuple(labels or (name for name in fields if name != who))
            if who in fields:
                return cls(example, who, said, inside=column)
        said = tuple(labels or [name for name in schema if name in LABELS])
        lists = tuple(name for name in said if isinstance(schema.get(name), pl.List))
        if lists:
            who = worker or _first(schema, LISTS)
            return cls(example, who, lists, lists=(*lists, *([who] if who else [])))
        who = worker or _first(schema, ANNOTATORS)
        if who is None:
            return None
        if said:
            return cls(example, who, said)
        left = [name for name in schema if name not in (example, who, UNCLEAR)]
        members = tuple(
            name for name in left if schema[name].is_integer() or schema[name] == pl.Boolean
        )
        return cls(example, who, members, are_members=True) if len(members) > 1 else None

    def long(self, table: pl.LazyFrame) -> pl.LazyFrame:
        """A row an annotation, with `example`, `annotator` and the labels."""
        schema = table.collect_schema()
        texts = ["text"] if schema.get("text") == TEXT else []
        kept = [pl.col(self.example).cast(TEXT).alias("example"), *map(pl.col, texts)]
        who = [] if self.annotator is None else [self.annotator]
        if self.inside is not None:
            rows = table.select(*kept, self.inside)
            if isinstance(schema[self.inside], pl.List):
                rows = rows.explode(self.inside, empty_as_null=False).unnest(self.inside)
            else:
                rows = rows.unnest(self.inside).explode(*who, *self.labels, empty_as_null=False)
        elif self.lists:
            rows = table.select(*kept, *self.lists)
            if self.annotator is None:
                places = pl.int_ranges(1, pl.col(self.labels[0]).list.len() + 1).alias("annotator")
                rows = rows.with_columns(places).explode(
                    "annotator", *self.labels, empty_as_null=False
                )
                return rows.with_columns(pl.col("annotator").cast(TEXT))
            rows = rows.explode(*self.lists, empty_as_null=False)
        else:
            unclear = [UNCLEAR] if UNCLEAR in schema else []
            rows = table.select(*kept, *who, *self.labels, *unclear)
        return rows.with_columns(pl.col(str(self.annotator)).cast(TEXT).alias("annotator"))


def _nested(schema: pl.Schema) -> dict[str, Sequence[str]]:
    """The columns that hold structs, with the names of their fields."""
    inner = {
        name: dtype.inner if isinstance(dtype, pl.List) else dtype for name, dtype in schema.items()
    }
    return {
        name: [f.name for f in d.fields] for name, d in inner.items() if isinstance(d, pl.Struct)
    }


def _names_in(schema: pl.Schema) -> set[str]:
    """The names of columns, and of what lies in them."""
    return {*schema, *(name for fields in _nested(schema).values() for name in fields)}


def _first(names: Any, known: Sequence[str]) -> str | None:
    return next((name for name in known if name in names), None)


def _example(schema: pl.Schema) -> str | None:
    """The column of examples: one of a usual name, or the only other that ends like an id."""
    usual = _first(schema, EXAMPLES)
    if usual is not None:
        return usual
    ids = [n for n in schema if n.lower().endswith("id") and n not in ANNOTATORS]
    return ids[0] if len(ids) == 1 else None


# --- answers --------------------------------------------------------------------------------------


def _answers(rows: pl.LazyFrame, label: str, names: Sequence[str] | None) -> pl.LazyFrame:
    """The answers in a column of labels."""
    dtype, value = rows.collect_schema()[label], pl.col(label)
    if names is not None:
        numbered = {str(number): name for number, name in enumerate(names)}
        value = translated(value.cast(pl.Int64).cast(TEXT), numbered)
    kind = "number" if dtype.is_float() and names is None else "class"
    if isinstance(dtype, pl.List):
        kind, values = "set", value.cast(pl.List(TEXT))
    else:
        values = one(blank_as_null(value.cast(TEXT)))
    kept = [name for name in ("example", "annotator", "text") if name in rows.collect_schema()]
    return rows.select(
        *kept, question=pl.lit(label), kind=pl.lit(kind), values=values
    ).with_columns(status=sent(pl.col("values")))


def _one_hot(rows: pl.LazyFrame, members: Sequence[str]) -> pl.LazyFrame:
    """Sets of classes, whose members are columns of 0 and 1."""
    schema = rows.collect_schema()
    chosen = [pl.when(pl.col(name).cast(pl.Boolean)).then(pl.lit(name)) for name in members]
    said = pl.col(UNCLEAR) if UNCLEAR in schema else pl.lit("false")
    unclear = said.cast(TEXT).str.to_lowercase().is_in(["true", "1"])
    kept = [name for name in ("example", "annotator", "text") if name in schema]
    return rows.select(
        *kept,
        question=pl.lit("labels"),
        kind=pl.lit("set"),
        values=pl.when(~unclear).then(pl.concat_list(chosen).list.drop_nulls()),
        status=first_true(skipped=unclear),
    )


def _gold(table: pl.LazyFrame, known: Columns) -> pl.LazyFrame | None:
    """The labels that the table says are gold, of its first question."""
    if table.collect_schema().get("gold_label") != TEXT:
        return None
    said = table.filter(pl.col("gold_label") != NO_MAJORITY)
    return said.select(
        question=pl.lit(known.labels[0]),
        example=pl.col(known.example).cast(TEXT),
        values=pl.concat_list("gold_label"),
    )


# --- names of classes -------------------------------------------------------------------------------


def _table(look: Look) -> pl.LazyFrame:
    """The rows, with types: those of JSON are seen, and so are those of text."""
    if look.schema:
        return look.table()
    if look.kind == "table":
        look.check_end()
        return open_frame(str(look.path), str(look.path))
    return Records(look.path, None).read().lazy()


def _features(look: Look) -> Mapping[str, Any]:
    """What the metadata of a Parquet file say of its columns."""
    if not look.is_parquet:
        return {}
    said = json.loads(pl.read_parquet_metadata(look.path).get("huggingface", "{}"))
    found: Mapping[str, Any] = said.get("info", {}).get("features", {})
    return found


def _names(features: Any, label: str) -> list[str] | None:
    """The names of the classes of a column, or of a field in it, however deep it lies."""
    if isinstance(features, list):
        features = features[0] if features else {}
    if not isinstance(features, dict):
        return None
    if label in features:
        return _class_names(features[label])
    for inner in features.values():
        if (found := _names(inner, label)) is not None:
            return found
    return None


def _class_names(feature: Any) -> list[str] | None:
    if isinstance(feature, list):
        return _class_names(feature[0]) if feature else None
    if not isinstance(feature, dict):
        return None
    return feature["names"] if "names" in feature else _class_names(feature.get("feature"))


def _type(cells: pl.Series) -> pl.DataType:
    """The type of cells: truth values, whole numbers, or text."""
    if cells.len() and cells.str.contains("(?i)^(true|false)$").all():
        return pl.Boolean()
    return pl.Int64() if cells.len() and cells.str.contains(r"^-?\d+$").all() else TEXT


def _schema(look: Look) -> pl.Schema | None:
    """The types of the first record, or of the first rows of a table."""
    if look.kind == "table":
        return pl.Schema({c.name: _type(c.drop_nulls()) for c in look.first_rows})
    return pl.DataFrame([look.first], strict=False).schema if look.first else None
