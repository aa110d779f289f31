"""What `agreement` can be asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from polars_crowd.errors import shown

Level = Literal["nominal", "ordinal", "interval", "ratio"]
Interval = Literal["analytic", "bootstrap"]

ICC_FORMS = ("icc(1)", "icc(A,1)", "icc(C,1)", "icc(k)", "icc(A,k)", "icc(C,k)")
COEFFICIENTS = (
    "percent_agreement",
    "cohen_kappa",
    "scott_pi",
    "fleiss_kappa",
    "conger_kappa",
    "light_kappa",
    "brennan_prediger",
    "gwet_ac1",
    "gwet_ac2",
    "krippendorff_alpha",
)
ALL = (*COEFFICIENTS, "icc")
KNOWN = (*ALL, *ICC_FORMS)
DEFAULT = (
    "percent_agreement",
    "fleiss_kappa",
    "conger_kappa",
    "brennan_prediger",
    "gwet_ac1",
    "krippendorff_alpha",
)


@dataclass(frozen=True)
class Request:
    """What `agreement` was asked for."""

    coefficients: tuple[str, ...] = DEFAULT
    weights: Any = "identity"
    level: Level = "nominal"
    confidence: float = 0.95
    interval: Interval = "analytic"
    n_boot: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        unknown = [c for c in self.coefficients if c not in KNOWN]
        if unknown or not self.coefficients:
            raise ValueError(
                f"coefficients={shown(list(self.coefficients), 20)}; they must be among "
                f"{shown(list(KNOWN), 20)}."
            )
        if len(set(self.coefficients)) < len(self.coefficients):
            raise ValueError(f"coefficients={shown(list(self.coefficients), 20)} names one twice.")
        for name, value, allowed in (
            ("level", self.level, Level),
            ("interval", self.interval, Interval),
        ):
            if value not in get_args(allowed):
                raise ValueError(
                    f"{name}={value!r}; it must be one of {shown(list(get_args(allowed)))}."
                )
        if not 0 < self.confidence < 1:
            raise ValueError(f"confidence={self.confidence!r}; it must be between 0 and 1.")
        if self.n_boot < 2:
            raise ValueError(f"n_boot={self.n_boot!r}; at least 2 replicates are needed.")
