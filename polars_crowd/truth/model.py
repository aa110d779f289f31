"""How a method of truth inference is written: a `Model` holds its formulas, and everything else is shared.

A method is a frozen dataclass of its constants that derives from `Model`, and a public function:

    @dataclass(frozen=True)
    class Coins(Model):
        name = "One coin"
        sums: ClassVar = {"right": ANNOTATOR}

        def weights(self, skills): ...                # what the E-step needs of the skills
        def log_likelihood(self, block, weights): ... # log P(labels of i | its truth is k), shape (K, n)
        def count(self, block, T, weights): ...       # the sums that the M-step needs
        def maximise(self, sums, skills, log): ...    # the M-step: sums -> skills

    def coins(log, **options):
        return fit(log, lambda rounds: Coins(), Options(**options))  # em.fit

The formulas see a `Block` of examples, a posterior T of shape (K, n), and sums of the whole log. `em.fit`
does the rest: it opens the log, begins at the majority vote (or `init=`), runs a round per iteration, holds
known labels fixed, fits the class prior, keeps the trace, stops, warns, and makes the `TruthInference`.

**Sums.** `count` returns arrays by name, `sums` says under which key they are added: `()` for any fixed
shape, ANNOTATOR where the last axis is M, CELL where it is M * K. `maximise` gets them, of the whole log.
What is counted per example is never kept: a method whose examples have parameters of their own (a difficulty)
finds them anew, inside `e_step`, as a function of the annotators' skills.

**Other shapes.** A method that has no likelihood overrides `e_step` and `change` (how far the skills moved;
the loop stops when that is small). One whose truth has finer states than the classes overrides
`class_of_state` and `in_states`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl

from polars_crowd.arrays import Floats, Ints
from polars_crowd.errors import OptionError
from polars_crowd.runs.codes import Codebook
from polars_crowd.truth.block import Block
from polars_crowd.truth.classification.dirichlet import MODE, Dirichlet
from polars_crowd.truth.posterior import Posterior, softmax, with_known, with_sum
from polars_crowd.truth.terms import Terms, singles

Sums = Mapping[str, Floats]
Key = tuple[str, ...]
ANNOTATOR: Key = ("annotator",)
CELL: Key = ("annotator", "label")
RESERVED = {"n_annotations", "n_examples", "n_known", "n_begun", "vote_shares"}
RESERVED |= {"class_mass", "source_mass", "temperature_fit", "state_mass", "evidence"}
"""Names of sums that are counted for every method."""


@dataclass(frozen=True)
class LogSize:
    """How large a log is: K classes, M annotators, and m[j] annotations of each, shape (M,)."""

    n_classes: int
    n_annotators: int
    annotators: pl.Series
    classes: pl.Series
    annotations: Floats = field(default_factory=lambda: np.zeros(0))
    pairs: Ints | None = None
    """annotator * K + label of those that sums under CELL are of; None where they are of all."""

    @classmethod
    def of(cls, book: Codebook, pairs: Ints | None = None) -> LogSize:
        """... before its annotations were counted."""
        K, M = len(book.classes), len(book.annotators)
        return cls(K, M, book.annotators, book.classes, pairs=pairs)

    def counted(self, n_annotations: Floats) -> LogSize:
        """... and after."""
        return replace(self, annotations=n_annotations.ravel())

    def right_and_wrong(self, right: Floats) -> Floats:
        """Answers of each annotator, shape (2, M), from the sum of those that are right, shape (1, M)."""
        return np.stack([right[0], self.annotations - right[0]])


class Model:
    """The formulas of one method. See the module's docstring."""

    name: ClassVar[str]
    """As in the report's header."""
    sums: ClassVar[Mapping[str, Key]]
    """The keys under which the arrays of `count` are added."""
    class_rule: ClassVar[Dirichlet] = MODE
    """How the class shares are estimated."""
    has_objective: ClassVar[bool] = True
    """Whether the trace is an objective that no iteration lowers."""

    def __init_subclass__(cls) -> None:
        taken = RESERVED & set(getattr(cls, "sums", ()))
        if taken:
            raise TypeError(f"{cls.__name__}.sums uses names that are taken: {sorted(taken)}.")

    @property
    def codes(self) -> Ints | None:
        """annotator * K + label of the pairs that sums under CELL are of; None where they are of all."""
        return None

    class_pseudo_count: float = 0.0
    """Pseudo-counts per class of the class shares; infinite for equal shares."""

    class_shares: Floats | None = None
    """pi[k], where it is given and not estimated."""

    def class_of_state(self, n_classes: int) -> Ints:
        """The class of each state of the truth."""
        return np.arange(n_classes)

    def in_states(self, block: Block, T: Floats) -> Floats:
        """A posterior over classes as one over states, to begin with."""
        return T

    def weights(self, skills: Any) -> Any:
        """What the E-step needs of the skills. It is sent to every partition."""
        return skills

    def log_likelihood(self, block: Block, weights: Any) -> Floats:
        """log P(labels of i | truth in state s), shape (S, n)."""
        raise NotImplementedError

    def e_step(self, block: Block, weights: Any, log_classes: Floats) -> Posterior:
        """The posterior of the block's examples; `log_classes` is their log prior, (S, n) or (S, 1)."""
        joint = self.log_likelihood(block, weights) + log_classes
        return softmax(with_known(joint, block, self.class_of_state(block.n_classes)))

    def terms(self, block: Block, weights: Any, log_classes: Floats) -> Terms:
        """The E-step, term by term. Here: what an example says that has this annotation alone."""
        return Terms(self.log_likelihood(singles(block), weights))

    def count(self, block: Block, T: Floats, weights: Any) -> dict[str, Floats]:
        """The block's part of the sums. `weights` is None in the first round, which has no skills yet."""
        raise NotImplementedError

    def count_found(
        self, block: Block, found: Posterior, T: Floats, weights: Any
    ) -> dict[str, Floats]:
        """The same from all that the E-step found, where that is more than T."""
        return self.count(block, T, weights)

    def start(self, sums: Sums, log: LogSize) -> Any:
        """The first skills, from the sums under the first posterior."""
        return self.maximise(sums, None, log)

    def at_confusion(self, theta: Floats) -> Any:
        """The skills with these confusion matrices, shape (K, M, K) by k, j, l."""
        raise OptionError(
            "init", ..., f"of confusion matrices is for dawid_skene, not {self.name}."
        )

    def maximise(self, sums: Sums, skills: Any, log: LogSize) -> Any:
        """The skills that are best for the sums of a posterior."""
        raise NotImplementedError

    def log_prior(self, skills: Any) -> float:
        """What the prior of the skills adds to the objective."""
        return 0.0

    def log_constant(self, skills: Any, log: LogSize) -> float:
        """What the annotations add to the objective whatever the truth, if `log_likelihood` leaves it out."""
        return 0.0

    def change(self, old: Any, new: Any) -> float | None:
        """How far the skills moved, where that decides when to stop; None where the objective does."""
        return None

    def moved(self, skills: Any, place: Ints) -> Any:
        """The skills of other annotators: those at `place`, and at place -1 that of all together."""
        return with_sum(skills)[:, place]

    def for_annotators(self, place: Ints, skills: Any) -> Self:
        """The same constants for other annotators: those of who is at `place`, and at -1 of all together."""
        return self

    def class_order(self, skills: Any) -> Ints | None:
        """Which class each class should be called, where the objective does not tell them apart."""
        return None

    def exchanged(self, skills: Any, order: Ints) -> Any:
        """The skills after the classes were renamed: class k is what class order[k] was."""
        raise NotImplementedError

    def annotator_columns(self, skills: Any) -> dict[str, Any]:
        """Columns of `.annotators` in the method's own terms, M values each."""
        return {}

    def confusion(self, skills: Any, n_classes: int) -> Floats | None:
        """P(label l | truth k, annotator j), shape (K, M, K) by k, j, l, if the method has one."""
        return None

    def confusion_counts(self, skills: Any) -> Floats | None:
        """The expected numbers of annotations behind `confusion`, in the same shape."""
        return None

    def example_columns(self, block: Block, weights: Any, found: Posterior) -> dict[str, Floats]:
        """Columns of `.difficulty`, a value per example, if the method has any."""
        return {}
