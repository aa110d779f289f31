"""Consensus, annotator quality and label quality from annotation logs, as Polars queries.

import polars_crowd as pc

fit = pc.crowdlab(log, pred_probs)
fit.examples, fit.annotations, fit.annotators

A module is imported when one of its public names is used first, so that `import polars_crowd` takes hardly
longer than Polars does. What type checkers read of the public names is in `__init__.pyi`.
"""

from importlib import import_module
from typing import Any

from polars_crowd import charted, namespace

__version__ = "0.1.0"

_NAMES = {
    "": ("datasets", "formats", "simulate"),
    "active.batches": ("next_batch",),
    "active.campaign": ("simulate_labelling",),
    "active.one_vs_rest": ("multilabel_activelab",),
    "active.scores": ("activelab",),
    "annotators.budget": ("LabelBudget", "label_budget"),
    "annotators.drift": ("AnnotatorDrift", "annotator_drift"),
    "annotators.explain": ("explain",),
    "annotators.judges": ("JudgeReport", "judge_report"),
    "annotators.gold": ("gold_needed", "gold_report"),
    "annotators.report": ("AnnotatorReport", "annotator_report"),
    "annotators.overlap": ("Overlap", "overlap"),
    "annotators.pairs": ("annotator_pairs",),
    "annotators.prevalence": ("corrected_prevalence",),
    "consensus.crowdlab": ("crowdlab",),
    "consensus.majority_vote": ("majority_vote",),
    "consensus.one_vs_rest.crowdlab": ("multilabel_crowdlab",),
    "consensus.one_vs_rest.result": ("MultiLabelCrowdlab",),
    "consensus.refine": (
        "Refined",
        "refine",
    ),
    "consensus.result": ("Crowdlab",),
    "errors": (
        "AnnotationError",
        "AnnotationWarning",
        "MemoryLimitError",
        "OverlapWarning",
        "PartitionError",
        "StoreError",
    ),
    "inputs.counts": ("from_counts",),
    "inputs.findings": ("check_annotations",),
    "inputs.label_sets": ("scan_label_sets",),
    "inputs.log": ("scan_annotations",),
    "inputs.pred_probs": ("scan_pred_probs",),
    "inputs.wide": (
        "from_wide",
        "to_wide",
    ),
    "reliability.coefficients": (
        "agreement",
        "brennan_prediger",
        "cohen_kappa",
        "conger_kappa",
        "fleiss_kappa",
        "gwet_ac1",
        "gwet_ac2",
        "icc",
        "kendall_w",
        "krippendorff_alpha",
        "light_kappa",
        "percent_agreement",
        "scott_pi",
        "spearman",
    ),
    "reliability.coincidences": ("disagreements",),
    "reliability.difference": ("agreement_difference",),
    "reliability.intra_rater": ("intra_rater_agreement",),
    "reliability.label_sets": ("multilabel_agreement",),
    "reliability.leave_one_out": ("agreement_by_annotator",),
    "reliability.one_vs_rest": ("agreement_by_class",),
    "reliability.pairwise": ("pairwise_agreement",),
    "reliability.per_example": ("example_agreement", "vote_shares"),
    "reporting": ("plot",),
    "reporting.report": ("LogReport", "report"),
    "rounds.results": ("Results", "open_results"),
    "store.store": ("AnnotationStore",),
    "truth.classification.blend": ("Blend", "blend"),
    "truth.classification.bwa": ("bwa",),
    "truth.classification.dawid_skene": ("dawid_skene",),
    "truth.classification.ebcc": ("ebcc",),
    "truth.classification.glad": ("glad",),
    "truth.classification.ibcc": ("ibcc",),
    "truth.classification.iwmv": ("iwmv",),
    "truth.classification.kos": ("kos",),
    "truth.classification.mace": ("mace",),
    "truth.classification.one_coin": ("one_coin_dawid_skene",),
    "truth.classification.wawa": ("wawa",),
    "truth.classification.zencrowd": ("zencrowd",),
    "truth.classification.zero_based_skill": ("zero_based_skill",),
    "truth.evaluation.compare": ("compare",),
    "truth.evaluation.result": ("MethodComparison",),
    "truth.numeric.averages": (
        "mean_truth",
        "median_truth",
    ),
    "truth.numeric.catd": ("catd",),
    "truth.numeric.crh": ("crh",),
    "truth.numeric.gaussian": ("gaussian_truth",),
    "truth.numeric.result": ("NumericTruth",),
    "truth.pairwise.bradley_terry": ("bradley_terry",),
    "inputs.comparisons": ("scan_comparisons",),
    "truth.pairwise.crowd_bradley_terry": ("crowd_bradley_terry",),
    "truth.pairwise.result": ("Preferences",),
    "truth.result": ("TruthInference",),
}
"""The public names of each module; those of the package itself are modules."""
_MODULES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    """A public name, imported when it is asked for."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = _MODULES[name]
    if module:
        found = getattr(import_module(f"{__name__}.{module}"), name)
    else:
        found = import_module(f"{__name__}.{name}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


namespace.register()
charted.register(lambda: import_module(f"{__name__}.reporting.fitting").chart_of)
