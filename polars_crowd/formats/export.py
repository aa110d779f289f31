"""One question of a tool's export, as a log, and what became of all else that the file holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict

import polars as pl

from polars_crowd.errors import (
    Advice,
    AnnotationError,
    OptionError,
    counted,
    rows_shown,
    shown,
    warn,
)
from polars_crowd.formats.again import KEY, Keys, sizes
from polars_crowd.formats.answers import (
    PREDICTION,
    SCHEMA,
    SUBMITTED,
    Answers,
    first_true,
    joined,
    with_status,
)
from polars_crowd.formats.look import Look
from polars_crowd.formats.records import named
from polars_crowd.formats.times import TIME_READ, TIMES_READ, notes_of_times, with_time_read


def say(option: str, what: str = "Say which") -> Advice:
    """The advice to give an option of a tool's own reader."""
    command = f"polars-crowd read --option {option}=..."
    return Advice(what, python=f"{option}=...", command=command)


CLASSES = ("class", "set")
"""The kinds of questions that ask for classes."""
OTHER_QUESTION = "other_question"
NO_EXAMPLE = "no_example"
"""The reason for answers that do not say what they are about."""
NO_QUESTION = "no_question"
"""The reason for answers that do not say to what."""
NO_WHAT: dict[str, tuple[str, Advice | str]] = {
    NO_EXAMPLE: (
        "which example they are about: the file has no such id",
        say("example", "Name what holds it, if the reader can be told"),
    ),
    NO_QUESTION: ("to which question", "Export the file anew, with the names of its questions."),
}
NO_QUESTIONS = pl.DataFrame(
    schema={"question": pl.String, "kind": pl.String, "num_answers": pl.Int64}
)
WHICH = Advice("Say which", python="question=...", command="--question NAME")
NAME_THEM = Advice(
    "If they are one person, give the name",
    python="annotator=...",
    command="polars-crowd read --annotator-name NAME",
)


class ExportOptions(TypedDict, total=False):
    """What every reader of exports can be asked for."""

    question: str | None
    status: Literal["submitted", "all"]
    predictions: bool
    gold: Literal["keep", "apart"]
    annotator: str | None


@dataclass(frozen=True)
class Asked:
    """What of an export is asked for.

    Parameters
    ----------
    path
        The file, or the directory where the tool writes one; several of one format, as a list or a pattern
        with `*`, are read as one.
    question
        Which question's answers are wanted. By default the only one that asks for classes.
    status
        `"submitted"` for the answers that count; `"all"` for all of them, with their status: those that do
        not count may have no label.
    predictions
        Whether what a model said beforehand is an answer too, by an annotator of the kind `model`.
    gold
        `"keep"` leaves answers that are gold themselves in the log, too; `"apart"` has them in `.gold` only.
    annotator
        The annotator of the answers of which the file does not say whose they are.

    Raises
    ------
    AnnotationError
        The file is none of the tool's, a record of it cannot be read (its place is said), it has several
        questions that ask for classes and `question` does not say which, or a question of one class has an
        answer of several (the rows are shown).
    """

    question: str | None = None
    status: Literal["submitted", "all"] = "submitted"
    predictions: bool = False
    gold: Literal["keep", "apart"] = "keep"
    annotator: str | None = None


@dataclass(frozen=True)
class Export:
    """One question of a tool's export, as a log. It goes wherever a log goes.

    Examples
    --------
    >>> import polars_crowd as pc
    >>> export = pc.formats.read(pc.datasets.label_studio_sample(), question="sentiment")
    >>> export
    Label Studio export, question 'sentiment': 12 annotations of 5 examples by 3 annotators
    left out: 2 empty, 2 skipped, 1 superseded, 1 draft, 1 prediction, 34 other_question
    """

    format: str
    """The tool."""
    paths: tuple[Path, ...]
    """What was read: a file or directory, or several."""
    question: str | None
    log: pl.LazyFrame
    """`example, annotator, label`, then those of `timestamp, seconds, gold, status, question, text,
    annotator_kind` that the file has. A label is a text, a number (`Float64`), or a list of texts where
    several classes may be chosen. Of comparisons `left, right, annotator, winner, tie`, and what else there
    is."""
    gold: pl.DataFrame | None
    """`example, label`: the truth that the file says, fit for `gold=` and `truth=`; None if it says none."""
    questions: pl.DataFrame
    """`question, kind, num_answers`: all that the file asks, and how many answers
    were sent."""
    left_out: Mapping[str, int]
    """How many answers are not in the log, by reason."""
    notes: tuple[str, ...]
    """What was taken for granted."""

    def scan_annotations(self) -> pl.LazyFrame:
        """The log as methods read it: without answers of which nobody knows whose they are.

        Raises
        ------
        AnnotationError
            The export holds comparisons.

        Warns
        -----
        AnnotationWarning
            There are some. It is an error if all are.
        """
        if "left" in self.log.collect_schema():
            raise AnnotationError(
                f"The {self.format} export holds comparisons, and no labels.",
                Advice("Rank what is compared", python="pc.bradley_terry(export)"),
            )
        sizes = self.log.select(pl.col("annotator").null_count(), pl.len().alias("n"))
        unknown, rows = sizes.collect(engine="streaming").row(0)
        if not unknown:
            return self.log
        said = f"without an annotator in the {self.format} export: {counted(unknown, 'answer')}"
        if unknown == rows:
            raise AnnotationError(
                f"{said}, which are all: the file does not say who gave them.", NAME_THEM
            )
        warn(f"{said}, left out.", NAME_THEM)
        return self.log.filter(pl.col("annotator").is_not_null())

    def scan_comparisons(self) -> pl.LazyFrame:
        """The log of comparisons as methods read it.

        Raises
        ------
        AnnotationError
            The export holds labels.
        """
        if "left" not in self.log.collect_schema():
            raise AnnotationError(f"The {self.format} export holds labels, and no comparisons.")
        return self.log

    def __repr__(self) -> str:
        left_out = ", ".join(f"{n} {reason}" for reason, n in self.left_out.items()) or "nothing"
        notes = (f"note: {note}" for note in self.notes)
        return "\n".join([f"{self.format} export{self._sizes()}", f"left out: {left_out}", *notes])

    def _sizes(self) -> str:
        """What the log holds, in words."""
        if "left" in self.log.collect_schema():
            return f": {counted(self.log.select(pl.len()).collect(engine='streaming').item(), 'comparison')}"
        what = ("annotation", "example", "annotator")
        annotations, examples, annotators = map(counted, sizes(self.log, *what[1:]), what)
        return f", question {self.question!r}: {annotations} of {examples} by {annotators}"


def export_of(title: str, looks: Sequence[Look], parts: Sequence[Answers], asked: Asked) -> Export:
    """The log of the question that is asked for, of all answers that there are in some files."""
    answers = joined(parts)
    rows = _completed(answers.rows, asked)
    keys = Keys()
    counts = _counts(rows, answers, keys)
    _check_answers(counts)
    questions = _questions(counts)
    question = _question(asked.question and asked.question.removeprefix(answers.prefix), questions)
    kinds = dict(questions.select("question", "kind").iter_rows())
    kind = kinds.get(question, "class")
    of_all = pl.col("question").is_null()
    is_own = of_all if question is None else (pl.col("question") == question) | of_all
    own, num_again = keys.settled(rows.filter(is_own), answers.counts)
    of_own = counts.filter(is_own)
    if kind == "class" and _has_several(of_own):
        _check_single(own)
    gold = _gold(answers, question, kind)
    kept = own if asked.status == "all" else own.filter(pl.col("status") == SUBMITTED)
    if asked.gold == "apart":
        if "gold" not in kept.collect_schema():
            raise OptionError("gold", "apart", "it has no effect: no answer in the file is gold.")
        kept = kept.filter(~pl.col("gold").fill_null(False))
    notices = (note for note in answers.notices if counts[note].sum())
    return Export(
        format=title,
        paths=tuple(look.path for look in looks),
        question=question,
        log=_log(kept, kind),
        gold=gold,
        questions=questions,
        left_out={
            **_by_reason(of_own, num_again, answers, asked),
            **_others(counts, question),
            **_gold_apart(own, asked),
        },
        notes=(*answers.notes, *notices, *notes_of_times(of_own)),
    )


def _completed(rows: pl.LazyFrame, asked: Asked) -> pl.LazyFrame:
    """The rows with all columns that are needed here, and the predictions as answers if they are to be."""
    rows = with_status(rows)
    if asked.predictions:
        is_prediction, schema = pl.col("status") == PREDICTION, rows.collect_schema()
        rows = rows.with_columns(
            status=pl.when(is_prediction).then(pl.lit(SUBMITTED)).otherwise("status"),
            annotator_kind=pl.when(is_prediction)
            .then(pl.lit("model"))
            .otherwise("annotator_kind" if "annotator_kind" in schema else None),
        )
    if asked.annotator is not None:
        rows = rows.with_columns(pl.col("annotator").fill_null(asked.annotator))
    is_about_none = pl.col("example").is_null() | (pl.col("example") == "")
    is_sent, answers_none = pl.col("status") == SUBMITTED, pl.col("question").is_null()
    reasons = {NO_EXAMPLE: is_sent & is_about_none, NO_QUESTION: is_sent & answers_none}
    return rows.with_columns(status=first_true(pl.col("status"), **reasons))


def _counts(rows: pl.LazyFrame, answers: Answers, keys: Keys) -> pl.DataFrame:
    """How many answers there are to each question, by status, in one pass over the file."""
    of = ("question", "kind", "status")
    rows = with_time_read(rows)
    about = {**answers.notices, **TIMES_READ}
    sums = [pl.col("n", *about).sum(), pl.col("most").max()]
    wanted = rows.select(
        *of,
        keys.of_rows(),
        is_whole=every_column(rows),
        n=pl.lit(1, pl.Int64),
        most=pl.col("values").list.len(),
        **{note: found.cast(pl.Int64) for note, found in about.items()},
    )
    parts = [wanted.clear().collect().drop(KEY, "is_whole")]
    with named(answers.records):
        for batch in wanted.collect_batches(maintain_order=False, engine="streaming"):
            keys.note(batch[KEY])
            parts.append(batch.group_by(of).agg(sums))
    counts = pl.concat(parts, how="diagonal_relaxed").group_by(of).agg(sums)
    return counts.sort(of, nulls_last=True)


def every_column(rows: pl.LazyFrame) -> pl.Expr:
    """What looks at all columns, so that each is read and what is broken in it is found."""
    return pl.all_horizontal(pl.col(rows.collect_schema().names()).is_not_null())


# --- which question -------------------------------------------------------------------------------


def _questions(counts: pl.DataFrame) -> pl.DataFrame:
    """The questions, each with its kind."""
    submitted = pl.col("status") == SUBMITTED
    several = (pl.col("most").filter(submitted) > 1).any()
    kind = pl.col("kind")
    may_be_several = (kind == "choice").any()
    is_set = (kind == "set").any() | (may_be_several & several)
    is_class = may_be_several | (kind.drop_nulls().n_unique() > 1)
    return (
        counts.drop_nulls("question")
        .group_by("question", maintain_order=True)
        .agg(
            kind=first_true(kind.drop_nulls().first(), **{"set": is_set, "class": is_class}),
            num_answers=pl.col("n").filter(submitted).sum(),
        )
        .select("question", "kind", "num_answers")
    )


def _question(asked: str | None, questions: pl.DataFrame) -> str | None:
    """The question that is asked for, or the only one that can be meant."""
    known = questions["question"].to_list()
    if asked is None and not known:
        return None
    if asked is not None:
        if asked not in known:
            there = f"asks {shown(known)}" if known else "has no answer to any question"
            raise OptionError("question", asked, f"the file {there}.")
        return asked
    of_classes = questions.filter(pl.col("kind").is_in(CLASSES))["question"].to_list()
    for possible in (of_classes, known):
        if len(possible) == 1:
            return str(possible[0])
    listed = "\n".join(
        f"  {question!r}: {kind}, {counted(n, 'answer')}"
        for question, kind, n in questions.iter_rows()
    )
    raise AnnotationError(f"The file asks {counted(len(known), 'question')}:\n{listed}", WHICH)


def _check_answers(counts: pl.DataFrame) -> None:
    """Some answers say what they are about and to which question, if there are any."""
    by_status = dict(counts.group_by("status").agg(pl.col("n").sum()).iter_rows())
    for status, (said, advice) in NO_WHAT.items():
        if status in by_status and SUBMITTED not in by_status:
            answers = counted(by_status[status], "answer")
            raise AnnotationError(f"{answers}, which are all, do not say {said}.", advice)


def _has_several(counts: pl.DataFrame) -> bool:
    """Whether any answer that was sent has several values."""
    return counts.filter((pl.col("status") == SUBMITTED) & (pl.col("most") > 1)).height > 0


def _check_single(rows: pl.LazyFrame) -> None:
    """An answer to a question of one class has one."""
    several = rows.filter((pl.col("status") == SUBMITTED) & (pl.col("values").list.len() > 1))
    found = several.select("example", "annotator", "values").collect(engine="streaming")
    if found.height:
        raise AnnotationError(
            f"{counted(found.height, 'answer')} to a question of one class have several:\n"
            f"{rows_shown(found, *found.columns)}",
            "Mend the file, or read it as the tool's readers say for questions of several classes.",
        )


# --- the log ----------------------------------------------------------------------------------------


def label_of(kind: str) -> pl.Expr:
    """The label of an answer's values."""
    values = pl.col("values")
    if kind == "set":
        return values
    first = values.list.first()
    return first.cast(pl.Float64) if kind == "number" else first


def _log(rows: pl.LazyFrame, kind: str) -> pl.LazyFrame:
    first = ("example", "annotator")
    there = rows.collect_schema().names()
    known = ("timestamp", "seconds", "gold", "status", "question", "text", "annotator_kind")
    of_the_file = [name for name in there if name not in (*SCHEMA, "label", TIME_READ)]
    columns = [*(name for name in known if name in there), *of_the_file]
    return rows.select(*first, label_of(kind).alias("label"), *columns)


def _gold(answers: Answers, question: str | None, kind: str) -> pl.DataFrame | None:
    """The truth of the question's examples."""
    if answers.gold is None or question is None:
        return None
    own = answers.gold.filter(pl.col("question") == question)
    gold = own.select("example", label_of(kind).alias("label")).drop_nulls("label")
    found = gold.unique(maintain_order=True).collect()
    return found if found.height else None


def _by_reason(
    counts: pl.DataFrame, num_again: Mapping[str, int], answers: Answers, asked: Asked
) -> dict[str, int]:
    """The answers to the question that are not in the log."""
    sums = counts.group_by("status").agg(pl.col("n").sum())
    of_status = Counter(dict(sums.iter_rows())) + Counter(num_again)
    del of_status[SUBMITTED]
    out = Counter() if asked.status == "all" else Counter(dict(sorted(of_status.items())))
    out.update(answers.left_out)
    return {reason: n for reason, n in out.items() if n}


def _others(counts: pl.DataFrame, question: str | None) -> dict[str, int]:
    """The answers to other questions."""
    others = 0 if question is None else counts.filter(pl.col("question") != question)["n"].sum()
    return {OTHER_QUESTION: int(others)} if others else {}


def _gold_apart(own: pl.LazyFrame, asked: Asked) -> dict[str, int]:
    """The answers that are gold, where these are not in the log."""
    if asked.gold != "apart":
        return {}
    is_gold = (pl.col("status") == SUBMITTED) & pl.col("gold").fill_null(False)
    return {"gold": int(own.filter(is_gold).select(pl.len()).collect(engine="streaming").item())}
