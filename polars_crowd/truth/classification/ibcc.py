r"""IBCC: independent Bayesian classifier combination, by variational inference.

The model of `truth.classification.dawid_skene`, with its letters, where confusion matrices and class shares
have posteriors of their own: theta[j,k,:] ~ Dirichlet(b[k,:]), with more weight on the right label than on
each other one, and pi ~ Dirichlet(a).

**E-step** (Kim and Ghahramani 2012, "Bayesian classifier combination", AISTATS; mean field as in Simpson et
al. 2013), with psi the digamma function:

    log T[i,k] = E[log pi[k]] + sum over the labels y of i by j: E[log theta[j,k,y]]   + const(i)
    E[log theta[j,k,l]] = psi(C[j,k,l]) - psi(sum_l C[j,k,l]),     E[log pi[k]] = psi(P[k]) - psi(sum_k P[k])

**M-step**:

    C[j,k,l] = b[k,l] + sum over the labels l of j: T[i,k],        P[k] = a + sum_i T[i,k]

**Objective**, the evidence lower bound, which no iteration lowers:

    sum_i log sum_k exp(E[log pi[k]] + sum E[log theta[j,k,y]])
        - sum_jk KL(Dirichlet(C[j,k,:]) || Dirichlet(b[k,:]))  -  KL(Dirichlet(P) || Dirichlet(a))
"""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np

from polars_crowd.option_checks import check_number, check_positive
from polars_crowd.rounds.rounds import Rounds
from polars_crowd.signatures import shares
from polars_crowd.truth.classification.dawid_skene import Confusions, pseudo_counts
from polars_crowd.truth.classification.dirichlet import VARIATIONAL
from polars_crowd.truth.em import fit
from polars_crowd.truth.held import occurring
from polars_crowd.truth.options import Matrices, MatrixOptions
from polars_crowd.truth.result import TruthInference


class Ibcc(Confusions):
    """The variational posterior."""

    name = "IBCC"
    rule = class_rule = VARIATIONAL


@shares(MatrixOptions, Matrices)
def ibcc(
    log: Any,
    pred_probs: Any = None,
    *,
    pseudo_count: float = 1.0,
    right_pseudo_count: float = 3.0,
    class_pseudo_count: float = 1.0,
    prior: Any = None,
    **options: Unpack[MatrixOptions],
) -> TruthInference:
    """The truth of each example by IBCC: confusion matrices with posteriors, by variational inference.

    It costs what `dawid_skene` does and is safer where annotators have few labels.

    Parameters
    ----------
    pseudo_count, right_pseudo_count
        b[k,l] = `pseudo_count` (above 0), and as much as `right_pseudo_count` (0 or more) on top where l = k.
    class_pseudo_count
        a > 0, the Dirichlet parameter of the class shares.

    Returns
    -------
    TruthInference
        `.confusion` and `balanced_accuracy` in `.annotators` are means of the posterior.

    Examples
    --------
    >>> import polars_crowd as pc
    >>> fit = ibcc(pc.datasets.tutorial().log)
    >>> fit.converged, round(fit.trace[-1], 2)
    (True, -1288.02)
    """
    check_positive(pseudo_count=pseudo_count)
    check_number("right_pseudo_count", right_pseudo_count, 0.0)
    check_positive(class_pseudo_count=class_pseudo_count)

    def model(rounds: Rounds) -> Ibcc:
        right = right_pseudo_count * np.eye(rounds.n_classes)[:, None, :]
        b = pseudo_counts(pseudo_count + right, prior, rounds)
        return Ibcc(b, occurring(rounds, b), class_pseudo_count)

    return fit(log, model, Matrices(pred_probs=pred_probs, **options))
