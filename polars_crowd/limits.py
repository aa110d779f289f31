"""How much memory work may take, asked before it is begun: what does not fit is refused with its size.

The estimates are of what work holds at its peak, from sizes that are known before it; they stand where the
work does. What is free is read where the system says it: of a container what it may still have, elsewhere
what the machine has left.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from polars_crowd.errors import Advice, MemoryLimitError, OptionError

Limit = int | str | None
"""Bytes, a text such as `"4GB"`, or None: half of what is free."""
SHARE = 0.5
"""Of the memory that is free, unless the caller says how much."""
UNKNOWN = 4 << 30
"""Bytes that are taken to be free where the system does not tell."""
UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
BINARY = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kmgt]?)(i?)b?", re.IGNORECASE)
MEMORY_INFO = Path("/proc/meminfo")
CONTROL_GROUPS = Path("/sys/fs/cgroup")
ALLOW_MORE = Advice("Allow more", "memory_limit='16GB'", "--memory-limit 16GB")


def check_memory(needed: float, what: str, limit: Limit, *advice: Advice | str) -> None:
    """That work which holds so many bytes at its peak is within the limit; `what` says what takes them.

    Raises
    ------
    MemoryLimitError
        It is not. Nothing was computed.
    """
    allowed = bytes_of(limit)
    if needed > allowed:
        of = "half of what is free" if limit is None else "the limit"
        wrong = f"{what} about {size_text(needed)} of memory; {of} is {size_text(allowed)}."
        raise MemoryLimitError(wrong, *advice, ALLOW_MORE)


def bytes_of(limit: Limit) -> int:
    """A limit as bytes.

    >>> bytes_of(1000), bytes_of("4GB"), bytes_of("1.5 GiB")
    (1000, 4000000000, 1610612736)
    """
    if limit is None:
        return int(free_memory() * SHARE)
    found = SIZE.fullmatch(limit.strip()) if isinstance(limit, str) else None
    if found:
        units = BINARY if found[3] else UNITS
        return int(float(found[1]) * units[found[2].lower()])
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        wrong = "it must be a number of bytes, or a size such as '4GB'."
        raise OptionError("memory_limit", limit, wrong)
    return limit


def size_text(n: float) -> str:
    """Bytes for people.

    >>> size_text(3_680_000_000), size_text(812_000), size_text(12)
    ('3.7 GB', '812 kB', '12 bytes')
    """
    for unit, letter in (("TB", "t"), ("GB", "g"), ("MB", "m"), ("kB", "k")):
        if n >= UNITS[letter]:
            shown = n / UNITS[letter]
            return f"{shown:,.1f} {unit}" if shown < 100 else f"{shown:,.0f} {unit}"
    return f"{n:.0f} bytes"


# --- what is free ----------------------------------------------------------------------------------


def free_memory() -> int:
    """Bytes that this process may still take."""
    found = [size for size in (_of_machine(), *_of_control_groups()) if size is not None]
    return max(min(found, default=UNKNOWN), 0)


def _of_machine() -> int | None:
    """What the machine has left."""
    if sys.platform == "win32":
        return _of_windows()
    try:
        available = re.search(r"MemAvailable:\s+(\d+) kB", MEMORY_INFO.read_text())
    except OSError:
        available = None
    if available:
        return int(available[1]) << 10
    return _pages("SC_AVPHYS_PAGES") or _half(_pages("SC_PHYS_PAGES"))


def _half(size: int | None) -> int | None:
    """What is taken to be free of all the memory of a machine that does not say what is."""
    return size and size // 2


def _pages(kind: str) -> int | None:
    """The bytes of so many pages, if the system knows of this kind."""
    try:
        return os.sysconf(kind) * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _of_control_groups() -> Iterator[int]:
    """What the control groups of this process leave, of both versions."""
    for limit, used, cache in (
        ("memory.max", "memory.current", "inactive_file"),
        (
            "memory/memory.limit_in_bytes",
            "memory/memory.usage_in_bytes",
            "total_inactive_file",
        ),
    ):
        for group in _groups():
            most, now = _number(group / limit), _number(group / used)
            if most is not None and now is not None:
                given_back = _statistic(group / Path(limit).with_name("memory.stat"), cache)
                yield most - now + given_back


def _groups() -> list[Path]:
    """The group of this process and those around it; in a container it is the root."""
    try:
        own = Path("/proc/self/cgroup").read_text()
    except OSError:
        return []
    path = re.search(r"^0::/(.*)$", own, re.MULTILINE)
    group = CONTROL_GROUPS / path[1] if path else CONTROL_GROUPS
    around = [place for place in group.parents if place.is_relative_to(CONTROL_GROUPS)]
    return [group, *around]


def _number(file: Path) -> int | None:
    """The number in a file; None for `max`, or where there is no such file."""
    try:
        text = file.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None


def _statistic(file: Path, name: str) -> int:
    """A line of a control group's statistics, 0 where it has none."""
    try:
        found = re.search(rf"^{name} (\d+)$", file.read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) if found else 0


class _Memory(ctypes.Structure):
    """What Windows says of memory."""

    _fields_ = (
        ("length", ctypes.c_ulong),
        ("load", ctypes.c_ulong),
        *((name, ctypes.c_ulonglong) for name in ("total", "free", "page", "page_free")),
        *((name, ctypes.c_ulonglong) for name in ("virtual", "virtual_free", "extended")),
    )


def _of_windows() -> int | None:
    state = _Memory()
    state.length = ctypes.sizeof(_Memory)
    asked = getattr(ctypes, "windll").kernel32.GlobalMemoryStatusEx(ctypes.byref(state))  # noqa: B009
    return int(state.free) if asked else None
