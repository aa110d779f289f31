"""The page in headless Chromium: it works offline and on a phone, prints, and nothing hostile acts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import polars as pl
import pytest

import polars_crowd as pc
from polars_crowd.escapes import STEERING
from polars_crowd.reporting.report import Format, LogReport
from tests.reporting.browser import open_browser, pages_of, shown
from tests.reporting.hostile import HOSTILE, hostile_report
from tests.truth.truth_cases import unwarned

WIDTHS = (1440, 390)
MOST_PAGES = 15


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_browser() as found:
        yield found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = pc.datasets.tutorial()
    log = data.log.with_columns(third=pl.col("example").cast(pl.Int64) % 3)
    path = tmp_path_factory.mktemp("page") / "report.html"
    pc.report(log, data.pred_probs, truth=data.truth, by="third", path=path)
    return path


@pytest.fixture(scope="module")
def hostile() -> LogReport:
    assert len(set(HOSTILE)) >= 60
    with unwarned():
        return hostile_report()


def test_it_opens_from_disk_and_draws_all_charts(browser: Any, page: Path) -> None:
    with shown(browser, page) as found:
        assert found.errors == []
        assert found.requests == [page.as_uri()]
        charts = found.ask(
            "[...document.querySelectorAll('[data-spec]')].map(box => box.querySelectorAll("
            "'.role-mark path, .role-mark rect, .role-mark line, .role-mark text').length)"
        )
        assert len(charts) >= 6
        assert min(charts) > 0


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_scrolls_sideways(width: int, browser: Any, page: Path) -> None:
    with shown(browser, page, width) as found:
        assert not found.is_wider_than_the_window
        wide = (
            "[...document.querySelectorAll('main *, nav *')].filter(e => "
            "!e.closest('.scroll, details, .chart') && e.getBoundingClientRect().right > innerWidth + 1)"
            ".map(e => e.outerHTML.slice(0, 80))"
        )
        assert found.ask(wide) == []
        cut = "[...document.querySelectorAll('.chart')].filter(e => e.scrollWidth > e.clientWidth + 1).length"
        assert found.ask(cut) == 0


def test_headings_and_landmarks_are_in_order(browser: Any, page: Path) -> None:
    with shown(browser, page) as found:
        levels = found.ask(
            "[...document.querySelectorAll('h1, h2, h3, h4')].map(h => +h.tagName[1])"
        )
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(b - a <= 1 for a, b in pairwise(levels))
        for landmark in ("header", "nav", "main"):
            assert found.ask(f"document.querySelectorAll('body > {landmark}').length") == 1
        assert found.ask("document.documentElement.lang") == "en"
        assert found.ask("[...document.querySelectorAll('table')].every(t => t.caption)")
        assert found.ask("[...document.querySelectorAll('th')].every(h => h.scope)")
        named = "[...document.querySelectorAll('[role=region], section')].every(r => document.getElementById("
        assert found.ask(f"{named}r.getAttribute('aria-labelledby')))")
        ids = found.ask("[...document.querySelectorAll('[id]')].map(e => e.id)")
        assert len(ids) == len(set(ids))


def test_the_keyboard_reaches_everything_from_top_to_bottom(browser: Any, page: Path) -> None:
    with shown(browser, page) as found:
        where = "(e => [e.tagName, e.textContent.slice(0, 20), e.getBoundingClientRect().top + scrollY])"
        stops = []
        for _ in range(25):
            found.page.keyboard.press("Tab")
            stops.append(found.ask(f"{where}(document.activeElement)"))
        assert stops[0][:2] == ["A", "Skip to the findings"]
        places = [top for _, _, top in stops[1:]]
        assert places == sorted(places)
        assert {"A", "DIV"} <= {tag for tag, _, _ in stops}
        found.page.keyboard.press("Home")
        found.page.focus(".skip")
        found.page.keyboard.press("Enter")
        assert found.ask("location.hash") == "#findings"


def test_it_prints_on_few_pages(browser: Any, page: Path) -> None:
    with shown(browser, page) as found:
        assert 1 <= pages_of(found.page.pdf(format="A4")) <= MOST_PAGES


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_hostile_acts(width: int, browser: Any, hostile: LogReport, tmp_path: Path) -> None:
    path = tmp_path / "<img src=x onerror=window.acted=1>.html"
    path.write_text(hostile.text("html"), encoding="utf-8")
    with shown(browser, path, width) as found:
        for name in ("mouseover", "focus", "click"):
            found.ask(
                "document.querySelectorAll('main *').forEach(e => e.dispatchEvent(new Event("
                f"'{name}', {{bubbles: true}})))"
            )
        found.page.wait_for_timeout(100)
        assert found.ask("window.acted") is None
        assert found.dialogs == []
        assert found.errors == []
        assert found.requests == [path.as_uri()]
        assert not found.is_wider_than_the_window
        elements = (
            "img, iframe, object, embed, form:not(.vega-bindings), input, button, base, link, video, "
            "math, template"
        )
        assert found.ask(f"document.querySelectorAll('{elements}').length") == 0
        links = "[...document.querySelectorAll('a')].every(a => a.getAttribute('href')[0] === '#')"
        assert found.ask(links)
        handlers = (
            "[...document.querySelectorAll('*')].some(e => [...e.attributes].some(a => "
            "a.name.startsWith('on')))"
        )
        assert not found.ask(handlers)
        assert len(found.ask("[...document.querySelectorAll('main table')]")) > 5


def test_what_is_hostile_is_there_to_be_read(
    browser: Any, hostile: LogReport, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    path.write_text(hostile.text("html"), encoding="utf-8")
    with shown(browser, path) as found:
        text = found.ask("document.querySelector('main').textContent")
        assert found.ask("document.title") == hostile.content.title
    listed = [t for t in hostile.content.tables() if t.key == "least_certain"]
    for example in listed[0].frame["example"]:
        if not re.search(STEERING, example):
            assert example in text


def test_no_format_has_what_steers_a_terminal(hostile: LogReport) -> None:
    for form in get_args(Format):
        text = hostile.text(form).replace("\n", "")
        bundle = text.split("<script>")[0] if form == "html" else text
        assert not re.search(STEERING, bundle)
    assert not re.search(STEERING, repr(hostile).replace("\n", ""))
    assert json.loads(hostile.text("json")) == hostile.to_dict()


def test_markdown_has_no_markup_of_others(hostile: LogReport) -> None:
    """With everything that is escaped, and all code, taken away, nothing is left that could be markup."""
    for line in hostile.text("md").splitlines():
        plain = re.sub(r"\\[!-/:-@\[-`{-~]|&#\d+;|`[^`|\\]+`", "", line)
        plain = re.sub(
            r"^ *(#+|- |\d+\. |\| (---:? ?\| ?)*|\*What to do:\*)|\*\*\w+\*\*:", "", plain
        )
        assert not re.search(r"[`<>\[\]~$*_]|https?:|www\.|javascript:/", plain), line
    tables = re.findall(r"(?m)^\|.*$", hostile.text("md"))
    widths = [len(re.findall(r"(?<!\\)\|", row.replace("\\\\", ""))) for row in tables]
    for before, after, row in zip(widths, widths[1:], tables[1:], strict=False):
        assert before == after or "---" in tables[tables.index(row) + 1], row
