"""Every coefficient, once: its name, its formulas, the options it takes, whom it compares.

`agreement(coefficients=...)`, the other functions of this folder, the command and the tests go by this table.
A new coefficient is a formula of one of the `kinds.py`, a line here, and a function of its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from polars_crowd.errors import OptionError, shown
from polars_crowd.reliability import who_voted
from polars_crowd.reliability.chance import brennan_prediger, fleiss, gwet, percent
from polars_crowd.reliability.kinds import (
    Alpha,
    Coefficient,
    Cohen,
    Conger,
    Corrected,
    Fleiss,
    Icc,
    Light,
    OfTwo,
    OfVotes,
)
from polars_crowd.reliability.ranked import Kendall, Spearman

ALPHA = Alpha("krippendorff_alpha", scale="level")

COEFFICIENTS: tuple[Coefficient, ...] = (
    Corrected("percent_agreement", scale="weights", expected=percent, is_corrected=False),
    Cohen("cohen_kappa", scale="weights", annotators=2, expected=who_voted.cohen),
    OfTwo("scott_pi", scale="weights", annotators=2, expected=who_voted.scott),
    Fleiss("fleiss_kappa", scale="weights", expected=fleiss),
    Conger("conger_kappa", scale="weights"),
    Light("light_kappa", scale="weights"),
    Corrected("brennan_prediger", scale="weights", expected=brennan_prediger, counts_classes=True),
    Corrected("gwet_ac1", expected=gwet, counts_classes=True),
    Corrected("gwet_ac2", scale="weights", expected=gwet, counts_classes=True),
    ALPHA,
    Icc("icc", form="icc(1)"),
)
"""What `"all"` stands for; each has a public function of its name."""
ICC_FORMS = ("icc(1)", "icc(A,1)", "icc(C,1)", "icc(k)", "icc(A,k)", "icc(C,k)")
OF_RANKS = (Kendall("kendall_w"), Spearman("spearman"))
"""Those of an order, which have a public function of their name, too."""
KNOWN = {
    c.name: c for c in (*COEFFICIENTS, *OF_RANKS, *(Icc(form, form=form) for form in ICC_FORMS))
}

ALL = tuple(c.name for c in COEFFICIENTS)
DEFAULT = (
    "percent_agreement",
    "fleiss_kappa",
    "conger_kappa",
    "brennan_prediger",
    "gwet_ac1",
    "krippendorff_alpha",
)
OF_CLASSES = tuple(c.name for c in (ALPHA, *COEFFICIENTS[:-2]) if isinstance(c, OfVotes))
"""Those that do not ask who voted: what single classes have."""
OF_SETS = tuple(name for name in OF_CLASSES if not KNOWN[name].counts_classes)
"""... and do not ask how many labels there could be: what sets of classes have."""


def meant(name: str) -> list[Coefficient]:
    """The coefficient of this name, with - or _ in it, or those with this word in their names."""
    word = str(name).replace("-", "_")
    if word in KNOWN:
        return [KNOWN[word]]
    return [c for c in (*COEFFICIENTS, *OF_RANKS) if word in c.name.split("_")]


def named(name: str, option: str = "coefficients") -> Coefficient:
    """The coefficient of this name, or the only one with this word in its name.

    >>> [named(name).name for name in ("alpha", "gwet-ac1", "fleiss", "icc(A,1)")]
    ['krippendorff_alpha', 'gwet_ac1', 'fleiss_kappa', 'icc(A,1)']
    """
    found = meant(name)
    if len(found) == 1:
        return found[0]
    among = [c.name for c in found] or list(KNOWN)
    raise OptionError(option, name, f"they must be among {shown(among, 20)}.")


def chosen(
    coefficients: str | Sequence[str] | None,
    among: Iterable[str] = KNOWN,
    whose: str = "they must be among",
) -> tuple[Coefficient, ...]:
    """The coefficients of these names, each once; of an option `coefficients=`."""
    if coefficients is None:
        coefficients = DEFAULT
    if isinstance(coefficients, str):
        coefficients = ALL if coefficients == "all" else (coefficients,)
    found = tuple(named(name) for name in coefficients)
    lacking = [c.name for c in found if c.name not in among]
    if lacking or not found:
        raise OptionError("coefficients", lacking, f"{whose} {shown(list(among), 20)}.")
    if len(set(found)) < len(found):
        raise OptionError("coefficients", list(coefficients), "it names one twice.")
    return found
