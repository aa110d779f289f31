"""The public API: what is imported here is public, and nothing else."""

from polars_crowd import datasets, simulate
from polars_crowd.activelab import activelab
from polars_crowd.agreement import (
    agreement,
    agreement_by_annotator,
    agreement_by_class,
    agreement_difference,
    brennan_prediger,
    cohen_kappa,
    conger_kappa,
    disagreements,
    example_agreement,
    fleiss_kappa,
    gwet_ac1,
    gwet_ac2,
    icc,
    krippendorff_alpha,
    light_kappa,
    multilabel_agreement,
    pairwise_agreement,
    percent_agreement,
    scott_pi,
)
from polars_crowd.batches import next_batch
from polars_crowd.campaign import simulate_labelling
from polars_crowd.crowdlab import crowdlab
from polars_crowd.crowdlab_result import Crowdlab
from polars_crowd.errors import AnnotationError, AnnotationWarning, PartitionError, StoreError
from polars_crowd.findings import check_annotations
from polars_crowd.log import scan_annotations
from polars_crowd.multilabel_result import MultiLabelCrowdlab
from polars_crowd.pred_probs import scan_pred_probs
from polars_crowd.refine import Refined, refine
from polars_crowd.store import AnnotationStore
from polars_crowd.truth import (
    TruthInference,
    bwa,
    dawid_skene,
    ebcc,
    glad,
    ibcc,
    iwmv,
    kos,
    mace,
    one_coin_dawid_skene,
    wawa,
    zencrowd,
    zero_based_skill,
)
from polars_crowd.truth.averages import mean_truth, median_truth
from polars_crowd.truth.bradley_terry import bradley_terry
from polars_crowd.truth.catd import catd
from polars_crowd.truth.compare import compare
from polars_crowd.truth.comparisons import scan_comparisons
from polars_crowd.truth.crh import crh
from polars_crowd.truth.crowd_bradley_terry import crowd_bradley_terry
from polars_crowd.truth.gaussian import gaussian_truth
from polars_crowd.truth.method_comparison import MethodComparison
from polars_crowd.truth.numeric_result import NumericTruth
from polars_crowd.truth.preferences import Preferences
from polars_crowd.votes import majority_vote
from polars_crowd.wide import from_wide, to_wide

__version__: str

__all__ = [
    "AnnotationError",
    "AnnotationStore",
    "AnnotationWarning",
    "Crowdlab",
    "MethodComparison",
    "MultiLabelCrowdlab",
    "NumericTruth",
    "PartitionError",
    "Preferences",
    "Refined",
    "StoreError",
    "TruthInference",
    "activelab",
    "agreement",
    "agreement_by_annotator",
    "agreement_by_class",
    "agreement_difference",
    "bradley_terry",
    "brennan_prediger",
    "bwa",
    "catd",
    "check_annotations",
    "cohen_kappa",
    "compare",
    "conger_kappa",
    "crh",
    "crowd_bradley_terry",
    "crowdlab",
    "datasets",
    "dawid_skene",
    "disagreements",
    "ebcc",
    "example_agreement",
    "fleiss_kappa",
    "from_wide",
    "gaussian_truth",
    "glad",
    "gwet_ac1",
    "gwet_ac2",
    "ibcc",
    "icc",
    "iwmv",
    "kos",
    "krippendorff_alpha",
    "light_kappa",
    "mace",
    "majority_vote",
    "mean_truth",
    "median_truth",
    "multilabel_agreement",
    "next_batch",
    "one_coin_dawid_skene",
    "pairwise_agreement",
    "percent_agreement",
    "refine",
    "scan_annotations",
    "scan_comparisons",
    "scan_pred_probs",
    "scott_pi",
    "simulate",
    "simulate_labelling",
    "to_wide",
    "wawa",
    "zencrowd",
    "zero_based_skill",
]
