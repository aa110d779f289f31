"""An annotation log on disk, in partitions of whole examples: for logs larger than memory.

    DIR/manifest.json     what the store is: schema, classes, rule, the files with their checksums
    DIR/files/            two Parquet files per partition, and the annotators by code

The manifest is replaced as a whole, last: a writer that dies leaves the store as it was. Data files are
never changed; those of generations before stay for as long as somebody reads them.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from secrets import token_hex
from typing import Any

import polars as pl

from polars_crowd.errors import AnnotationError, OptionError, StoreError, counted
from polars_crowd.inputs import checks
from polars_crowd.inputs.anonymous import is_anonymous, unnumbered
from polars_crowd.inputs.checks import Duplicates, check_duplicates
from polars_crowd.inputs.label_sets import as_lists, check_known, membership, open_label_sets
from polars_crowd.inputs.log import LOG_COLUMNS, scan_annotations
from polars_crowd.inputs.pred_probs import open_models
from polars_crowd.rounds.files import refusing
from polars_crowd.rounds.locks import Hold, writing
from polars_crowd.rounds.partitions import Handle, Partitioned, scan_of
from polars_crowd.runs.codes import Codebook
from polars_crowd.signatures import checked
from polars_crowd.store import fitting
from polars_crowd.store.blame import streaming
from polars_crowd.store.build import Builder
from polars_crowd.store.files import (
    DataFiles,
    beside,
    check_files,
    left_of,
    open_generation,
    place_of,
    problems,
    refuse_what_is_there,
    remove_abandoned,
    remove_past,
    remove_strays,
)
from polars_crowd.store.manifest import FILES, LOCK, Manifest, Part, write_manifest
from polars_crowd.store.partition import StoredPartition
from polars_crowd.store.rule import RULE, RULE_VERSION


class AnnotationStore(Partitioned):
    """A log with its pred_probs on disk, in partitions. Made by `create` or `open`.

    A store goes wherever a log goes. Methods work on one partition after another, or on several at once
    with an `executor`, so that memory is bounded by the largest partition, not by the log.

    Attributes
    ----------
    path : Path
        Its directory.
    classes : Series or None
        The classes in order; None if the labels are numbers only.
    annotators : Series
        The annotators, in the order in which the store came to know them.

    Examples
    --------
    >>> import tempfile
    >>> import polars_crowd as pc
    >>> data = pc.datasets.tutorial()
    >>> folder = tempfile.TemporaryDirectory()
    >>> store = pc.AnnotationStore.create(
    ...     f"{folder.name}/store", data.log, data.pred_probs, partitions=4
    ... )
    >>> store
    AnnotationStore: 296 examples, 50 annotators, 1,456 annotations, 3 classes, 1 model, 4 partitions
    >>> fit = pc.crowdlab(store)
    >>> fit.annotators["annotator"][0]
    'A0050'
    >>> del fit
    >>> folder.cleanup()
    """

    def __init__(
        self, path: Path, manifest: Manifest, held: Hold | None = None, *, verify: bool = True
    ) -> None:
        self.path = path
        self._manifest = manifest
        self._held = held
        self._verify = verify

    # --- making and opening ---

    @classmethod
    @checked
    def create(
        cls,
        path: str | Path,
        log: Any,
        pred_probs: Any = None,
        *,
        partitions: int | None = None,
        classes: Sequence[Any] | None = None,
        duplicates: Duplicates = "error",
        progress: bool = False,
        multilabel: bool = False,
        missing: Sequence[Any] = (),
    ) -> AnnotationStore:
        """Stream a log, and pred_probs, into a new store.

        Parameters
        ----------
        path
            The directory to make. It must not exist, or be empty.
        log
            The annotations: whatever `scan_annotations` takes. Other columns are kept.
        pred_probs
            A model's probabilities (whatever `scan_pred_probs` takes), or a list of several models'.
            Examples without annotations are kept too.
        partitions
            How many; by default one for every 4 million rows, and more where it has further columns: a row
            with 100 bytes in these counts as two. More of them need less memory at a time.
        classes, duplicates, progress
            As for `crowdlab`; the classes are by default those of pred_probs, else those of an Enum, else the
            labels there are. Labels that are floats are numbers without classes.
        multilabel
            Whether labels are sets of classes, as for `multilabel_crowdlab`. Needs pred_probs.
        missing
            Labels that say that there is none, as for `scan_annotations`.

        Raises
        ------
        FileExistsError
            There is something at `path`.
        AnnotationError
            The log or the pred_probs cannot be used; see `crowdlab`.
        StoreError
            It could not be written. What was begun is removed.

        Warns
        -----
        AnnotationWarning
            Labels may not be what is meant, and no classes are declared: see `check_annotations`.
        """
        target = place_of(path)
        refuse_what_is_there(target)
        check_duplicates(duplicates)
        _check_missing(missing, multilabel)
        fitting.check_partitions(partitions)
        with streaming(target, log, pred_probs):
            is_ensemble = isinstance(pred_probs, (list, tuple))
            if multilabel:
                made = fitting.empty_of_sets(log, pred_probs, partitions, classes, is_ensemble)
                rows, models, manifest = made
            else:
                rows = unnumbered(scan_annotations(log, missing=missing))
                models = open_models(pred_probs, classes) if pred_probs is not None else []
                manifest = fitting.empty(rows, models, partitions, classes, is_ensemble)
            if duplicates == "mean" and not manifest.schema["label"].is_float():
                wrong = "it is about numbers with decimals, and the store's labels are none."
                raise OptionError("duplicates", "mean", wrong, checks.TAKE_ONE)
            none = pl.Series("annotator", [], manifest.schema["annotator"])
            with refusing(target):
                target.parent.mkdir(parents=True, exist_ok=True)
            remove_abandoned(target)
            unfinished = target.with_name(f"{beside(target)}.{token_hex(4)}")
            try:
                with refusing(target):
                    unfinished.mkdir()
                with writing(unfinished / LOCK, unfinished, keep=True):
                    builder = Builder(unfinished, manifest, none, duplicates, {}, progress)
                    write_manifest(unfinished, builder.build(rows, models))
                refuse_what_is_there(target)
                unfinished.replace(target)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
        return cls.open(target)

    @classmethod
    @checked
    def open(cls, path: str | Path, *, check: bool = True, verify: bool = True) -> AnnotationStore:
        """The store in a directory, as it is now: others may add to it, and this one stays what it was.

        Parameters
        ----------
        path
            The directory.
        check
            Whether all files must be there, and of their size. Without it a damaged store can be opened,
            to `verify` it.
        verify
            Whether a file is compared with its checksum when this process first reads it. Without it a
            bit that flipped on the disk is another number.

        Raises
        ------
        StoreError
            There is none, its manifest is damaged, a newer version made it, or a file is missing or cut
            off. The message names the file.
        """
        folder = place_of(path)
        manifest, held = open_generation(folder)
        if check:
            check_files(folder, _known(manifest, folder))
        return cls(folder, _known(manifest, folder), held, verify=verify)

    @checked
    def append(
        self,
        log: Any = None,
        pred_probs: Any = None,
        *,
        duplicates: Duplicates = "error",
        progress: bool = False,
        missing: Sequence[Any] = (),
    ) -> None:
        """Add annotations, and pred_probs for new examples or instead of those there are.

        Only the partitions of these examples are written anew, and the store changes all at once.

        Parameters
        ----------
        log
            Annotations with the columns of the store's log (others that are missing become null).
        pred_probs
            As many models as the store has. Needed for examples that the store does not know.
        duplicates, progress
            As for `create`; of an (example, annotator) that comes again the `"first"` is the store's.
        missing
            Labels that say that there is none, as for `scan_annotations`.

        Raises
        ------
        AnnotationError
            The log does not fit the store: other types, unknown classes, columns it does not have.
        StoreError
            Another process is writing, or it could not be written.
        """
        if log is None and pred_probs is None:
            raise ValueError("append needs a log, pred_probs or both.")
        check_duplicates(duplicates)
        if duplicates == "mean":
            wrong = "the store holds no single labels of which it could be the mean."
            raise OptionError("duplicates", "mean", wrong, checks.TAKE_ONE)
        _check_missing(missing, self._manifest.sets is not None or log is None)
        with writing(self.path / LOCK, self.path, keep=True), streaming(self.path, log, pred_probs):
            self._read_again()
            rows = (
                None if log is None else fitting.fitted(self._coming(log, missing), self._manifest)
            )
            models = fitting.fitted_models(pred_probs, self._manifest)
            write_manifest(self.path, self._builder(duplicates, progress).build(rows, models))
            self._read_again()
            remove_past(self.path, self._manifest)

    def _builder(self, duplicates: Duplicates, progress: bool) -> Builder:
        known = (self._manifest, self.annotators, duplicates, self._handles())
        return Builder(self.path, *known, progress)

    def vacuum(self) -> int:
        """Remove files that nobody needs: of generations before that nobody reads, of writers that died.

        What is read is never removed, in whatever process: a store that is open, a fit of it, a scan.
        `append` does the same; this is for what was read then.

        Returns
        -------
        int
            How many bytes that frees.

        Raises
        ------
        StoreError
            Another process is writing.
        """
        with writing(self.path / LOCK, self.path, keep=True):
            freed = self._read_again()
            return freed + remove_past(self.path, self._manifest)

    def _read_again(self) -> int:
        """The store as it is now. What writers that died have left goes: how many bytes."""
        manifest, self._held = open_generation(self.path)
        manifest = _known(manifest, self.path)
        self._manifest = replace(manifest, past=left_of(self.path, manifest))
        check_files(self.path, self._manifest)
        self.__dict__.pop("annotators", None)
        return remove_strays(self.path, self._manifest)

    def _coming(self, log: Any, missing: Sequence[Any]) -> pl.LazyFrame:
        """A log that comes in; the sets it is the first to have come after those there are."""
        manifest = self._manifest
        if manifest.sets is None:
            return unnumbered(scan_annotations(log, missing=missing))
        rows = open_label_sets(log).log
        found = rows.select(pl.col("label").unique().sort()).collect()["label"]
        check_known(rows, found, manifest.classes or ())
        new = found.filter(~found.is_in(list(manifest.sets)))
        self._manifest = replace(manifest, sets=(*manifest.sets, *new))
        return rows

    # --- looking ---

    @property
    def classes(self) -> pl.Series | None:
        return self._manifest.class_values

    @property
    def set_classes(self) -> pl.Series | None:
        return None if self._manifest.sets is None else self.classes

    @cached_property
    def annotators(self) -> pl.Series:
        assert self._manifest.annotators is not None
        return self._files.annotators(self._manifest.annotators)

    def scan_annotations(self) -> pl.LazyFrame:
        """The log as it was given, as a lazy scan: `example`, `annotator`, `label`, the others."""
        manifest = self._manifest
        others = list(manifest.schema)[len(LOG_COLUMNS) :]
        rows = scan_of([*self._handles().values()], StoredPartition.scan, manifest.schema)
        if manifest.sets is None or manifest.labels is None or manifest.class_values is None:
            return rows
        lists = as_lists(membership(manifest.labels, manifest.classes or ()), manifest.class_values)
        sets = pl.LazyFrame({"label": manifest.labels, "set": lists})
        named = rows.join(sets, on="label", how="left", maintain_order="left")
        return named.select("example", "annotator", pl.col("set").alias("label"), *others)

    def scan_pred_probs(self) -> pl.LazyFrame | list[pl.LazyFrame]:
        """The pred_probs as a lazy scan, of an ensemble a list of them: `example`, a column per class."""
        scans = [self._scan_probs(m) for m in range(self._manifest.models)]
        if not scans:
            raise AnnotationError(
                "the store has no pred_probs.",
                "Give them when it is made, or when annotations are added.",
            )
        return scans if self._manifest.is_ensemble else scans[0]

    def _scan_probs(self, model: int) -> pl.LazyFrame:
        """A model's; all as Float64 if some are."""
        handles = [*self._handles().values()]
        schemas = [handle.scan_probs(model).collect_schema() for handle in handles]
        schema = max(schemas, key=lambda found: found.dtypes().count(pl.Float64()))
        return scan_of(handles, lambda part, _: part.scan_probs(model).cast(schema), schema)

    def describe(self) -> pl.DataFrame:
        """The partitions: `partition, examples, unlabelled, annotations, bytes`, a row each."""
        parts = self._parts.values()
        columns = {
            "partition": list(self._parts),
            "examples": [part.annotated for part in parts],
            "unlabelled": [part.examples.rows - part.annotated for part in parts],
            "annotations": [part.annotations.rows for part in parts],
            "bytes": [part.annotations.size + part.examples.size for part in parts],
        }
        return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.Int64))

    def verify(self) -> pl.DataFrame:
        """Read every file and compare it with the manifest: `file, problem`, a row per problem.

        A problem is a file that is missing, has other bytes than were written (by its checksum), cannot
        be read, has another schema, or holds an example of another partition. Files that the manifest
        does not name are no problem: they are of an earlier generation, or of a writer that died.
        """
        return problems(self.path, self._manifest)

    def __repr__(self) -> str:
        sizes = self.describe().sum().row(0, named=True)
        manifest, unlabelled = self._manifest, sizes["unlabelled"]
        said = [
            counted(sizes["examples"], "example"),
            *([counted(unlabelled, "unlabelled example")] if unlabelled else []),
            "anonymous annotators"
            if is_anonymous(self.annotators.dtype)
            else counted(len(self.annotators), "annotator"),
            counted(sizes["annotations"], "annotation"),
            "numbers" if manifest.classes is None else counted(len(manifest.classes), "class"),
            counted(manifest.models, "model"),
            counted(len(manifest.parts), "partition"),
        ]
        return f"AnnotationStore: {', '.join(said)}"

    # --- as methods see it ---

    @property
    def _parts(self) -> dict[int, Part]:
        return {i: part for i, part in enumerate(self._manifest.parts) if part is not None}

    @property
    def _files(self) -> DataFiles:
        return DataFiles(str(self.path / FILES), self._verify, self._held)

    def _handles(self, work: Path | None = None) -> dict[int, StoredPartition]:
        manifest, files = self._manifest, self._files
        assert manifest.annotators is not None
        prints = {} if work is None else manifest.fingerprints(self.annotators)
        return {
            number: StoredPartition(
                name=f"part-{number:04d}",
                fingerprint=prints.get(number, ""),
                files=files,
                annotations=part.annotations,
                examples=part.examples,
                annotated=part.annotated,
                annotators=manifest.annotators,
                label=manifest.schema["label"],
                classes=manifest.labels,
                class_names=manifest.classes or (),
                n_models=manifest.models,
                work=work,
            )
            for number, part in self._parts.items()
        }

    def handles(self, work: Path) -> list[Handle]:
        return [handle for handle in self._handles(work).values() if handle.annotated]

    def idle_handles(self, work: Path) -> list[Handle]:
        return [handle for handle in self._handles(work).values() if not handle.annotated]

    def book(self, numeric: bool) -> Codebook:
        classes = self._manifest.labels
        if classes is None:
            classes = pl.Series("label", [], self._manifest.schema["label"])
        return Codebook(classes, self._manifest.classes or (), self.annotators)

    @property
    def n_models(self) -> int:
        return self._manifest.models

    @property
    def is_ensemble(self) -> bool:
        return self._manifest.is_ensemble


def _check_missing(missing: Sequence[Any], no_labels: bool) -> None:
    if missing and no_labels:
        raise OptionError("missing", missing, "it is about a log of single labels.")


def _known(manifest: Manifest, path: Path) -> Manifest:
    """The manifest, if its rule is the one that this version knows."""
    if (manifest.rule, manifest.rule_version) != (RULE, RULE_VERSION):
        raise StoreError(
            f"{path} is partitioned by the rule {manifest.rule!r}, version {manifest.rule_version}, "
            "which this version does not know. Update polars_crowd."
        )
    return manifest
