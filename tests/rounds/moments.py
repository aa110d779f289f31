"""The moments of a run: something is done before each step that changes files, or the process is killed.

As a module that is run: a process that is forked for each run, and so has nothing to load.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars_crowd as pc

METHODS: dict[str, Callable[..., Any]] = {
    "majority_vote": pc.majority_vote,
    "wawa": pc.wawa,
    "crowdlab": pc.crowdlab,
}
STEPS = (
    *((Path, "replace"), (Path, "mkdir"), (Path, "unlink"), (Path, "rmdir")),
    *((os, "link"), (os, "fsync")),
)
"""What changes files and directories."""
STRIDE, SOON = 23, 0.3


def at_each_step(patch: Callable[[Any, str, Any], None], do: Callable[[], None]) -> None:
    """Have something done before each step."""

    def before(step: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(*args: Any, **options: Any) -> Any:
            do()
            return step(*args, **options)

        return stepped

    for of, name in STEPS:
        patch(of, name, before(getattr(of, name)))


def fails_with(number: int) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(number, os.strerror(number))

    return fail


def killed_after(steps: int, run: Callable[[], Any]) -> bool:
    """Whether a run is killed that is to be after so many steps."""
    left = [steps]

    def count() -> None:
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def prepared() -> None:
        at_each_step(setattr, count)
        run()

    return killed(prepared)


def killed_at_random(seed: int, run: Callable[[], Any]) -> bool:
    """... at a random moment: what an alarm does to a process that does not expect it is a kill, too."""

    def prepared() -> None:
        signal.setitimer(signal.ITIMER_REAL, random.Random(seed).uniform(0.01, SOON))
        run()

    return killed(prepared)


def killed(run: Callable[[], Any]) -> bool:
    child = os.fork()
    if not child:
        try:
            run()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def main(folder: Path, method: str) -> dict[str, bool]:
    """Which runs were killed, by their directories."""
    ends: dict[str, bool] = {}

    def run(place: str) -> Callable[[], Any]:
        if place.startswith("there"):
            shutil.copytree(folder / "before", folder / place)
        return lambda: METHODS[method](
            pc.AnnotationStore.open(folder / "after.store"), into=folder / place
        )

    for kind in ("there", "new"):
        for step in range(0, 1000, STRIDE):
            place = f"{kind}-{step}"
            ends[place] = killed_after(step, run(place))
            if not ends[place]:
                break
        for seed in range(2):
            place = f"{kind}-at-random-{seed}"
            ends[place] = killed_at_random(seed, run(place))
    return ends


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(json.dumps(main(Path(sys.argv[1]), sys.argv[2])))
