"""The public API: what is imported here is public, and nothing else."""

from polars_crowd import datasets, formats, simulate
from polars_crowd.active.batches import next_batch
from polars_crowd.active.campaign import simulate_labelling
from polars_crowd.active.one_vs_rest import multilabel_activelab
from polars_crowd.active.scores import activelab
from polars_crowd.annotators.budget import LabelBudget, label_budget
from polars_crowd.annotators.drift import AnnotatorDrift, annotator_drift
from polars_crowd.annotators.explain import explain
from polars_crowd.annotators.gold import gold_needed, gold_report
from polars_crowd.annotators.judges import JudgeReport, judge_report
from polars_crowd.annotators.overlap import Overlap, overlap
from polars_crowd.annotators.pairs import annotator_pairs
from polars_crowd.annotators.prevalence import corrected_prevalence
from polars_crowd.annotators.report import AnnotatorReport, annotator_report
from polars_crowd.consensus.crowdlab import crowdlab
from polars_crowd.consensus.majority_vote import majority_vote
from polars_crowd.consensus.one_vs_rest.crowdlab import multilabel_crowdlab
from polars_crowd.consensus.one_vs_rest.result import MultiLabelCrowdlab
from polars_crowd.consensus.refine import Refined, refine
from polars_crowd.consensus.result import Crowdlab
from polars_crowd.errors import (
    AnnotationError,
    AnnotationWarning,
    MemoryLimitError,
    OverlapWarning,
    PartitionError,
    StoreError,
)
from polars_crowd.inputs.comparisons import scan_comparisons
from polars_crowd.inputs.counts import from_counts
from polars_crowd.inputs.findings import check_annotations
from polars_crowd.inputs.label_sets import scan_label_sets
from polars_crowd.inputs.log import scan_annotations
from polars_crowd.inputs.pred_probs import scan_pred_probs
from polars_crowd.inputs.wide import from_wide, to_wide
from polars_crowd.reliability.coefficients import (
    agreement,
    brennan_prediger,
    cohen_kappa,
    conger_kappa,
    fleiss_kappa,
    gwet_ac1,
    gwet_ac2,
    icc,
    kendall_w,
    krippendorff_alpha,
    light_kappa,
    percent_agreement,
    scott_pi,
    spearman,
)
from polars_crowd.reliability.coincidences import disagreements
from polars_crowd.reliability.difference import agreement_difference
from polars_crowd.reliability.intra_rater import intra_rater_agreement
from polars_crowd.reliability.label_sets import multilabel_agreement
from polars_crowd.reliability.leave_one_out import agreement_by_annotator
from polars_crowd.reliability.one_vs_rest import agreement_by_class
from polars_crowd.reliability.pairwise import pairwise_agreement
from polars_crowd.reliability.per_example import example_agreement, vote_shares
from polars_crowd.reporting import plot
from polars_crowd.reporting.report import LogReport, report
from polars_crowd.rounds.results import Results, open_results
from polars_crowd.store.store import AnnotationStore
from polars_crowd.truth.classification.blend import Blend, blend
from polars_crowd.truth.classification.bwa import bwa
from polars_crowd.truth.classification.dawid_skene import dawid_skene
from polars_crowd.truth.classification.ebcc import ebcc
from polars_crowd.truth.classification.glad import glad
from polars_crowd.truth.classification.ibcc import ibcc
from polars_crowd.truth.classification.iwmv import iwmv
from polars_crowd.truth.classification.kos import kos
from polars_crowd.truth.classification.mace import mace
from polars_crowd.truth.classification.one_coin import one_coin_dawid_skene
from polars_crowd.truth.classification.wawa import wawa
from polars_crowd.truth.classification.zencrowd import zencrowd
from polars_crowd.truth.classification.zero_based_skill import zero_based_skill
from polars_crowd.truth.evaluation.compare import compare
from polars_crowd.truth.evaluation.result import MethodComparison
from polars_crowd.truth.numeric.averages import mean_truth, median_truth
from polars_crowd.truth.numeric.catd import catd
from polars_crowd.truth.numeric.crh import crh
from polars_crowd.truth.numeric.gaussian import gaussian_truth
from polars_crowd.truth.numeric.result import NumericTruth
from polars_crowd.truth.pairwise.bradley_terry import bradley_terry
from polars_crowd.truth.pairwise.crowd_bradley_terry import crowd_bradley_terry
from polars_crowd.truth.pairwise.result import Preferences
from polars_crowd.truth.result import TruthInference

__version__: str

__all__ = [
    "AnnotationError",
    "AnnotationStore",
    "AnnotationWarning",
    "AnnotatorDrift",
    "AnnotatorReport",
    "Blend",
    "Crowdlab",
    "JudgeReport",
    "LabelBudget",
    "LogReport",
    "MemoryLimitError",
    "MethodComparison",
    "MultiLabelCrowdlab",
    "NumericTruth",
    "Overlap",
    "OverlapWarning",
    "PartitionError",
    "Preferences",
    "Refined",
    "Results",
    "StoreError",
    "TruthInference",
    "activelab",
    "agreement",
    "agreement_by_annotator",
    "agreement_by_class",
    "agreement_difference",
    "annotator_drift",
    "annotator_pairs",
    "annotator_report",
    "blend",
    "bradley_terry",
    "brennan_prediger",
    "bwa",
    "catd",
    "check_annotations",
    "cohen_kappa",
    "compare",
    "conger_kappa",
    "corrected_prevalence",
    "crh",
    "crowd_bradley_terry",
    "crowdlab",
    "datasets",
    "dawid_skene",
    "disagreements",
    "ebcc",
    "example_agreement",
    "explain",
    "fleiss_kappa",
    "formats",
    "from_counts",
    "from_wide",
    "gaussian_truth",
    "glad",
    "gold_needed",
    "gold_report",
    "gwet_ac1",
    "gwet_ac2",
    "ibcc",
    "icc",
    "intra_rater_agreement",
    "iwmv",
    "judge_report",
    "kendall_w",
    "kos",
    "krippendorff_alpha",
    "label_budget",
    "light_kappa",
    "mace",
    "majority_vote",
    "mean_truth",
    "median_truth",
    "multilabel_activelab",
    "multilabel_agreement",
    "multilabel_crowdlab",
    "next_batch",
    "one_coin_dawid_skene",
    "open_results",
    "overlap",
    "pairwise_agreement",
    "percent_agreement",
    "plot",
    "refine",
    "report",
    "scan_annotations",
    "scan_comparisons",
    "scan_label_sets",
    "scan_pred_probs",
    "scott_pi",
    "simulate",
    "simulate_labelling",
    "spearman",
    "to_wide",
    "vote_shares",
    "wawa",
    "zencrowd",
    "zero_based_skill",
]
