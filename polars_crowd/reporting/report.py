"""`report`: what there is to say of a log, in one file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import polars as pl

from polars_crowd.errors import OptionError, TakenError
from polars_crowd.escapes import escaped_lines
from polars_crowd.inputs.checks import Duplicates
from polars_crowd.inputs.tables import log_and_labels
from polars_crowd.option_checks import check_count
from polars_crowd.reporting.content import Content, plain
from polars_crowd.reporting.document import document, json_text
from polars_crowd.reporting.facts import Asked, facts_of
from polars_crowd.reporting.html import check_installed, html_text
from polars_crowd.reporting.markdown import markdown_text
from polars_crowd.reporting.sections import content_of
from polars_crowd.rounds.files import place_of, write_whole
from polars_crowd.rounds.opening import refuse_what_a_store_has
from polars_crowd.rounds.partitions import Partitioned
from polars_crowd.rounds.progress import line
from polars_crowd.signatures import checked

Format = Literal["html", "md", "json"]
WRITERS: dict[str, Callable[[Content], str]] = {
    "html": html_text,
    "md": markdown_text,
    "json": json_text,
}
TITLE = "Annotation report"
ENDINGS: dict[str, Format] = {
    ".html": "html",
    ".htm": "html",
    ".md": "md",
    ".markdown": "md",
    ".json": "json",
}


@dataclass(frozen=True, repr=False)
class LogReport:
    """A report of a log: what `report` returns.

    Attributes
    ----------
    findings : DataFrame
        `severity`, `says`, `do`, `value`, `low`, `high`, `reach`, `key`: a row per finding, the most
        important first.
    path : Path or None
        The file that it was written to.
    """

    content: Content
    path: Path | None = None

    @cached_property
    def findings(self) -> pl.DataFrame:
        names = ("severity", "says", "do", "value", "low", "high", "reach", "key")
        texts = ("severity", "says", "do", "key")
        schema = {n: pl.String() if n in texts else pl.Float64() for n in names}
        rows = [
            (f.severity, plain(f.says), plain(f.do), f.value, f.low, f.high, f.reach, f.key)
            for f in self.content.findings
        ]
        return pl.DataFrame(rows, schema=schema, orient="row")

    def text(self, format: Format = "md") -> str:
        """The whole report as `"html"`, `"md"` (Markdown) or `"json"`."""
        if format not in get_args(Format):
            raise OptionError("format", format, f"it must be one of {', '.join(get_args(Format))}.")
        return WRITERS[format](self.content)

    def to_dict(self) -> dict[str, Any]:
        """What the JSON holds."""
        return document(self.content)

    def __repr__(self) -> str:
        lines = [str(self.content.about["method"])]
        lines += [f"{f.severity}: {plain(f.says)} {plain(f.do)}" for f in self.content.findings]
        lines += [f"written to {self.path}"] if self.path else []
        return escaped_lines("\n".join(lines))


@checked
def report(
    log: Any,
    pred_probs: Any = None,
    truth: Any = None,
    *,
    by: Any = None,
    text: str | None = None,
    path: str | Path | None = "report.html",
    format: Format | None = None,
    title: str | None = None,
    size: int = 20,
    classes: Sequence[Any] | None = None,
    duplicates: Duplicates = "error",
    executor: Any = None,
    overwrite: bool = False,
    progress: bool = False,
    truth_label: str | None = None,
) -> LogReport:
    """What there is to say of a log, in one file that can be sent to others.

    Headline numbers with their intervals; findings in words, the most important first, each with its number
    and what to do; what `check_annotations` says; agreement, by group too; annotators; classes that are taken
    for one another; the consensus (by `blend`) and its least certain examples with their votes; what to label
    next; what a dataset's card asks for; and how it was made.

    Parameters
    ----------
    log
        The annotations: whatever `scan_annotations` takes, a tool's export, or an `AnnotationStore`, of which
        no more than a partition is in memory at a time. Labels are classes. Where its column `timestamp`
        says when annotations were made, it is looked at who became worse.
    pred_probs
        A model's out-of-sample probabilities, as for `blend`; a list for an ensemble. A store has its own.
    truth
        Known labels, which the consensus is measured by and does not see: a frame or file `example, label`,
        or the name of a column of the log that has them.
    by
        Groups whose agreement is compared, as for `agreement`.
    text
        A column of the log with what an example says, to be shown beside the examples that are listed.
    path
        The file to write; None for none. Its name says the format: `.html`, `.md` or `.json`.
    format
        `"html"`: one self-contained page with charts, which loads nothing from anywhere (needs the extra
        `report`); `"md"`: Markdown; `"json"`: see `polars_crowd/reporting/document.py` for its keys. By
        default as the file's name ends.
    title
        Of the report.
    size
        How many examples are listed, of the least certain and of those to label next.
    classes, duplicates, executor
        As for `blend`.
    overwrite
        Whether a file that is there gives way.
    progress
        Whether to show what is being done.
    truth_label
        What the column of labels is called in the frame or file of known labels.

    Returns
    -------
    LogReport
        `.findings`, `.text(format)`, `.to_dict()`, `.path`.

    Raises
    ------
    AnnotationError
        The log, or what is given beside it, cannot be used as it is.
    OptionError
        An option has a value that it cannot have, or no effect; labels are numbers or sets of classes.
    FileExistsError
        The file is there, and may not be overwritten.
    PackageError
        The page needs the extra `report`.

    Examples
    --------
    >>> import polars_crowd as pc
    >>> data = pc.datasets.tutorial()
    >>> found = pc.report(data.log, data.pred_probs, truth=data.truth, path=None)
    >>> print(found.findings["says"][0])
    Annotators agree little: alpha is 0.425, and 0.667 is the least for tentative conclusions.
    """
    check_count("size", size, 1)
    if path is None and (format is not None or overwrite):
        option = "overwrite" if format is None else "format"
        raise OptionError(option, ..., "is of the file, and path=None asks for none.")
    place = None if path is None else check_path(Path(path), format, overwrite)
    if place is not None and format_of(place, format) == "html":
        check_installed()
    if isinstance(log, Partitioned):
        refuse_what_a_store_has(pred_probs, classes, duplicates)
    elif executor is not None:
        raise OptionError("executor", ..., "is for a store, whose partitions it works on.")
    log, truth = log_and_labels(log, truth, "truth", truth_label)
    asked = Asked(log, pred_probs, truth, by, text, size, classes, duplicates, executor)
    with line(progress) as tell:
        found = content_about(asked, title, tell)
        if place is not None:
            tell("writing")
            write_report(found, place, format_of(place, format))
    return LogReport(found, place)


def content_about(asked: Asked, title: str | None, tell: Callable[[str], None]) -> Content:
    """What there is to say of a log."""
    return content_of(facts_of(asked, tell), title or TITLE)


def check_path(path: Path, format: str | None, overwrite: bool) -> Path:
    """The place of the file, which can be written there in this format."""
    if format is None and path.suffix.lower() not in ENDINGS:
        wrong = f"it must end in one of {', '.join(ENDINGS)}, or format= says what it is to be."
        raise OptionError("path", str(path), wrong)
    place = place_of(path)
    if place.is_dir():
        raise IsADirectoryError(f"{place} is a directory; name a file in it.")
    if place.exists() and not overwrite:
        raise TakenError(
            f"{place} is there already. Name another file, or overwrite it: overwrite=True."
        )
    return place


def format_of(place: Path, format: Format | None) -> Format:
    return format or ENDINGS[place.suffix.lower()]


def write_report(content: Content, place: Path, format: str) -> None:
    """Write a report whole."""
    text = WRITERS[format](content)
    write_whole(place, lambda path: path.write_text(text, encoding="utf-8", newline="\n"))
