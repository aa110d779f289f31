"""Agreement between annotators, corrected for chance."""

from polars_crowd.agreement.by_annotator import agreement_by_annotator
from polars_crowd.agreement.by_class import agreement_by_class
from polars_crowd.agreement.coincidences import disagreements
from polars_crowd.agreement.difference import agreement_difference
from polars_crowd.agreement.examples import example_agreement
from polars_crowd.agreement.functions import (
    agreement,
    brennan_prediger,
    cohen_kappa,
    conger_kappa,
    fleiss_kappa,
    gwet_ac1,
    gwet_ac2,
    icc,
    krippendorff_alpha,
    light_kappa,
    percent_agreement,
    scott_pi,
)
from polars_crowd.agreement.multilabel import multilabel_agreement
from polars_crowd.agreement.pairs import pairwise_agreement

__all__ = [
    "agreement",
    "agreement_by_annotator",
    "agreement_by_class",
    "agreement_difference",
    "brennan_prediger",
    "cohen_kappa",
    "conger_kappa",
    "disagreements",
    "example_agreement",
    "fleiss_kappa",
    "gwet_ac1",
    "gwet_ac2",
    "icc",
    "krippendorff_alpha",
    "light_kappa",
    "multilabel_agreement",
    "pairwise_agreement",
    "percent_agreement",
    "scott_pi",
]
