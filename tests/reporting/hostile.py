"""Texts that would do something where they are taken for code, and a log that is full of them."""

from __future__ import annotations

import polars as pl

import polars_crowd as pc
from polars_crowd.reporting.report import LogReport
from tests.cases import EVIL

ACT = "window.acted=1"
MARKUP = [
    f"<img src=x onerror={ACT}>",
    f"<svg onload={ACT}>",
    f"<script>{ACT}</script>",
    f"</script><script>{ACT}</script>",
    f"</SCRIPT ><script >{ACT}</script>",
    f"<!--<script>{ACT}//",
    "--><!-- -->",
    f"]]><script>{ACT}</script>",
    f"</title><script>{ACT}</script>",
    f"</style><script>{ACT}</script>",
    f"</textarea><script>{ACT}</script>",
    f"</table><script>{ACT}</script>",
    f'"><script>{ACT}</script>',
    f"'><script>{ACT}</script>",
    f'" onmouseover="{ACT}" x="',
    f"' autofocus onfocus='{ACT}",
    f"` onclick=`{ACT}`",
    f"<a href='javascript:{ACT}'>x</a>",
    f"javascript:{ACT}",
    f"JaVaScRiPt:{ACT}",
    f"data:text/html,<script>{ACT}</script>",
    f"<iframe srcdoc='<script>parent.{ACT.removeprefix('window.')}</script>'>",
    "<iframe src=http://127.0.0.1:9/hostile>",
    "<meta http-equiv=refresh content='0;url=http://127.0.0.1:9/hostile'>",
    "<base href=http://127.0.0.1:9/hostile/>",
    "<link rel=stylesheet href=http://127.0.0.1:9/hostile.css>",
    "<style>@import 'http://127.0.0.1:9/hostile.css';</style>",
    "<form action=http://127.0.0.1:9/hostile><button autofocus>x</button></form>",
    f"<details open ontoggle={ACT}>",
    f"<video><source onerror={ACT}></video>",
    f"<math><mtext></p><img src=x onerror={ACT}>",
    f"<template><script>{ACT}</script></template>",
    f"&lt;script&gt;{ACT}&lt;/script&gt;",
    f"&#60;img src=x onerror={ACT}&#62;",
    "\\u003cscript\\u003e",
    f"\u2028{ACT}\u2029",
]
CODE = [
    "{{7*7}}",
    "${7*7}",
    "#{7*7}",
    "<%= 7*7 %>",
    "{% raw %}",
    "{0}{name!r}{",
    "%(x)s %s %n",
    f"constructor.constructor('{ACT}')()",
    f"datum['constructor']['constructor']('{ACT}')()",
    f"'];{ACT};//",
    f'"]; {ACT}; //',
    f"');alert(1);({ACT})//",
    "datum.example",
    "signal('x')",
    '{"signal": "width"}',
    '{"expr": "1+1"}',
    "a.b[0]['c']\\",
    "__proto__",
    "NaN",
]
CELLS = [
    "=cmd()",
    '=HYPERLINK("http://127.0.0.1:9/hostile","x")',
    "+1+1",
    "-2+3",
    "@SUM(1)",
    "\t=1+1",
    "\r=1+1",
]
OF_MARKDOWN = [
    "[x](http://127.0.0.1:9/hostile)",
    "![x](http://127.0.0.1:9/hostile.png)",
    "<http://127.0.0.1:9/hostile>",
    "http://127.0.0.1:9/hostile",
    "www.hostile.example",
    "**bold** _it_ ~~no~~",
    "`code` `` two",
    "a | b || c \\| d",
    "| - | - |",
    "# heading",
    "- list",
    "1. one",
    "> quote",
    "line\n\n## heading",
    "```\nfence",
    "<details>",
    "[x]: http://127.0.0.1:9/hostile",
    "&amp; &#42;",
    "$x$ $$y$$",
]
HOSTILE = [*MARKUP, *CODE, *CELLS, *OF_MARKDOWN, *EVIL]


def hostile_log() -> pl.DataFrame:
    """Examples, annotators, labels, groups and texts that are all hostile, in columns with hostile names."""
    n, rows = len(HOSTILE), []
    for e, example in enumerate(HOSTILE):
        for j in range(4):
            label = HOSTILE[(e + (j == e % 5)) % n]
            rows.append((example, HOSTILE[(j + e // 8) % n], label, HOSTILE[e % 3], HOSTILE[-e]))
    schema = ["example", "annotator", "label", GROUP, TEXT]
    return pl.DataFrame(rows, schema=schema, orient="row")


GROUP = f"<img src=x onerror={ACT}>"
TEXT = f"]; {ACT}; //"


def hostile_report() -> LogReport:
    return pc.report(hostile_log(), by=GROUP, text=TEXT, title=MARKUP[3], path=None)
