"""Pages as Chromium shows them, with no network and every script that may run."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
NEEDED = "NEEDS_CHROMIUM"
"""The variable of the environment by which it is a failure, not a reason to skip, that there is none."""


def chromium() -> str:
    """Where Chromium is."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        say = pytest.fail if os.environ.get(NEEDED) or os.environ.get("CI") else pytest.skip
        say(f"none of {', '.join(NAMES)} is installed: pages are not looked at")
    return found


@contextmanager
def open_browser() -> Iterator[Any]:
    where = chromium()
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=where, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Shown:
    """A page, and what went on while it was open."""

    page: Any
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def ask(self, script: str) -> Any:
        return self.page.evaluate(script)

    def hear(self, message: Any) -> None:
        self.errors += [message.text] if message.type == "error" else []

    def dismiss(self, dialog: Any) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    @property
    def is_wider_than_the_window(self) -> bool:
        return bool(self.ask("document.documentElement.scrollWidth > window.innerWidth"))


@contextmanager
def shown(browser: Any, path: Path, width: int = 1440, height: int = 900) -> Iterator[Shown]:
    """A file, opened from disk in a context without a network, when all of its charts are drawn."""
    context = browser.new_context(viewport={"width": width, "height": height}, offline=True)
    found = Shown(context.new_page())
    page = found.page
    page.on("console", found.hear)
    page.on("pageerror", lambda error: found.errors.append(str(error)))
    page.on("request", lambda asked: found.requests.append(asked.url))
    page.on("dialog", found.dismiss)
    page.goto(path.as_uri())
    page.wait_for_function("!document.querySelector('[data-spec]:not([data-drawn])')")
    yield found
    context.close()


def pages_of(pdf: bytes) -> int:
    """How many pages a PDF of Chromium has."""
    return len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf))
