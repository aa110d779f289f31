"""What speaks against labels is said: where it is true, and only there."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings

import polars_crowd as pc
from polars_crowd.truth.registry import methods_for
from polars_crowd.truth.result import Answers
from polars_crowd.truth.soundness import PAIR, Against, count_against
from tests.cases import Case, bundled, cases, simulated
from tests.truth.truth_cases import quiet

DOUBTS = ("classes may be", "annotators agree on all", "labels differ from", "became the truth of")
UNANIMOUS = pl.DataFrame(
    {
        "example": np.repeat(np.arange(12), 3),
        "annotator": ["a", "b", "c"] * 12,
        "label": np.repeat(["x", "y", "y"] * 4, 3),
    }
)


def doubts(method: Any, *args: Any, **options: Any) -> list[str]:
    """What a method says against its own labels."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        method(*args, **options)
    found = [str(warning.message) for warning in said]
    assert len(found) == len(set(found))
    return [text for text in found if any(doubt in text for doubt in DOUBTS)]


def against(fit: Answers) -> Against:
    merged = fit._fitted.rounds.run(count_against, fit._source)
    return Against.of(fit._fitted, merged)


@settings(max_examples=25)
@given(cases())
def test_counts_by_hand(case: Case) -> None:
    fit = quiet(pc.ibcc, case.log, classes=list(range(case.n_classes)))
    found = against(fit)
    z = fit.examples.collect()["consensus_label"].to_numpy()
    labels = case.labels[(case.labels >= 0).any(axis=1)]
    votes = np.stack([(labels == k).sum(axis=1) for k in range(case.n_classes)], axis=1)
    n, top = votes.sum(axis=1), votes.max(axis=1)
    own = votes[np.arange(len(z)), z]
    alone = (votes == top[:, None]) & ((votes == top[:, None]).sum(axis=1) == 1)[:, None]
    several = n > 1
    expected = [len(z), (own < top).sum(), several.sum(), (several & (top == n)).sum()]
    assert found.examples.tolist() == expected
    assert found.won.tolist() == alone.sum(axis=0).tolist()
    assert found.found.tolist() == np.bincount(z, minlength=case.n_classes).tolist()
    there = (labels >= 0).any(axis=0)
    assert found.right.tolist() == (labels == z[:, None]).sum(axis=0)[there].tolist()
    read = np.zeros((case.n_classes, case.n_classes))
    read[tuple(found.read[key] for key in PAIR)] = found.read["votes"]
    np.testing.assert_array_equal(read, [votes[z == k].sum(axis=0) for k in range(case.n_classes)])


def test_exchanged_classes() -> None:
    data = simulated(n_examples=300, n_classes=5, accuracy=0.8)
    names = data.truth["label"].unique().sort().to_list()
    swapped = data.truth.with_columns(
        pl.col("label").replace_strict(names, [names[1], names[0], *names[2:]])
    )
    said = doubts(pc.dawid_skene, data.log, init=swapped)
    a, b = names[0], names[1]
    assert said[0] == (
        f"classes may be exchanged: most labels on examples of class {a!r} are {b!r}, and most labels "
        f"{b!r} are there; most labels on examples of class {b!r} are {a!r}, and most labels {a!r} are "
        "there. Give known labels, or more of them: gold=."
    )
    assert doubts(pc.dawid_skene, data.log, init=data.truth) == []


def test_most_annotators_below_chance() -> None:
    data = simulated(n_examples=300, n_classes=2, accuracy=0.8)
    names = data.truth["label"].unique().sort().to_list()
    turned = data.truth.with_columns(pl.col("label").replace_strict(names, names[::-1]))
    said = doubts(pc.ibcc, data.log, gold=turned.head(250))
    assert "annotators are right less often than by chance; most labels on" in said[0]


def test_a_unanimous_log() -> None:
    for name, method in methods_for("classes").items():
        said = doubts(method.function, UNANIMOUS)
        assert said == [
            "annotators agree on all of the 12 examples with more than one annotation: nothing tells them "
            "apart, and what is said of them is where the method began. Give known labels, or more of "
            "them: gold=."
        ], name
    known = pl.DataFrame({"example": range(12), "label": ["x", "y", "y"] * 4})
    assert doubts(pc.dawid_skene, UNANIMOUS, gold=known) == []


def test_labels_that_differ_from_the_vote() -> None:
    data = simulated(n_examples=400, n_classes=2, accuracy=0.85, adversaries=8)
    fit = quiet(pc.dawid_skene, data.log)
    vote = pc.majority_vote(data.log).collect()
    joined = fit.examples.collect().join(vote, on="example", suffix="_vote")
    own = (joined["annotator_agreement"] < joined["annotator_agreement_vote"]).sum()
    [said] = doubts(pc.dawid_skene, data.log)
    assert own > 40
    assert said.startswith(f"labels differ from the majority vote on {own} of 400 examples (")
    assert said.endswith("Compare methods on known labels: pc.compare(log, truth=).")
    assert doubts(pc.wawa, data.log) == []


def test_a_class_that_wins_votes_and_gets_no_label() -> None:
    """Two careless annotators alone see z, on examples that nobody else labels."""
    crowd = pl.DataFrame(
        {
            "example": np.repeat(np.arange(200), 3),
            "annotator": ["a", "b", "c"] * 200,
            "label": np.repeat(["x", "y"] * 100, 3),
        }
    )
    careless = pl.DataFrame(
        {
            "example": list(range(100)) + list(range(200, 203)),
            "annotator": ["d"] * 103,
            "label": ["z"] * 100 + ["z"] * 3,
        }
    )
    said = doubts(pc.one_coin_dawid_skene, pl.concat([crowd, careless]))
    assert any("1 class that annotators chose became the truth of next to no" in s for s in said)


def test_a_store_and_workers_say_the_same(tmp_path: Path) -> None:
    data = simulated(n_examples=200, n_classes=2, accuracy=0.85, adversaries=8)
    store = pc.AnnotationStore.create(tmp_path / "store", data.log, partitions=3)
    expected = doubts(pc.dawid_skene, data.log)
    assert expected
    with ThreadPoolExecutor(2) as executor:
        assert doubts(pc.dawid_skene, store, executor=executor) == expected


def test_a_blend_speaks_of_its_own_labels_only() -> None:
    data = simulated(n_examples=400, n_classes=2, accuracy=0.85, adversaries=8)
    fit = quiet(pc.blend, data.log)
    [said] = doubts(pc.blend, data.log)
    assert said.startswith(
        f"labels differ from the majority vote on {against(fit).examples[1]:.0f} of"
    )


def test_warnings_point_at_the_line_that_called() -> None:
    with pytest.warns(pc.AnnotationWarning, match="annotators agree on all") as said:
        pc.ibcc(UNANIMOUS)
    assert {warning.filename for warning in said} == {__file__}


@pytest.mark.parametrize("name", ["tutorial", "digits_sim", "labelme"])
def test_no_alarm_where_there_is_nothing(name: str) -> None:
    log, pred_probs, _ = bundled(name)
    for method in (pc.dawid_skene, pc.ibcc, pc.wawa, pc.bwa, pc.mace):
        assert doubts(method, log) == []
    assert doubts(pc.blend, log, pred_probs) == []
