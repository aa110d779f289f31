"""Makes the small files of this folder, and `logs.json` with the log that each must give or the error.

    python tests/data/door/make.py

A case is a file with its bytes, the options that it is read with, and what must come of it: the rows of
example, annotator and label with the types of these columns, or a pattern that the error must match.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
HEADER = b"example,annotator,label\n"
CAFE = "example,annotator,label\nä1,a,café\nä1,b,thé\n"

Case = tuple[str, bytes, dict[str, Any], list[list[Any]] | str]

TEXT_FILES: list[Case] = [
    # --- types ---
    (
        "leading_zeros.csv",
        HEADER + b"007,w1,a\n007,w2,a\n7,w3,b\n7,w4,b\n",
        {},
        [["007", "w1", "a"], ["007", "w2", "a"], ["7", "w3", "b"], ["7", "w4", "b"]],
    ),
    (
        "quoted_zeros.csv",
        HEADER + b'"0027",1,"1"\n"27",2,"0"\n',
        {},
        [["0027", 1, 1], ["27", 2, 0]],
    ),
    (
        "integers.csv",
        HEADER + b"1,-1,0\n9223372036854775807,-9223372036854775808,10\n",
        {},
        [[1, -1, 0], [9223372036854775807, -9223372036854775808, 10]],
    ),
    (
        "no_integers.csv",
        HEADER + b"9223372036854775808,+1,-0\n1,2,3\n",
        {},
        [["9223372036854775808", "+1", "-0"], ["1", "2", "3"]],
    ),
    (
        "long_ids.csv",
        HEADER + b"123456789012345678901,1,3.10\n1,2,3.1\n",
        {},
        [["123456789012345678901", 1, "3.10"], ["1", 2, "3.1"]],
    ),
    (
        "exponents.csv",
        HEADER + b"12e4,1.0,x\n34e5,2.0,y\n",
        {},
        [["12e4", "1.0", "x"], ["34e5", "2.0", "y"]],
    ),
    (
        "late_text.csv",
        HEADER + b"".join(b"%d,a,%d\n" % (i, i % 3) for i in range(150)) + b"img_7,a,unsure\n",
        {},
        [[str(i), "a", str(i % 3)] for i in range(150)] + [["img_7", "a", "unsure"]],
    ),
    (
        "late_fraction.csv",
        HEADER + b"".join(b"%d,a,%d\n" % (i, i % 3) for i in range(150)) + b"150,a,2.5\n",
        {"label_type": "number"},
        [[i, "a", float(i % 3)] for i in range(150)] + [[150, "a", 2.5]],
    ),
    (
        "decimal_comma.csv",
        b"example;annotator;label\n1;a;3,5\n1;b;-4\n",
        {"separator": ";", "label_type": "number", "decimal_comma": True},
        [[1, "a", 3.5], [1, "b", -4.0]],
    ),
    (
        "no_numbers.csv",
        HEADER + b"1,a,3\n1,b,NA\n2,a,NA\n2,b,3;5\n",
        {"label_type": "number"},
        r"3 values where numbers are needed are none:\n  column 'label': 'NA' \(2 rows\), '3;5' \(1 row\)",
    ),
    # --- fields and quotes ---
    (
        "embedded.csv",
        b'note,label,annotator,example\n"a, ""b""\nc",x,a,1\n,"y, z",b,2\n',
        {},
        [[1, "a", "x"], [2, "b", "y, z"]],
    ),
    (
        "empty_fields.csv",
        HEADER + b'1,a,\n1,b,""\n\n2,a,x\n,,\n2,b," "\n\n',
        {},
        [[2, "a", "x"], [2, "b", " "]],
    ),
    (
        "one_comma_too_many.csv",
        b"example,comment,annotator,label\n0,fine,a,x\n0,ok, but why,b,x\n1,,a,x\n",
        {},
        r"one_comma_too_many.csv: 1 row without exactly 4 .*\n  line 3, 5 fields: '0,ok, but why,b,x'",
    ),
    (
        "short_rows.csv",
        b'example,annotator,label,comment\n0,a,x,"two\nlines"\n0,b,x\n1,a,x,,\n1\n',
        {},
        r"3 rows without exactly 4 .*\n  line 4, 3 fields: '0,b,x'\n  line 5, 5 .*\n  line 6, 1 field: '1'",
    ),
    (
        "quote_inside.csv",
        HEADER + b'1,a,5" wide\n',
        {},
        r"quotes \" of the record that begins on line 2 are out of place: .*quote=None",
    ),
    ("quote_inside.txt", HEADER + b'1,a,5" wide\n', {"quote": None}, [[1, "a", '5" wide']]),
    (
        "open_quote.csv",
        HEADER + b'1,a,x\n2,a,"x\n3,a,x\n',
        {},
        r"begins on line 3 are out of place",
    ),
    (
        "returns.csv",
        HEADER.replace(b"\n", b"\r\n") + b"1,a,x\r\n2,a,7\r\n",
        {},
        [[1, "a", "x"], [2, "a", "7"]],
    ),
    (
        "integers_returns.csv",
        HEADER.replace(b"\n", b"\r\n") + b"1,2,3\r\n2,3,4",
        {},
        [[1, 2, 3], [2, 3, 4]],
    ),
    (
        "old_returns.csv",
        HEADER.replace(b"\n", b"\r") + b'1,a,x\r2,a,"y\rz"\r',
        {},
        [[1, "a", "x"], [2, "a", "y\rz"]],
    ),
    ("no_rows.csv", HEADER, {}, []),
    ("nothing.csv", b"", {}, "nothing.csv is empty: there is no header"),
    # --- separators, headers, comments ---
    ("tabs.tsv", b"example\tannotator\tlabel\n1\ta\tx, y\n", {}, [[1, "a", "x, y"]]),
    ("bars.txt", b"example|annotator|label\n1|a|x;y\n", {"separator": "|"}, [[1, "a", "x;y"]]),
    ("twice.csv", HEADER[:-1] + b",label\n1,a,x,y\n", {}, "several columns are named 'label'"),
    (
        "no_header.csv",
        b"1,a,x\n2,b,y\n",
        {"has_header": False, "columns": ["example", "annotator", "label"]},
        [[1, "a", "x"], [2, "b", "y"]],
    ),
    (
        "numbered.csv",
        b"1,a,x\n2,b,y\n",
        {"has_header": False, "example": "column_1", "annotator": "column_2", "label": "column_3"},
        [[1, "a", "x"], [2, "b", "y"]],
    ),
    (
        "comments.csv",
        b"# made, today\n" + HEADER + b"1,a,#x\n# the end\n",
        {"comment": "#"},
        [[1, "a", "#x"]],
    ),
    (
        "said_comments.csv",
        b"# made, today\n" + HEADER + b"1,a,#x\n",
        {},
        "Lines that begin with '#' can be left out: comment='#'",
    ),
    ("late_comments.csv", HEADER + b"1,a,x\n# the end\n", {}, "can be left out: comment='#'"),
    # --- encodings and compression ---
    ("marked.csv", b"\xef\xbb\xbf" + CAFE.encode(), {}, [["ä1", "a", "café"], ["ä1", "b", "thé"]]),
    (
        "latin.csv",
        CAFE.encode("latin-1"),
        {},
        "the byte 0xe4 in line 2 is not UTF-8.*encoding='windows-1252'",
    ),
    (
        "western.csv",
        CAFE.encode("windows-1252"),
        {"encoding": "windows-1252"},
        [["ä1", "a", "café"], ["ä1", "b", "thé"]],
    ),
    (
        "wide.csv",
        CAFE.encode("utf-16"),
        {"encoding": "utf-16"},
        [["ä1", "a", "café"], ["ä1", "b", "thé"]],
    ),
    (
        "said_wide.csv",
        CAFE.encode("utf-16"),
        {},
        "mark of UTF-16. Say .*: encoding='utf-16'",
    ),
    ("bare_wide.csv", CAFE.encode("utf-16-le"), {}, "encoding='utf-16-le'"),
    (
        "packed.csv.gz",
        gzip.compress(CAFE.encode("latin-1"), mtime=0),
        {"encoding": "latin-1"},
        [["ä1", "a", "café"], ["ä1", "b", "thé"]],
    ),
    (
        "two_members.csv.gz",
        gzip.compress(HEADER + b"1,a,x\n", mtime=0) + gzip.compress(b"2,a,y\n", mtime=0),
        {},
        [[1, "a", "x"], [2, "a", "y"]],
    ),
    (
        "cut_short.csv.gz",
        gzip.compress(HEADER + b"1,a,x\n" * 100, mtime=0)[:-20],
        {},
        "cut_short.csv.gz cannot be decompressed",
    ),
    # --- JSON ---
    (
        "mixed.jsonl",
        b'{"example": 1, "annotator": "a", "label": "x"}\n'
        b'{"example": "img_7", "annotator": "07", "label": 2, "more": 1}\n'
        b'{"example": "007", "annotator": "b", "label": null}\n',
        {},
        [["1", "a", "x"], ["img_7", "07", "2"]],
    ),
    (
        "array.json",
        b'[{"label": 1.5, "example": "007", "annotator": 1}, {"label": 2, "example": "7", "annotator": 2}]',
        {},
        [["007", 1, 1.5], ["7", 2, 2.0]],
    ),
    (
        "long_ids.json",
        b'[{"label": true, "example": 123456789012345678901, "annotator": 1}]',
        {},
        [["123456789012345678901", 1, True]],
    ),
    ("broken.jsonl", b'{"example": 1,\n', {}, "broken.jsonl is no JSON that can be read"),
]
TYPES = {str: "String", int: "Int64", float: "Float64", bool: "Boolean"}


def types_of(rows: list[list[Any]]) -> list[str]:
    """The types of the columns."""
    return [TYPES[type(value)] for value in rows[0]] if rows else ["String"] * 3


def workbook() -> list[Case]:
    """A sheet with cells of every type, beside another."""
    import xlsxwriter

    name = "cells.xlsx"
    book = xlsxwriter.Workbook(str(HERE / name))
    sheet = book.add_worksheet("log")
    cells: list[list[Any]] = [
        ["example", "annotator", "label"],
        ["007", 7, 1],
        ["8", 7.0, 0.5],
        [9, 8, True],
        [10, 8, None],
    ]
    for row, values in enumerate(cells):
        for column, value in enumerate(values):
            sheet.write(row, column, value)
    book.add_worksheet("notes").write(0, 0, "example")
    book.close()
    rows = [["007", 7, "1"], ["8", 7, "0.5"], ["9", 8, "true"]]
    said = "has the sheets 'log', 'notes'. Say which is to be read: sheet="
    return [
        (name, b"", {"sheet": "log"}, rows),
        (name, b"", {"sheet": 1}, rows),
        (name, b"", {}, said),
    ]


def described(case: Case) -> dict[str, Any]:
    """A case as `logs.json` has it."""
    file, _, options, must = case
    told = {"error": must} if isinstance(must, str) else {"types": types_of(must), "rows": must}
    return {"file": file, "options": options, **told}


if __name__ == "__main__":
    for file, data, *_ in TEXT_FILES:
        (HERE / file).write_bytes(data)
    cases = [described(case) for case in [*TEXT_FILES, *workbook()]]
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    (HERE / "logs.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
