"""Agreement between annotators, corrected for chance."""

from polars_crowd.agreement.difference import agreement_difference
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

__all__ = [
    "agreement",
    "agreement_difference",
    "brennan_prediger",
    "cohen_kappa",
    "conger_kappa",
    "fleiss_kappa",
    "gwet_ac1",
    "gwet_ac2",
    "icc",
    "krippendorff_alpha",
    "light_kappa",
    "percent_agreement",
    "scott_pi",
]
