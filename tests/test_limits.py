"""How much memory work may take: what is free, what fits, and that the estimates are those of the work."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import polars_crowd as pc
from polars_crowd import limits
from polars_crowd.limits import bytes_of, check_memory, free_memory
from tests.cases import log_of_rows

FEW = log_of_rows([(e, a, (e + a) % 3) for e in range(6) for a in (1, 2, 3)])
CALLS = {
    "pairwise_agreement": {},
    "disagreements": {},
    "agreement": {"by": pl.DataFrame({"example": range(6), "group": range(6)})},
    "dawid_skene": {},
    "ibcc": {},
}
ESTIMATED = Path(__file__).parent / "estimated.py"


@pytest.mark.parametrize("name", CALLS)
def test_what_does_not_fit_is_refused_with_its_size_and_a_way_out(name: str) -> None:
    with pytest.raises(pc.MemoryLimitError) as found:
        getattr(pc, name)(FEW, memory_limit=1000, **CALLS[name])
    assert "of memory; the limit is 1.0 kB. " in str(found.value)
    assert "Allow more: memory_limit='16GB'." in str(found.value)
    assert "Allow more: --memory-limit 16GB." in found.value.said("command")
    assert isinstance(found.value, MemoryError)


def test_the_posterior_is_refused_when_it_is_asked_for(tmp_path: Path) -> None:
    fit = pc.one_coin_dawid_skene(FEW, memory_limit=500)
    assert fit.examples.collect().height == 6
    with pytest.raises(
        pc.MemoryLimitError, match=r"the posterior of 6 examples has 18 rows, .* 720 bytes"
    ):
        fit.posterior  # noqa: B018
    with pytest.raises(pc.MemoryLimitError):
        fit.write(tmp_path / "written")
    assert not (tmp_path / "written").exists()
    with pytest.raises(pc.MemoryLimitError):
        pc.one_coin_dawid_skene(FEW, memory_limit=500, into=tmp_path / "into").examples.collect()


@pytest.mark.parametrize("limit", [0, -5, "4 parsecs", "", "GB", True, 1.5, [1]])
def test_limits_that_are_none(limit: Any) -> None:
    with pytest.raises(ValueError, match=r"memory_limit=.*; it must be a number of bytes, or a s"):
        pc.pairwise_agreement(FEW, memory_limit=limit)


@pytest.mark.parametrize(
    ("text", "size"),
    [("4GB", 4 * 10**9), ("1.5 gib", 3 << 29), ("200 m", 2 * 10**8), ("7kB", 7000), ("12", 12)],
)
def test_sizes_as_text(text: str, size: int) -> None:
    assert bytes_of(text) == size


def test_half_of_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "free_memory", lambda: 2000)
    check_memory(1000, "a table takes", None)
    with pytest.raises(
        pc.MemoryLimitError, match=r"takes about 1\.0 kB of memory; half of what is"
    ):
        check_memory(1001, "a table takes", None)


def test_a_container_has_less_than_its_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    info, groups = tmp_path / "meminfo", tmp_path / "cgroup"
    info.write_text("MemTotal: 9000 kB\nMemAvailable:    4000 kB\n")
    monkeypatch.setattr(limits, "MEMORY_INFO", info)
    monkeypatch.setattr(limits, "CONTROL_GROUPS", groups)
    monkeypatch.setattr(limits, "_groups", lambda: [groups / "own", groups])
    if sys.platform != "win32":
        assert free_memory() == 4000 << 10
    (groups / "own").mkdir(parents=True)
    (groups / "own" / "memory.max").write_text("max\n")
    (groups / "own" / "memory.current").write_text("5\n")
    (groups / "memory.max").write_text("3000\n")
    (groups / "memory.current").write_text("2500\n")
    (groups / "memory.stat").write_text("anon 5\ninactive_file 400\n")
    assert free_memory() == 900
    (groups / "memory").mkdir()
    (groups / "memory" / "memory.limit_in_bytes").write_text("800\n")
    (groups / "memory" / "memory.usage_in_bytes").write_text("900\n")
    assert free_memory() == 0


def test_where_nothing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(limits, "MEMORY_INFO", tmp_path / "none")
    monkeypatch.setattr(limits, "_groups", list)
    monkeypatch.setattr(limits, "_pages", {"SC_PHYS_PAGES": 800}.get)
    if sys.platform != "win32":
        assert free_memory() == 400
        monkeypatch.setattr(limits, "_pages", lambda kind: None)
        assert free_memory() == limits.UNKNOWN


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read where Linux says it")
@pytest.mark.parametrize("work", ["pairs", "groups", "matrices", "cells", "posterior"])
def test_estimates_are_within_a_factor_of_two_of_what_is_held(work: str) -> None:
    """In a process of its own, whose memory is not that of other work."""
    call = [sys.executable, str(ESTIMATED), work]
    done = subprocess.run(call, capture_output=True, text=True, check=True, timeout=300)
    estimate, peak = json.loads(done.stdout)
    assert peak / 2 < estimate < peak * 2
