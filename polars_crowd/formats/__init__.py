"""Exports of the tools that people label with, read as logs.

export = pc.formats.read("export.json", question="sentiment")
export.log, export.gold, export.questions, export.left_out, export.notes
"""

from polars_crowd.formats.appen import read_appen
from polars_crowd.formats.argilla import read_argilla
from polars_crowd.formats.crowd_kit import read_crowd_kit
from polars_crowd.formats.deepeval import read_deepeval
from polars_crowd.formats.doccano import read_doccano
from polars_crowd.formats.export import Export
from polars_crowd.formats.hugging_face import read_hugging_face
from polars_crowd.formats.inspect_ai import read_inspect
from polars_crowd.formats.label_matrices import (
    read_cleanlab,
    read_label_matrix,
    read_lewidi,
    read_peerannot,
)
from polars_crowd.formats.label_studio import read_label_studio
from polars_crowd.formats.labelbox import read_labelbox
from polars_crowd.formats.langfuse import read_langfuse
from polars_crowd.formats.langsmith import read_langsmith
from polars_crowd.formats.lm_eval import read_lm_eval
from polars_crowd.formats.mlflow import read_mlflow
from polars_crowd.formats.mturk import read_mturk
from polars_crowd.formats.opik import read_opik
from polars_crowd.formats.phoenix import read_phoenix
from polars_crowd.formats.potato import read_potato
from polars_crowd.formats.preferences import read_comparisons, read_mt_bench_scores
from polars_crowd.formats.prodigy import read_prodigy
from polars_crowd.formats.promptfoo import read_promptfoo
from polars_crowd.formats.registry import read
from polars_crowd.formats.toloka import read_toloka
from polars_crowd.formats.writing import (
    write_argilla_suggestions,
    write_hugging_face,
    write_label_studio_predictions,
)
from polars_crowd.formats.zooniverse import read_zooniverse

__all__ = [
    "Export",
    "read",
    "read_appen",
    "read_argilla",
    "read_cleanlab",
    "read_comparisons",
    "read_crowd_kit",
    "read_deepeval",
    "read_doccano",
    "read_hugging_face",
    "read_inspect",
    "read_label_matrix",
    "read_label_studio",
    "read_labelbox",
    "read_langfuse",
    "read_langsmith",
    "read_lewidi",
    "read_lm_eval",
    "read_mlflow",
    "read_mt_bench_scores",
    "read_mturk",
    "read_opik",
    "read_peerannot",
    "read_phoenix",
    "read_potato",
    "read_prodigy",
    "read_promptfoo",
    "read_toloka",
    "read_zooniverse",
    "write_argilla_suggestions",
    "write_hugging_face",
    "write_label_studio_predictions",
]
