"""Settings of all tests."""

import os
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context

import pytest
from hypothesis import HealthCheck, settings

# Tests run beside each other: linear algebra on every core at once waits for cores that others have, at work.
for of_threads in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(of_threads, "1")

# Some tests start processes: these find what Python has compiled, also where it is told to keep nothing.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A run's time depends on the machine, so examples have no deadline. Elsewhere they are new on every run; in
# CI they are the same for the same test, so that a change is judged by what it changed.
settings.register_profile(
    "polars_crowd",
    deadline=None,
    max_examples=20,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
)
# For a night's run: --hypothesis-profile=thorough
settings.register_profile(
    "thorough", settings.get_profile("polars_crowd"), max_examples=400, derandomize=False
)
settings.load_profile("polars_crowd")


LONGEST = "test_kills.py"
"""It takes as long as hundreds of others: begun near the end, it alone would be waited for."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name != LONGEST)


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_the_disk() -> Iterator[None]:
    """Files are not brought to the disk, one by one: a test outlives no power cut. Those that ask when do."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", lambda opened: None)
        yield


@pytest.fixture(scope="session")
def spawned() -> Iterator[Executor]:
    """Two other processes, which start once: half a second each."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        yield executor
