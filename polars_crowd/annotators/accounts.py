r"""Accounts: the posterior of one example as a sum of what is known of it, part by part.

Of votes and of CROWDLAB the posterior is a weighted mean, and its parts add up to it. With W the sum of all
weights (`consensus.model` has the letters),

    q[k] = sum_m w_m p_m[k] / W  +  sum over the annotations: w[a] (NCL + (CL - NCL) [l = k]) / W

Of the methods with a likelihood the parts add up to the log of the posterior (`truth.terms`):

    log T'[k] = log pi[k]                                    prior: the share of the class
              + log (prior[k] / pi[k])                       model: what pred_probs make of it
              + sum over the annotations: term[k]
              + H[k]                                         subtypes, of EBCC
              + (0 if k is the known label, else -inf)       gold
              + log tempered[k] - log T[k]                   tempering: (gamma - 1) log T[k], of all of it
              - log of what makes the sum one                normalisation

EBCC's truth has sub-types g of each class. A term of class k is the mean of those of its sub-types by their
part r[g] in the class's posterior, and H[k] the entropy of r: then sums over sub-types are sums of terms,

    log sum_g exp x[g] = sum_g r[g] x[g] + H(r),     r ∝ exp x

A blend is the mean of what its members say, each with an account of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import singledispatch
from typing import Any

import numpy as np

from polars_crowd.arrays import Floats, Ints
from polars_crowd.consensus.model import Posterior as CrowdlabPosterior
from polars_crowd.numerics.mixture import Mixture
from polars_crowd.rounds.partitions import Partition
from polars_crowd.truth.block import UNKNOWN, Block, of_blocks
from polars_crowd.truth.classification.blend import Pool, WithModel, tempered_evidence
from polars_crowd.truth.plans import Estimate, log_of
from polars_crowd.truth.posterior import softmax
from polars_crowd.truth.terms import Terms

PRIOR, MODEL, ANNOTATION, SUBTYPES = "prior", "model", "annotation", "subtypes"
GOLD, TEMPERING, NORMALISATION, POSTERIOR = "gold", "tempering", "normalisation", "posterior"


@dataclass(frozen=True)
class Line:
    """A part of an account, and what it adds to each class, shape (K,)."""

    part: str
    values: Floats
    weight: float | None = None
    annotator: int | None = None
    label: int | None = None


@dataclass(frozen=True)
class Account:
    """What a method says of an example, line by line; the last line is its posterior."""

    method: str
    lines: tuple[Line, ...]
    is_log: bool = False

    @property
    def posterior(self) -> Floats:
        return self.lines[-1].values


def summed(lines: Sequence[Line]) -> Floats:
    total: Floats = np.sum([line.values for line in lines], axis=0)
    return total


def with_posterior(method: str, lines: Sequence[Line], known: int | None) -> Account:
    """The account whose parts add up to the posterior; a known label takes it all."""
    found = list(lines)
    if known is not None:
        found.append(Line(GOLD, one_hot(known, len(lines[0].values)) - summed(lines)))
    return Account(method, (*found, Line(POSTERIOR, summed(found))))


def one_hot(k: int, n_classes: int) -> Floats:
    hot: Floats = (np.arange(n_classes) == k).astype(np.float64)
    return hot


# --- by what the posterior comes from ---------------------------------------------------------------


@singledispatch
def accounts_of(source: Any, part: Partition, method: str) -> list[Account]:
    """The accounts of a partition of one example: of a blend those of its members, and then its own."""
    raise TypeError(f"{type(source)} has no accounts")


@accounts_of.register
def _of_estimate(source: Estimate, part: Partition, method: str) -> list[Account]:
    return [of_block(source, block, method) for block in block_of(source, part)]


@accounts_of.register
def _of_crowdlab(source: CrowdlabPosterior, part: Partition, method: str) -> list[Account]:
    return [of_mixture(source, part, method)]


@accounts_of.register
def _of_pool(source: Pool, part: Partition, method: str) -> list[Account]:
    members = [
        account
        for member in source.members
        for account in accounts_of(member, part, member.model.name)
    ]
    return [*members, mean_of(members, method, known_in(source.members[0], part))]


@accounts_of.register
def _of_blend_with_model(source: WithModel, part: Partition, method: str) -> list[Account]:
    ibcc = source.ibcc
    name = ibcc.model.name
    (block,) = block_of(ibcc, part)
    members = [
        of_mixture(source.crowdlab, part, "CROWDLAB"),
        of_block(ibcc, block, name),
        of_block(ibcc, block, f"{name}, annotations tempered", only_evidence=True),
    ]
    return [*members, mean_of(members, method, known_in(ibcc, part))]


def block_of(source: Estimate, part: Partition) -> Iterator[Block]:
    return of_blocks(part, lambda block: block, source.gold(part))


def known_in(source: Estimate, part: Partition) -> int | None:
    """The known label of the example, if there is one."""
    known = source.gold(part)
    return None if known is None else as_known(known)


def as_known(known: Ints) -> int | None:
    return None if known[0] == UNKNOWN else int(known[0])


def mean_of(members: Sequence[Account], method: str, known: int | None) -> Account:
    """A blend: the mean of what its members say."""
    weight = 1 / len(members)
    lines = [Line(member.method, weight * member.posterior, weight) for member in members]
    return with_posterior(method, lines, known)


# --- weighted means ---------------------------------------------------------------------------------


def of_mixture(source: CrowdlabPosterior, part: Partition, method: str) -> Account:
    """CROWDLAB's posterior, or the shares of votes."""
    runs, weights = part.runs, source.weights
    q = source.of(part)
    annotator = runs.rows["annotator"].to_numpy()
    label = runs.votes["label"].gather(runs.rows["vote"]).to_numpy()
    w = np.ones(len(annotator)) if weights is None else weights.annotators[annotator]
    lines = [
        Line(MODEL, w_m * p[0].astype(np.float64) / q.normaliser[0], float(w_m))
        for w_m, p in zip(q.model_weights, q.models, strict=True)
    ]
    voices = zip(w, annotator, label, strict=True)
    lines += [
        Line(ANNOTATION, voice(q, w_r, y), float(w_r), int(a), int(y)) for w_r, a, y in voices
    ]
    return with_posterior(method, lines, None)


def voice(q: Mixture, weight: float, label: int) -> Floats:
    """w (base + gain [l = k]) / W."""
    said: Floats = (q.base + q.gain * one_hot(label, q.n_classes)) * weight / q.normaliser[0]
    return said


# --- sums of terms ----------------------------------------------------------------------------------


def of_block(
    source: Estimate, block: Block, method: str, *, only_evidence: bool = False
) -> Account:
    """The account of a block of one example. `only_evidence` says that what annotators say is tempered, and
    the prior left as it is, as in a blend."""
    log_prior = source.classes.log_of(block)
    terms = source.model.terms(block, source.weights, log_prior)
    known = None if block.known is None else as_known(block.known)
    if not terms.is_log:
        return of_shares(terms, block, method, known)
    of_state = source.model.class_of_state(block.n_classes)
    lines = collapsed(log_lines(source, terms, block, log_prior[:, 0]), of_state, block.n_classes)
    if known is not None:
        held = np.where(one_hot(known, block.n_classes) > 0, 0.0, -np.inf)
        return normalised(method, [*lines, Line(GOLD, held)])
    log_T = log_normal(summed(lines))
    exponent = source.exponent
    if only_evidence:
        goal = np.log(tempered_evidence(np.exp(log_T)[:, None], log_prior, exponent)[:, 0])
    else:
        goal = exponent * log_of(np.exp(log_T))
    if exponent != 1:
        lines.append(Line(TEMPERING, goal - log_T, exponent))
    return normalised(method, lines)


def of_shares(terms: Terms, block: Block, method: str, known: int | None) -> Account:
    """Parts of the posterior itself."""
    lines = [] if terms.prior is None else [Line(PRIOR, terms.prior[:, 0])]
    return with_posterior(method, [*lines, *voices(terms, block)], known)


def voices(terms: Terms, block: Block) -> list[Line]:
    """A line per annotation; its weight, where the method has none, is what it adds to its own label, over
    the mean of the others."""
    return [
        Line(
            ANNOTATION,
            terms.of_annotations[:, r],
            None if terms.weight is None else float(terms.weight[r]),
            int(block.annotator[r]),
            int(block.label[r]),
        )
        for r in range(len(block.annotator))
    ]


def log_lines(source: Estimate, terms: Terms, block: Block, log_prior: Floats) -> list[Line]:
    """Prior, model and annotations, over the states of the truth."""
    shares = source.classes.log_shares
    lines = [Line(PRIOR, shares)]
    if source.classes.temperatures:
        sources = np.exp(source.classes.log_sources)
        lines.append(Line(MODEL, log_prior - shares, float(sources[1:].sum() / sources.sum())))
    return lines + voices(terms, block)


def collapsed(lines: Sequence[Line], class_of_state: Ints, n_classes: int) -> list[Line]:
    """The lines by class, where they are by state."""
    found = [*lines]
    if len(class_of_state) > n_classes:
        r = softmax(summed(lines).reshape(n_classes, -1).transpose()).T.transpose()
        logs = np.log(r, where=r > 0, out=np.zeros_like(r))
        by_class = ((r * line.values.reshape(r.shape)).sum(axis=1) for line in lines)
        found = [replace(line, values=v) for line, v in zip(lines, by_class, strict=True)]
        found.append(Line(SUBTYPES, -(r * logs).sum(axis=1)))
    return [with_weight(line) for line in found]


def with_weight(line: Line) -> Line:
    """An annotation that has no weight of its method: how much more it adds to its label than to the others,
    on the mean."""
    if line.label is None or line.weight is not None or len(line.values) == 1:
        return line
    own = line.values[line.label]
    others = (line.values.sum() - own) / (len(line.values) - 1)
    return replace(line, weight=float(own - others))


def log_normal(values: Floats) -> Floats:
    """Logs of what adds up to one."""
    normal: Floats = values - softmax(values).log_evidence
    return normal


def normalised(method: str, lines: Sequence[Line]) -> Account:
    """The account of parts that add up to the log of the posterior."""
    total = summed(lines)
    log_T = log_normal(total)
    constant = np.full(len(total), log_T.max() - total.max())
    rest = [Line(NORMALISATION, constant), Line(POSTERIOR, np.exp(log_T))]
    return Account(method, (*lines, *rest), is_log=True)
