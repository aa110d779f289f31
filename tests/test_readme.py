"""The README: short lines, and no block of Python that is not run."""

import re
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_all_python_is_run() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) > 10
    assert [block for block in blocks if not block.startswith(">>> ")] == []


def test_it_is_no_longer_than_one_reads() -> None:
    lines = README.splitlines()
    assert len(lines) <= 450
    assert [line for line in lines if len(line) > 100] == []
