"""Every ratio that has a target, in one table: those that the other benchmarks state, measured by them.

    python benchmarks/summary.py [--only latency crowdlab ...] [--repeat 3] [--data DIR] [--check]

With `--check` it exits with 1 where a target is missed. All takes about half an hour, and the 7 GB
that cleanlab needs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import activelab
import agreement
import crowdlab
import door
import formats
import latency
import truth
from _measure import BOUNDS, Bound, environment, markdown

PARTS: Mapping[str, Callable[[Path, int], Iterator[Bound]]] = {
    "latency": lambda root, _: latency.bounds(root),
    "crowdlab": crowdlab.bounds,
    "agreement": agreement.bounds,
    "activelab": lambda _, repeat: activelab.bounds(repeat),
    "door": door.bounds,
    "formats": formats.bounds,
    "truth": truth.bounds,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--only", nargs="+", choices=PARTS, default=list(PARTS), help="the benchmarks to run")
    add("--repeat", type=int, default=3, help="runs of each; the best counts")
    add("--data", type=Path, help="where the data are kept; by default nowhere")
    add("--check", action="store_true", help="exit with 1 if a target is missed")
    options = parser.parse_args()
    about = environment()
    with tempfile.TemporaryDirectory() as scratch:
        root = options.data or Path(scratch)
        found = [bound for part in options.only for bound in PARTS[part](root, options.repeat)]
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    print(f"\n{markdown(BOUNDS, (bound.line for bound in found))}")
    if options.check and not all(bound.is_met for bound in found):
        sys.exit(1)


if __name__ == "__main__":
    main()
