"""What is killed at random moments leaves what was there or what was to be: a hundred kills."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

FAULTS = Path(__file__).parents[1] / "benchmarks" / "faults.py"


def test_a_hundred_kills_lose_nothing() -> None:
    only_kills = ["--kills", "100", "--bits", "0", "--logs", "0", "--reads", "0"]
    done = subprocess.run(
        [sys.executable, str(FAULTS), *only_kills], capture_output=True, text=True
    )
    rows = re.findall(r"\| kill -9 \| (\w+) \| (\d+) \| (\d+) \|", done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sum(int(survived) for _, _, survived in rows) == 100
    assert {"create", "append", "crowdlab", "majority_vote"} <= {kind for kind, _, _ in rows}
