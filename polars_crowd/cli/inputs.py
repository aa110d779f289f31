"""What a command reads: LOG, which is a store or files, with the options that say what the files hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import polars as pl
import typer

import polars_crowd as pc
from polars_crowd.cli.common import note
from polars_crowd.cli.reading import COLUMNS, EXPORT, OF_SINGLE, SETS, TEXT
from polars_crowd.errors import Advice, AnnotationError, missing_column
from polars_crowd.formats.export import Export
from polars_crowd.formats.registry import seen_as
from polars_crowd.inputs import blame
from polars_crowd.inputs.checks import Duplicates
from polars_crowd.inputs.log import LOG_COLUMNS, open_rows, with_labels_of
from polars_crowd.inputs.matrices import Ids
from polars_crowd.inputs.pred_probs import open_pred_probs
from polars_crowd.inputs.sources import TEXT as TEXT_FILES
from polars_crowd.inputs.sources import is_path, open_frame
from polars_crowd.inputs.tables import first_of, labels_beside
from polars_crowd.inputs.text import Reading
from polars_crowd.rounds.files import reason
from polars_crowd.store.manifest import MANIFEST
from polars_crowd.store.store import AnnotationStore

GROUPS = Advice(
    "A file of groups has a column of examples or of annotators",
    command="--example NAME --annotator NAME, as in the log",
)
ABOUT_FILES = ("pred_probs", "probs_example", "classes", "duplicates", *COLUMNS, *SETS, *TEXT)
"""Options that say what files hold: a store has all this itself."""


# --- which options were given ---------------------------------------------------------------------


def given(call: typer.Context) -> dict[str, str]:
    """The options of a call, each with its name on the command line."""
    found = {}
    for option in call.command.params:
        source = call.get_parameter_source(str(option.name))
        if source is not None and source.name == "COMMANDLINE":
            found[str(option.name)] = next((o for o in option.opts if o.startswith("--")), "LOG")
    return found


def refuse(call: typer.Context, options: Iterable[str], why: str) -> None:
    """An option that has no effect on a call is a mistake."""
    without_effect = set(options)
    wrong = [name for option, name in given(call).items() if option in without_effect]
    if wrong:
        raise typer.BadParameter(f"{', '.join(wrong)}: {why}")


# --- the log --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Input:
    """A log and the models beside it: in a store, or in files of which the options say what they hold."""

    log: Sequence[str]
    example: str = "example"
    annotator: str = "annotator"
    label: str = "label"
    label_type: Literal["number"] | None = None
    multilabel: bool = False
    set_separator: str | None = None
    wide: bool = False
    counts: bool = False
    frequency: str | None = None
    order_by: str | None = None
    decimal_comma: bool = False
    missing: str | None = None
    normalize: str | None = None
    separator: str | None = None
    encoding: str | None = None
    no_header: bool = False
    columns: str | None = None
    comment: str | None = None
    quote: str = '"'
    sheet: str | None = None
    classes: str | None = None
    duplicates: Duplicates | None = None
    pred_probs: Sequence[str] | None = None
    probs_example: str | None = None
    question: str | None = None
    export: str | None = None
    is_as_said: bool = False
    """Whether options say what columns hold, so that LOG is no tool's export."""

    @classmethod
    def of(cls, call: typer.Context, *also: str) -> Input:
        """What the options of a call say, which must have an effect; `also` are those that have one on stores
        as on files."""
        names = [field.name for field in fields(cls)]
        said = {name: call.params[name] for name in names if call.params.get(name) is not None}
        ours = given(call).keys() & {*COLUMNS, *TEXT} - {*EXPORT, "order_by"}
        found = cls(**{"log": (), **said, "is_as_said": bool(ours)})
        if found.is_store:
            refuse(call, set(ABOUT_FILES).difference(also), "not with a store, which has its own.")
            return found
        if "executor" not in also:
            refuse(call, ["executor"], "only for a store, whose partitions it works on.")
        if found.question or found.export:
            refuse(call, {*COLUMNS, *TEXT} - {*EXPORT, "order_by"}, "not with a tool's export.")
        stores = [path for path in found.log if is_store(path)]
        if stores:
            raise typer.BadParameter(f"{stores[0]} is a store, which is read alone.")
        if found.multilabel:
            refuse(call, OF_SINGLE, "not with --multilabel.")
        else:
            refuse(call, ["set_separator"], "only with --multilabel.")
        if found.duplicates not in ("first", "last"):
            refuse(call, ["order_by"], "only with --duplicates first or last.")
        if found.wide:
            refuse(call, ["label"], "not with --wide, whose columns are annotators.")
        if found.counts:
            why = "not with --counts, whose columns are classes."
            refuse(call, ["annotator", "wide", "missing"], why)
        if not found.pred_probs:
            refuse(call, ["probs_example"], "only with --pred-probs.")
        return found

    @property
    def is_store(self) -> bool:
        return len(self.log) == 1 and is_store(self.log[0])

    @property
    def store(self) -> AnnotationStore | None:
        """The store that LOG is, if it is one."""
        return AnnotationStore.open(self.log[0]) if self.is_store else None

    @property
    def names(self) -> dict[str, Any]:
        """What the log's columns are called in the files."""
        annotator = "annotator" if self.annotator == "-" else self.annotator
        return {"example": self.example, "annotator": annotator, "label": self.label}

    def theirs(self, *tables: pl.LazyFrame | pl.DataFrame) -> dict[str, str]:
        """The names that the files have for those of our columns that tables have."""
        there = {column for table in tables for column in table.lazy().collect_schema()}
        given = {"example": self.example} if self.wide or self.counts else self.names
        there &= {ours for ours, name in given.items() if name not in (ours, "-")}
        return {ours: given[ours] for ours in given if ours in there}

    @property
    def how(self) -> dict[str, Any]:
        """How the log's files are to be read."""
        sheet = int(self.sheet) if self.sheet and self.sheet.isdecimal() else self.sheet
        header = {"has_header": not self.no_header, "columns": listed(self.columns)}
        return {**self._dialect, **header, "sheet": sheet}

    @property
    def _labels(self) -> dict[str, Any]:
        """Which labels say that there is none, and which spellings are of one."""
        given = {"missing": listed(self.missing), "normalize": listed(self.normalize)}
        return {name: values for name, values in given.items() if values}

    @property
    def _comma_in_labels(self) -> bool:
        """Without --label-type number a decimal comma is one of PROBS, if these are text."""
        of_probs = any(map(is_text_file, self.pred_probs or ()))
        return self.decimal_comma and not (of_probs and self.label_type is None)

    @property
    def _dialect(self) -> dict[str, Any]:
        """How text is written."""
        quote = None if self.quote == "none" else self.quote
        text = {"separator": self.separator, "encoding": self.encoding, "comment": self.comment}
        return {**text, "quote": quote}

    @property
    def order(self) -> list[str] | None:
        """The classes that are declared."""
        return listed(self.classes)

    @property
    def options(self) -> dict[str, Any]:
        """What functions of a log need to be told: nothing about a store."""
        if self.is_store:
            return {}
        said = {"classes": self.order, "duplicates": self.duplicates}
        return {name: value for name, value in said.items() if value is not None}

    def annotations(self) -> Any:
        """The log."""
        store = self.store
        if store is not None:
            return store
        with reading(self.log):
            if self.multilabel:
                return self._sets()
            source, names, how, labels = self._shaped()
            return pc.scan_annotations(
                source,
                **names,
                label_type=self.label_type,
                decimal_comma=self._comma_in_labels,
                order_by=self.order_by,
                **labels,
                **how,
            )

    def rows(self) -> pl.LazyFrame:
        """The log with the rows that have no label."""
        store = self.store
        with reading(self.log):
            if store is not None:
                return open_rows(store)
            source, names, how, labels = self._shaped()
            rows = open_rows(source, names, Reading(**how), **labels)
            return with_labels_of(rows, self.label_type, self._comma_in_labels)

    def models(self) -> Any:
        """The pred_probs of a model, a list of those of an ensemble, or None."""
        found = []
        for path in self.pred_probs or ():
            with reading_file(path):
                example = self.probs_example or self.example
                reading_ = Reading(**self._dialect) if is_text_file(path) else Reading()
                found.append(
                    open_pred_probs(
                        path,
                        example=example,
                        classes=self.order,
                        decimal_comma=self.decimal_comma and is_text_file(path),
                        reading=reading_,
                    )
                )
        return found if len(found) > 1 else next(iter(found), None)

    def labels(self, known: str | None, what: str, truth_label: str | None) -> Any:
        """Known labels: the name of a column, or a file's, whose columns are called as in the log."""
        if known is None or not is_path(known):
            if truth_label is not None:
                raise typer.BadParameter(f"--truth-label: only with a file as --{what}.")
            return known
        names = {"example": self.example, "label": self.label}
        with reading_file(known):
            return labels_beside(known, what, truth_label=truth_label, **names)

    def groups(self, by: Sequence[str]) -> list[str | pl.DataFrame]:
        """What to group by: columns of the log, and files whose ids are called as in the log."""
        return [self._groups_in(one) if is_path(one) else one for one in by]

    def _groups_in(self, path: str) -> pl.DataFrame:
        """The ids in a file of groups, of examples or of annotators, and its other columns."""
        with reading_file(path):
            frame = open_frame(path, "by")
        columns = list(frame.collect_schema())
        for ours, names in (("example", self.example), ("annotator", self.annotator)):
            ids = first_of([names, ours], columns)
            if ids is not None:
                return frame.select(pl.col(ids).alias(ours), pl.exclude(ids)).collect()
        raise missing_column("by", self.example, columns, GROUPS)

    @contextmanager
    def reading(self, *more: str | None) -> Iterator[None]:
        """Names these files, and others, in errors of Polars."""
        with reading([*self.log, *(self.pred_probs or ()), *(path for path in more if path)]):
            yield

    def _shaped(self) -> tuple[Any, dict[str, Any], dict[str, Any], dict[str, Any]]:
        """A source of rows, its columns, how it is read, and what its labels are; of a table its log."""
        who = {"annotator": None} if self.annotator == "-" else {}
        if not (self.wide or self.counts):
            labels = {"frequency": self.frequency, **self._labels}
            return self._source, {**self.names, **who}, self.how, labels
        normalize = {"normalize": listed(self.normalize) or ()}
        log = self._of_counts() if self.counts else self._of_wide()
        names = {name: name for name in LOG_COLUMNS}
        return log.drop(who), {**names, **who}, {}, normalize

    def _sets(self) -> pl.LazyFrame:
        """A log whose labels are sets of classes."""
        who: dict[str, Any] = {"annotator": None} if self.annotator == "-" else {}
        names = {**self.names, **who}
        return pc.scan_label_sets(
            self._source, **names, set_separator=self.set_separator, **self.how
        )

    def _of_counts(self) -> pl.LazyFrame:
        classes = None if self.label == "label" else listed(self.label)
        return pc.from_counts(self._source, classes=classes, **self._of_table)

    def _of_wide(self) -> pl.LazyFrame:
        annotators = None if self.annotator in ("annotator", "-") else listed(self.annotator)
        missing = listed(self.missing) or ()
        return pc.from_wide(self._source, annotators=annotators, missing=missing, **self._of_table)

    @property
    def _of_table(self) -> dict[str, Any]:
        """Where a table has its ids, how often each row was seen, and how it is read."""
        ids: Ids = False if self.example == "-" else self.example
        example = None if ids == "example" else ids
        return {"example": example, "frequency": self.frequency, **self.how}

    @cached_property
    def exported(self) -> Export | None:
        """What LOG holds, if it is a tool's export; it is said what that is."""
        if (
            self.is_store
            or not self.log
            or (self.is_as_said and not (self.question or self.export))
        ):
            return None
        found = self._seen()
        if found is None:
            if self.question is not None:
                raise typer.BadParameter(
                    f"--question: {', '.join(self.log)} is not seen to be a tool's export."
                )
            return None
        known, files = found
        export = pc.formats.read(files, known, question=self.question)
        note(f"{', '.join(self.log)}: {export}")
        return export

    def _seen(self) -> tuple[str, Any] | None:
        """The tool whose export LOG is, and its files as they were looked at."""
        if self.export is not None:
            return self.export, list(self.log)
        return seen_as(list(self.log), plain=self.question is not None)

    @property
    def _source(self) -> Any:
        if self.exported is not None:
            return self.exported.scan_annotations()
        return self.log[0] if len(self.log) == 1 else list(self.log)


def is_store(path: str) -> bool:
    """Whether there is a store at a path."""
    return (Path(path) / MANIFEST).is_file()


def is_text_file(path: str) -> bool:
    """Whether a path ends like that of a text file."""
    return any(f"{ending}." in f"{path}." for ending in TEXT_FILES)


def listed(names: str | None) -> list[str] | None:
    """Names between commas.

    >>> listed("cat, dog")
    ['cat', 'dog']
    """
    return [name.strip() for name in names.split(",")] if names else None


@contextmanager
def reading(paths: Sequence[str]) -> Iterator[None]:
    """Names the files in errors of Polars, which does not say what it could not read."""
    try:
        yield
    except pl.exceptions.PolarsError as error:
        raise of_files(paths, error) from error


@contextmanager
def reading_file(path: str) -> Iterator[None]:
    """... of a file beside LOG, which can be a store, as this cannot."""
    if is_store(path):
        raise typer.BadParameter(f"{path} is a store, which can be LOG only.")
    with reading([path]):
        yield


def of_files(paths: Sequence[str], error: Exception) -> AnnotationError:
    """An error of Polars as one that names the file that it is about, if that is found, else all of them."""
    found = blame.bad_file([*paths])
    if found is None:
        return AnnotationError(f"{', '.join(paths)}: {reason(error)}")
    return blame.unreadable(*found)
