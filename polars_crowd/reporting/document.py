"""A report as JSON, for programs.

    {"format": "polars-crowd report", "format_version": 1, "title": ..., "about": {...},
     "numbers":  [{"key", "name", "value", "low", "high", "note"}],
     "findings": [{"key", "severity", "reach", "says", "do", "value", "low", "high"}],
     "sections": [{"key", "title", "text": [...],
                   "tables": [{"key", "title", "says", "columns": [...], "rows": [[...]], "total"}],
                   "charts": [{"key", "title", "says", "table"}]}]}

Keys stay what they are; a version that drops or changes one counts `format_version` up. Findings are in the
order of their importance. `rows` are in the order of `columns`, `total` counts the rows that there are in
all; a chart draws the table that it names. What JSON has no number for is null.
"""

from __future__ import annotations

import json
import math
from dataclasses import fields
from typing import Any

from polars_crowd.reporting.content import Content, Finding, Number, Section, Table, plain

FORMAT = "polars-crowd report"
FORMAT_VERSION = 1


def json_text(content: Content) -> str:
    """The document; its texts are ASCII, so that no character in them steers what it is printed on."""
    return json.dumps(document(content), indent=1, allow_nan=False) + "\n"


def document(content: Content) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "title": content.title,
        "about": dict(content.about),
        "numbers": [of_record(n) for section in content.sections for n in section.numbers],
        "findings": [of_record(finding) for finding in content.findings],
        "sections": [of_section(section) for section in content.sections],
    }


def of_record(record: Number | Finding) -> dict[str, Any]:
    """All of its fields; sentences as text."""
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    return {
        name: plain(value) if isinstance(value, tuple) else finite(value)
        for name, value in values.items()
    }


def of_section(section: Section) -> dict[str, Any]:
    charts = [
        {"key": c.key, "title": c.title, "says": c.says, "table": c.table} for c in section.charts
    ]
    return {
        "key": section.key,
        "title": section.title,
        "text": [plain(said) for said in section.text],
        "tables": [of_table(table) for table in section.tables],
        "charts": charts,
    }


def of_table(table: Table) -> dict[str, Any]:
    rows = [[finite(value) for value in row] for row in table.frame.iter_rows()]
    return {
        "key": table.key,
        "title": table.title,
        "says": table.says,
        "columns": table.frame.columns,
        "rows": rows,
        "total": table.frame.height + table.more,
    }


def finite(value: Any) -> Any:
    """A value that JSON can hold: null for what is no number, text for dates and the like."""
    if isinstance(value, list):
        return [finite(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
