"""What every fit can do: print its report, be written, be opened again."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl

from polars_crowd.errors import StoreError, shown
from polars_crowd.option_checks import check_place
from polars_crowd.reports import Heads, Report, Reported
from polars_crowd.rounds.contents import MARK, Contents, files_in, plain, read_contents
from polars_crowd.rounds.files import place_of
from polars_crowd.rounds.generations import held, is_begun
from polars_crowd.rounds.locks import Hold
from polars_crowd.rounds.parameters import Kept, as_frame, of_frame
from polars_crowd.rounds.writing import Format, Table, as_lazy, read_table, write_results
from polars_crowd.signatures import checked

if TYPE_CHECKING:
    from polars_crowd.rounds.directory import ResultDirectory
    from polars_crowd.rounds.rounds import Tables


PARAMETERS = "parameters"
"""The table that explanations are made from, in Parquet only. It is none of those that are listed."""


class Fit(Reported):
    """The base of all results."""

    TABLES: ClassVar[tuple[str, ...]]
    """The attributes that are tables, or None where the method has none."""
    ON_DEMAND: ClassVar[tuple[str, ...]] = ()
    """Those that a run with `into=` does not write, unless they are asked for."""
    HEADS: ClassVar[Heads]
    """Those that the report begins to show."""
    VALUES: ClassVar[tuple[str, ...]] = ()
    """Attributes that are numbers, texts or lists."""

    @property
    @abstractmethod
    def method(self) -> str:
        """Its name."""

    @abstractmethod
    def _header(self) -> str:
        """The first line of the report."""

    def _options_given(self) -> Any:
        """What the method was asked for."""
        return {}

    @checked
    def write(
        self,
        directory: str | Path,
        format: Format = "parquet",
        *,
        names: Mapping[str, str] | None = None,
        overwrite: bool = False,
        formulas: bool = False,
    ) -> None:
        """Write every table of the fit into a directory, all of them or none.

        A table of the log's size is written as it is computed, and never held whole (but for `"xlsx"`).
        Beside the tables stands `results.json`: the method, its options, the versions, and which tables there
        are. `pc.open_results` opens the directory again.

        Parameters
        ----------
        directory
            Where to; made if it is not there. Other files in it stay as they are.
        format
            `"parquet"`, a file per table; `"csv"`, likewise, for other programs: lists of classes are joined
            by `;`, and text is kept from being a formula; `"xlsx"`, one workbook with a sheet per table, for
            people (needs the extra `excel`).
        names
            Other names for columns, wherever they occur: `{"example": "item_id"}`.
        overwrite
            Whether earlier results that `.write` left there give way. Files that are not listed in their
            `results.json` are never replaced or removed.
        formulas
            A cell of a CSV file that begins with `=`, `+`, `-` or `@` and is no number would be run as a
            formula by a spreadsheet: it gets an apostrophe before it (so does one that begins with
            apostrophes and then one of these; `pc.open_results` takes it away), and a warning and the header
            of the results say of how many cells. True leaves such cells as they are. In a workbook text is
            never run.

        Raises
        ------
        FileExistsError
            There are results already and `overwrite` is not given; or a file that is not ours would be
            replaced.
        ValueError
            An option has an unknown value or no effect; a column in `names` is in no table, or two columns of
            a table would have one name.
        AnnotationError
            The format cannot hold the tables: nested columns other than lists, control characters or more
            than 1,048,575 rows in a workbook.
        StoreError
            The disk is full, or the directory cannot be written to.

        Warns
        -----
        AnnotationWarning
            Cells of CSV got an apostrophe.

        Examples
        --------
        >>> import polars_crowd as pc
        >>> from tempfile import TemporaryDirectory
        >>> data = pc.datasets.tutorial()
        >>> fit = pc.dawid_skene(data.log)
        >>> with TemporaryDirectory() as directory:
        ...     fit.write(directory, names={"example": "item_id"})
        ...     kept = pc.open_results(directory)
        ...     print(kept.examples.collect_schema().names()[:2], kept.converged)
        ['item_id', 'consensus_label'] True
        """
        check_place("directory", directory)
        tables = {name: self._table(name) for name in self._names()}
        parameters = self._parameters() if format == "parquet" else None
        if parameters is not None:
            tables[PARAMETERS] = parameters
        write_results(
            place_of(directory),
            tables,
            self._about(),
            format=format,
            names=names or {},
            overwrite=overwrite,
            formulas=formulas,
        )

    @property
    def _kept(self) -> Kept | None:
        """What an explanation needs, if the method has one."""
        return None

    def _parameters(self) -> pl.DataFrame | None:
        """The same as a table."""
        kept = self._kept
        return None if kept is None else as_frame(kept)

    def _names(self) -> Sequence[str]:
        return self.TABLES

    def _table(self, name: str) -> Table:
        found: Table = getattr(self, name)
        return found

    def _shown(self, name: str) -> Table:
        """A table as the report shows it: with all its columns."""
        return self._table(name)

    def _report(self) -> Report:
        heads = {title: head(self._shown(name), n) for name, (title, n) in self.HEADS.items()}
        return Report(self._header(), heads)

    def _about(self) -> Contents:
        """What results.json says of the fit."""
        return {
            "method": self.method,
            "header": self._header(),
            "heads": plain(self.HEADS),
            "options": plain(self._options_given()),
            "values": {name: plain(getattr(self, name)) for name in self.VALUES},
        }

    def _keep(self, into: ResultDirectory | None) -> None:
        """End a run with `into=`: write the small tables beside those of the log's size."""
        if into is None:
            return
        into.claim(self.method)
        into.begin()
        for name in self.TABLES:
            if name not in self.ON_DEMAND:
                into.save(name, self._table(name))
        parameters = self._parameters()
        if parameters is not None:
            into.save(PARAMETERS, parameters)
        into.complete(**self._about())


class OfTables(Fit):
    """A fit whose tables of the log's size are made together."""

    @property
    @abstractmethod
    def _tables(self) -> Tables:
        """The tables of the log's size."""

    @property
    def examples(self) -> pl.LazyFrame:
        return self._tables["examples"]

    @property
    def annotations(self) -> pl.LazyFrame:
        return self._tables["annotations"]


def head(table: Table, n: int) -> pl.DataFrame:
    assert table is not None, "a table that is shown is there"
    return as_lazy(table).head(n).collect()


# --- opened again ----------------------------------------------------------------------------------


class Results(Fit):
    """Results that were written: the tables and numbers of the fit, by the same names, and its report."""

    def __init__(
        self, directory: Path, contents: Contents, hold: Hold | None, *, verify: bool = True
    ) -> None:
        self._directory = directory
        self._contents = contents
        self._hold = hold
        self._verify = verify

    @property
    def method(self) -> str:
        return str(self._contents["method"])

    @property
    def tables(self) -> list[str]:
        """The names of the tables."""
        return [name for name in self._names() if self._contents["tables"][name]]

    @property
    def options(self) -> dict[str, Any]:
        """What the method was asked for."""
        return dict(self._contents.get("options", {}))

    @property
    def _renamed(self) -> dict[str, str]:
        """What columns are called here, by the names that fits have for them."""
        return dict(self._contents.get("names", {}))

    def _by_our_names(self, table: pl.LazyFrame) -> pl.LazyFrame:
        """A table of theirs with the columns as fits call them."""
        ours = {theirs: ours for ours, theirs in self._renamed.items()}
        return table.rename(ours, strict=False)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # a copy has nothing yet
            raise AttributeError(name)
        if name in self._names():
            return self._table(name)
        if name in self._contents.get("values", {}):
            return self._contents["values"][name]
        raise AttributeError(f"these results have no {name!r}; they have {', '.join(dir(self))}.")

    def __dir__(self) -> list[str]:
        own = ("method", "options", "plot", "tables", "write")
        return [*own, *self.tables, *self._contents.get("values", {})]

    def _names(self) -> Sequence[str]:
        return [name for name in self._contents["tables"] if name != PARAMETERS]

    @property
    def _kept(self) -> Kept | None:
        frame = self._parameters()
        return None if frame is None else of_frame(frame, str(self._directory))

    def _parameters(self) -> pl.DataFrame | None:
        """As they were written: what only goes elsewhere is not read."""
        if PARAMETERS not in self._contents["tables"]:
            return None
        frame = self._table(PARAMETERS)
        assert isinstance(frame, pl.DataFrame)
        return frame

    def _table(self, name: str) -> Table:
        return read_table(self._directory, self._contents, name, self._hold, self._verify)

    def _header(self) -> str:
        return str(self._contents.get("header", self.method))

    def _report(self) -> Report:
        heads = {
            title: head(self._table(name), n)
            for name, (title, n) in self._contents["heads"].items()
            if name in self.tables
        }
        return Report(self._header(), heads)

    def _about(self) -> Contents:
        names = ("method", "header", "heads", "options", "values", "names")
        return {name: self._contents[name] for name in names if name in self._contents}


@checked
def open_results(directory: str | Path, *, verify: bool = True) -> Results:
    """Open what `into=` or `.write` left in a directory.

    Parameters
    ----------
    directory
        Of results; Parquet or CSV. In CSV dates, times, Enums and lists come back as text.
    verify
        Whether the files of a table are compared with their checksums when it is asked for. Without it a bit
        that flipped on the disk is another number.

    Returns
    -------
    Results
        It prints the report of the fit, and has its tables and numbers under the same names: LazyFrames over
        the files where they are of the log's size, else DataFrames. `.tables` lists them; `.method` and
        `.options` say what made them; `.write` writes them in another format. The parameters of the fit are
        there for `pc.explain` only (in Parquet): it has no `.predict`. What a run wrote stays as it was
        opened, whatever later runs write there.

    Raises
    ------
    FileNotFoundError
        There is no such directory, or it holds no results.
    StoreError
        The run that writes them has not ended, a file is missing or damaged (which may show when its table is
        asked for), or they are of a later version.
    ValueError
        They are a workbook.

    Examples
    --------
    >>> import polars_crowd as pc
    >>> from tempfile import TemporaryDirectory
    >>> data = pc.datasets.tutorial()
    >>> with TemporaryDirectory() as directory:
    ...     fit = pc.crowdlab(data.log, data.pred_probs, into=directory)
    ...     kept = open_results(directory)
    ...     kept.method, kept.tables, kept.annotators.equals(fit.annotators)
    ('CROWDLAB', ['examples', 'annotations', 'annotators'], True)
    """
    place = place_of(directory)
    contents, hold = _held_contents(place)
    if contents is None and is_begun(place):
        raise not_complete(directory)
    if contents is None:
        raise FileNotFoundError(
            f"{directory} holds no results: there is no {MARK} in it. Give a directory that a run "
            "wrote into, or .write; a store is opened with AnnotationStore.open."
        )
    if not contents["complete"] or contents["method"] is None:
        raise not_complete(directory)
    missing = [file.name for file in files_in(place, contents["tables"]) if not file.is_file()]
    if missing:
        raise StoreError(
            f"{directory} is without files that its {MARK} lists: {shown(missing)}. Run again, or write them "
            "again."
        )
    if contents.get("file_format") == "xlsx":
        raise ValueError(
            f"{directory} holds a workbook, which is for people. To open results again, write them with "
            'format="parquet".'
        )
    return Results(place, contents, hold, verify=verify)


def _held_contents(place: Path) -> tuple[Contents | None, Hold | None]:
    """What a directory holds, which stays; read again if a run has put something else there meanwhile."""
    while True:
        contents = read_contents(place)
        generation = (contents or {}).get("generation")
        hold = held(place / generation) if generation else None
        if (read_contents(place) or {}).get("generation") == generation:
            return contents, hold


def not_complete(directory: str | Path) -> StoreError:
    return StoreError(
        f"{directory} holds results that are not complete. If no run is at work on them, run it again "
        "with the same directory."
    )
