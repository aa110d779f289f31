"""Exports of the tools that people label with, read as logs.

export = pc.formats.read("export.json", question="sentiment")
export.log, export.gold, export.questions, export.left_out, export.notes
"""

from polars_crowd.formats.export import Export
from polars_crowd.formats.label_studio import read_label_studio
from polars_crowd.formats.prodigy import read_prodigy
from polars_crowd.formats.registry import read

__all__ = ["Export", "read", "read_label_studio", "read_prodigy"]
