"""A report as one HTML file that asks nobody for anything: style, scripts and data are in it.

A Content-Security-Policy lets only its own two scripts and its own style work, each by its hash, and no
request leave the page. Charts are drawn by Vega, whose bundle is in the file once; its expressions are
interpreted, never evaluated as code. Whatever the log says is text.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any

from polars_crowd.cells import heading, number_text
from polars_crowd.errors import Advice, Advised, PackageError
from polars_crowd.markup import Markup, data, joined, tag
from polars_crowd.reporting.charts.theme import altair
from polars_crowd.reporting.content import (
    Chart,
    Content,
    Finding,
    Number,
    Quoted,
    Section,
    Sentence,
    Table,
    interval,
)
from polars_crowd.reports import table_html

INSTALL = Advice(
    "Install it",
    python='pip install "polars-crowd[report]"',
    command='pip install "polars-crowd[report]"',
)

SNIPPET = "window.vegaEmbed = vegaEmbed;"


def html_text(content: Content) -> str:
    """The page.

    Raises
    ------
    PackageError
        The extra `report` is not installed.
    """
    charts = [chart for section in content.sections for chart in section.charts]
    drawn = {chart.key: drawing(chart) for chart in charts}
    specs = {key: spec for key, (spec, _) in drawn.items() if spec}
    scripts = (bundle(), own("report.js")) if specs else ()
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy(scripts)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="generator", content=f"polars-crowd {content.about['polars_crowd']}"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", content.title),
        tag("style", own("report.css")),
    )
    body = tag(
        "body",
        tag("a", "Skip to the findings", href="#findings", class_="skip"),
        tag("header", tag("h1", content.title), tag("p", str(content.about["method"]))),
        contents_list(content),
        tag("main", *(of_section(s, drawn) for s in content.sections), id="main"),
        *(data(spec, id=f"spec-{key}") for key, spec in specs.items()),
        *(tag("script", script) for script in scripts),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def check_installed() -> None:
    """That a page can be made, which is asked before there is anything to say.

    Raises
    ------
    PackageError
        The extra `report` is not installed.
    """
    altair()
    bundle()


# --- what may run ----------------------------------------------------------------------------------


def policy(scripts: tuple[Markup, ...]) -> str:
    """Nothing but these scripts and the style, and no requests."""
    allowed = " ".join(map(digest, scripts)) or "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src {digest(own('report.css'))}; "
        "base-uri 'none'; form-action 'none'"
    )


def digest(text: str) -> str:
    """
    >>> digest("")
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
    """
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def own(name: str) -> Markup:
    """A file of this package."""
    return Markup((resources.files("polars_crowd") / "data" / "report" / name).read_text("utf-8"))


@cache
def bundle() -> Markup:
    """Vega, Vega-Lite and Vega-Embed in one script."""
    try:
        import vl_convert
    except ModuleNotFoundError:
        wrong = "an HTML report needs vl-convert-python, which is not installed."
        raise PackageError(wrong, INSTALL) from None
    return Markup(vl_convert.javascript_bundle(SNIPPET).replace("</script", "<\\/script"))


Drawing = tuple[dict[str, Any] | None, str]
"""A chart in Vega-Lite, and what stands below it; None where there is nothing to draw."""


def drawing(chart: Chart) -> Drawing:
    """The chart without its title, which is a heading of the page; what it says of itself stands below."""
    try:
        spec: dict[str, Any] = chart.draw(*chart.given).to_dict()
    except PackageError:
        raise
    except Advised as error:
        return None, f"Not drawn: {error.what()}"
    said = spec.pop("title", {}).get("subtitle", [])
    return {**spec, "description": chart.title}, " ".join([*said, chart.says])


# --- the page --------------------------------------------------------------------------------------


def contents_list(content: Content) -> Markup:
    links = (tag("li", tag("a", s.title, href=f"#{s.key}")) for s in content.sections)
    return tag("nav", tag("ul", *links), aria_label="Contents")


def of_section(section: Section, drawn: Mapping[str, Drawing]) -> Markup:
    inside = [tag("h2", section.title, id=f"{section.key}-title")]
    inside += [tag("p", said(paragraph)) for paragraph in section.text]
    if section.numbers:
        inside.append(tag("dl", *map(of_number, section.numbers), class_="numbers"))
    if section.findings:
        inside.append(tag("ol", *map(of_finding, section.findings), class_="findings"))
    charts = {chart.table: chart for chart in section.charts}
    for table in section.tables:
        chart = charts.get(table.key)
        if chart is not None:
            inside.append(of_chart(chart, *drawn[chart.key]))
        inside.append(of_table(table) if chart is None or not chart.folds else folded(table))
    return tag("section", *inside, id=section.key, aria_labelledby=f"{section.key}-title")


def said(sentence: Sentence) -> Markup:
    """A sentence, with what is of the log as code."""
    return joined(*(tag("code", p.text) if isinstance(p, Quoted) else p for p in sentence))


def of_number(number: Number) -> Markup:
    notes = [note for note in (interval(number.low, number.high), number.note) if note]
    value = tag("dd", number_text(number.value), *(tag("span", note) for note in notes))
    return tag("div", tag("dt", number.name), value)


def of_finding(finding: Finding) -> Markup:
    return tag(
        "li",
        tag("p", tag("strong", finding.severity, class_="severity"), " ", said(finding.says)),
        tag("p", tag("em", "What to do: "), said(finding.do)),
        class_=finding.severity,
    )


def of_table(table: Table) -> Markup:
    """The table in a box of its own, which scrolls where it is wider than the page."""
    return joined(tag("h3", table.title), *notes(table), boxed(table, f"table-{table.key}"))


def boxed(table: Table, name: str) -> Markup:
    named = {"role": "region", "aria_labelledby": name, "tabindex": 0}
    rows = f"The first {table.frame.height:,} of {table.frame.height + table.more:,}."
    cut = [tag("p", rows, class_="cut")] if table.more else []
    return joined(tag("div", plain_table(table, name), class_="scroll", **named), *cut)


def notes(table: Table) -> Iterator[Markup]:
    if table.says:
        yield tag("p", table.says)


def plain_table(table: Table, name: str) -> Markup:
    caption = tag("caption", table.title, id=name)
    return table_html(table.frame, caption, heading=heading)


def of_chart(chart: Chart, spec: dict[str, Any] | None, said: str) -> Markup:
    """The chart under its title; a script draws it."""
    box = [tag("div", class_="chart", data_spec=f"spec-{chart.key}")] if spec else []
    return tag("figure", tag("h3", chart.title), *box, tag("figcaption", said))


def folded(table: Table) -> Markup:
    """A table for who wants to read the numbers of a chart."""
    name = f"table-{table.key}"
    return tag("details", tag("summary", f"In numbers: {table.title}"), boxed(table, name))
