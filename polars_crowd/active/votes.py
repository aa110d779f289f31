"""What to label next where there is no model: the quality of the majority vote.

Letters as in `active.scores`: with all annotators alike (w[a] = 1) and no model its formula becomes

    score[e] = ( c[e] + 1 / K ) / ( n[e] + 1 )

of the n annotations of an example, c of them for its consensus label: the share of votes that the label would
have, were one more annotator to choose among the K classes at random.
"""

from __future__ import annotations

from typing import Any, Unpack

import polars as pl

from polars_crowd.consensus.majority_vote import majority_vote
from polars_crowd.rounds.opening import OpenOptions


def vote_scores(log: Any, **options: Unpack[OpenOptions]) -> pl.LazyFrame:
    """How well every annotated example is labelled, by the votes alone: those of the lowest scores next.

    Parameters
    ----------
    log
        The annotations, or a store, as `majority_vote` takes them.
    options
        As for `majority_vote`. Without `classes` K is the number of those that won.

    Returns
    -------
    LazyFrame
        `example`; `num_annotations`; `active_learning_score` in (0, 1), lower is more worth labelling.

    Examples
    --------
    >>> log = pl.DataFrame({
    ...     "example": ["e1", "e1", "e2", "e2", "e3"],
    ...     "annotator": ["a", "b", "a", "b", "a"],
    ...     "label": ["cat", "cat", "dog", "cat", "dog"],
    ... })
    >>> vote_scores(log).collect().rows()
    [('e1', 2, 0.833...), ('e2', 2, 0.5), ('e3', 1, 0.75)]
    """
    votes, classes = majority_vote(log, **options), options.get("classes")
    n, share = pl.col("num_annotations"), pl.col("annotator_agreement")
    K = pl.col("consensus_label").n_unique() if classes is None else len(classes)
    score = (n * share + 1 / K) / (n + 1)
    return votes.select("example", "num_annotations", active_learning_score=score)
