"""What goes wrong with annotations, said so that the reader can act on it.

An error or a warning says what is wrong, where, and what to do about it. What to do is data, an
`Advice`: Python says it in its words (`str(error)`), the command line in its own (`error.said("command")`).
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from difflib import get_close_matches
from types import FrameType
from typing import Any, Literal, get_args

import polars as pl

from polars_crowd.escapes import escaped_lines

SHOWN = 5
"""How many offending rows an error shows."""
LONGEST = 40
"""How many characters of a value an error shows."""
KEY_COLUMNS = ("example", "annotator", "label")
"""What an error shows of a row, unless it is told."""

Words = Literal["python", "command"]
"""Who speaks: the library or the command line."""

# --- advice ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Advice:
    """What to do about an error or a warning, and how: in Python, on the command line.

    >>> declare = Advice("Declare them", python="classes=[...]", command="--classes A,B,C")
    >>> declare.said("python"), declare.said("command")
    ('Declare them: classes=[...].', 'Declare them: --classes A,B,C.')
    """

    do: str
    python: str | None = None
    command: str | None = None

    def said(self, words: Words) -> str:
        """The advice in the words of one of the two."""
        how = self.python if words == "python" else self.command
        return f"{self.do}: {how}." if how else f"{self.do}."


class Advised(Exception):  # noqa: N818 (warnings are advised, too)
    """What is wrong, where (a column of a source, where that is one place), and what to do.

    `str` says it in Python's words. An `advice` that is plain text is said alike everywhere.
    """

    wrong: str
    advice: tuple[Advice | str, ...] = ()
    source: str | None = None
    column: str | None = None

    def __init__(
        self,
        wrong: str,
        *advice: Advice | str,
        source: str | None = None,
        column: str | None = None,
    ) -> None:
        self.wrong, self.advice, self.source, self.column = wrong, advice, source, column
        super().__init__(self.said("python"))

    def said(self, words: Words, names: Mapping[str, str] | None = None) -> str:
        """The message in the words of Python or of the command line, safe to print.

        `names` are other names of sources and columns, where who is told gave them others.
        """
        return escaped_lines(self._said(words, names or {}))

    def what(self, names: Mapping[str, str] | None = None) -> str:
        """What is wrong, and where, without advice."""
        return self._where(names or {}) + self.wrong

    def _said(self, words: Words, names: Mapping[str, str]) -> str:
        what = self.what(names)
        how = " ".join(a if isinstance(a, str) else a.said(words) for a in self.advice)
        ends = what.endswith(".") and "\n" not in what
        return what + (" " if ends else "\n") + how if how else what

    def _where(self, names: Mapping[str, str]) -> str:
        if self.source is None:
            return ""
        source = names.get(self.source, self.source)
        gap = "" if self.wrong.startswith((":", ",", ";")) else " "
        if self.column is None:
            return source + gap
        return f"column {names.get(self.column, self.column)!r} of {source}{gap}"


class AnnotationError(Advised, ValueError):
    """The log or the pred_probs cannot be used as they are.

    The message names the column, counts the offending rows, shows up to five of them and says what
    to do.
    """


class OptionError(Advised, ValueError):
    """An option has a value that it cannot have, or has no effect on this call.

    >>> error = OptionError("max_iter", 0, "it must be at least 1.")
    >>> str(error), error.said("command")
    ('max_iter=0; it must be at least 1.', '--max-iter 0: it must be at least 1.')
    >>> OptionError("has_header", False, "it is about text.").said("command")
    '--no-header: it is about text.'
    >>> error = OptionError("executor", ..., "is for a store.")
    >>> str(error), error.said("command")
    ('executor= is for a store.', '--executor is for a store.')
    """

    option: str | None = None
    value: Any = ...
    """What was given, where that is what is wrong; else the dots."""

    def __init__(self, option: str, value: Any, wrong: str, *advice: Advice | str) -> None:
        self.option, self.value = option, value
        super().__init__(wrong, *advice)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.option, self.value, self.wrong, *self.advice)

    def _said(self, words: Words, names: Mapping[str, str]) -> str:
        """The message, beginning with the option as it is given there."""
        message = super()._said(words, names)
        if words == "python":
            named = f"{self.option}="
            return f"{named} {message}" if self.value is ... else f"{named}{self._given}; {message}"
        named = f"--{str(self.option).replace('_', '-')}"
        if self.value is ...:
            return f"{named} {message}"
        if self.value is True:
            return f"{named}: {message}"
        if self.value is False:
            return f"--no-{named.removeprefix('--').removeprefix('has-')}: {message}"
        given = self.value if isinstance(self.value, str) else self._given
        return f"{named} {given}: {message}"

    @property
    def _given(self) -> str:
        """The value as Python writes it."""
        if isinstance(self.value, (tuple, list)) and self.value:
            return shown(list(self.value))
        return shown_value(self.value)


def check_choice(option: str, value: Any, allowed: Any) -> None:
    """The value of an option is one of a Literal's."""
    if not any(isinstance(value, type(one)) and value == one for one in get_args(allowed)):
        among = shown(list(get_args(allowed)))
        raise OptionError(option, value, f"it must be one of {among}.")


class StoreError(Advised):
    """A store or a directory of results cannot be read or written: a file is missing or damaged, another
    process is writing, a newer version made it. The message names the file and says what to do."""


class UnfinishedError(StoreError):
    """A file cannot be written: the disk is full, the directory went away. Nothing of it is left."""


class PartitionError(Advised, RuntimeError):
    """The work on one partition failed: its worker died or raised. The cause is in the message."""


class MemoryLimitError(Advised, MemoryError):
    """What is asked for takes more memory than it may (`memory_limit=`, or half of what is free). The message
    says how much; nothing was computed."""


class TakenError(Advised, FileExistsError):
    """There is something already where a store or results should go."""


class PackageError(Advised, ImportError):
    """A package that an extra installs is not here."""


class AnnotationWarning(Advised, UserWarning):
    """The result is right, and something about the log limits what it can tell."""


class OverlapWarning(AnnotationWarning):
    """Annotators are compared of whom some share no example with the others, not even through a third: see
    `overlap`."""


def missing_column(
    what: str, column: str, columns: list[str], *advice: Advice | str
) -> AnnotationError:
    """The error for a column that `what` (the log, the pred_probs) does not have.

    >>> print(missing_column("the log", "item", ["Item_ID", "label"]))
    the log has no column 'item'; its columns are 'Item_ID', 'label'. Did you mean 'Item_ID'?
    """
    wrong = f"has no column {column!r}; its columns are {shown(columns, limit=20)}."
    return AnnotationError(wrong + did_you_mean(column, columns), *advice, source=what)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence, after a space, about the name that may be meant; nothing if none is near."""
    near = nearest(name, known)
    return f" Did you mean {shown_value(near)}?" if near else ""


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Which of the names that are known is most like a name, in whatever case, if any is.

    >>> nearest("item", ["LABEL", "Item_ID"]), nearest("item", ["label"])
    ('Item_ID', None)
    """
    plain = {one.strip().casefold(): one for one in known}
    near = get_close_matches(name.strip().casefold(), plain, n=1, cutoff=cutoff)
    return plain[near[0]] if near else None


# --- warnings -------------------------------------------------------------------------------------


def warn(wrong: str, *advice: Advice | str) -> None:
    """An AnnotationWarning at the line that called the library."""
    warn_again(AnnotationWarning(wrong, *advice))


def warn_again(warning: Warning) -> None:
    """A warning at the line that called the library, unless it is `heard` before."""
    said = _HEARD.get()
    if said is not None:
        said.append(warning)
        return
    warnings.warn(warning, stacklevel=_callers_level())


_HEARD: ContextVar[list[Warning] | None] = ContextVar("_HEARD", default=None)


@contextmanager
def heard() -> Iterator[list[Warning]]:
    """The warnings that are said inside, by this thread, and go no further."""
    said: list[Warning] = []
    before = _HEARD.set(said)
    try:
        yield said
    finally:
        _HEARD.reset(before)


def _callers_level() -> int:
    """The stacklevel, for `warn`, of the nearest frame outside of this package and of what it runs on."""
    frame: FrameType | None = sys._getframe(1)
    level = 1
    while frame is not None and _is_ours(frame) and frame.f_back is not None:
        frame, level = frame.f_back, level + 1
    return level


def _is_ours(frame: FrameType) -> bool:
    """Whether a frame is this package's, or of what stands between it and its caller: Polars, which
    collects lazy tables, and the standard library's decorators."""
    package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    return package in ("polars_crowd", "polars") or package in sys.stdlib_module_names


# --- what is shown --------------------------------------------------------------------------------


def shown_value(value: Any) -> str:
    r"""A value as Python writes it, cut if it is long; characters that a terminal obeys are escaped.

    >>> print(shown_value("a" * 50), shown_value("\x1b[31mred"))
    'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...' '\x1b[31mred'
    """
    return repr(shortened(value)) if isinstance(value, str) else shortened(repr(value))


def shortened(text: str, longest: int = LONGEST) -> str:
    """A text, cut if it is longer.

    >>> shortened("a" * 40) == "a" * 40, shortened("abcd", 3)
    (True, 'abc...')
    """
    return text if len(text) <= longest else f"{text[:longest]}..."


def shown(values: list[Any], limit: int = SHOWN) -> str:
    """Up to `limit` values, and how many more there are.

    >>> shown(["a", "b", "c"], limit=2)
    "'a', 'b', ... (1 more)"
    """
    more = f", ... ({len(values) - limit:,} more)" if len(values) > limit else ""
    return ", ".join(map(shown_value, values[:limit])) + more


def rows_shown(rows: pl.DataFrame, *columns: str) -> str:
    """The first rows of a frame as text, one line a row: these columns, or example, annotator and label.

    >>> print(rows_shown(pl.DataFrame({"example": [1], "label": ["cat"], "rationale": ["It purrs."]})))
      example=1, label='cat'
    """
    keys = columns or [name for name in KEY_COLUMNS if name in rows.columns]
    lines = [
        "  " + ", ".join(f"{name}={shown_value(value)}" for name, value in row.items())
        for row in rows.select(keys).head(SHOWN).to_dicts()
    ]
    return "\n".join(lines)


def counted(n: int, noun: str) -> str:
    """A number and its noun in the right form.

    >>> counted(1, "row"), counted(12000, "row"), counted(2, "class")
    ('1 row', '12,000 rows', '2 classes')
    """
    plural = noun + ("es" if noun.endswith("s") else "s")
    return f"{n:,} {noun if n == 1 else plural}"
