"""The package where it was not installed: on a path, in an archive."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import polars_crowd

RUN = """
import sys
sys.path.insert(0, sys.argv[1])
import polars as pl
import polars_crowd as pc
assert pc.__file__.startswith(sys.argv[1]), pc.__file__
log = pl.DataFrame({"example": [1, 1, 2, 2], "annotator": ["a", "b"] * 2, "label": ["x", "y", "x", "x"]})
pc.majority_vote(log, into=sys.argv[2])
print(pc.open_results(sys.argv[2]).method)
"""


def test_results_are_written_from_an_archive(tmp_path: Path) -> None:
    package = Path(polars_crowd.__file__).parent
    archive = shutil.make_archive(str(tmp_path / "here"), "zip", package.parent, package.name)
    done = subprocess.run(
        [sys.executable, "-c", RUN, archive, str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "Majority vote", done.stderr
