"""Writes answers.json beside it: what irrCAC 0.4.4 answers on the logs under tests/data/agreement.

irrCAC needs numpy < 2 and pandas < 3, so it has an environment of its own:

    python -m venv irrcac && irrcac/bin/pip install irrCAC==0.4.4 "numpy<2" "pandas<3" "pyarrow<22"
    irrcac/bin/python make.py

The categories are always given: left to itself it can take a missing rating for one of them.
"""

import json
from pathlib import Path

import irrCAC.table
import pandas as pd
from irrCAC.raw import CAC

HERE = Path(__file__).parent
DATA = HERE.parent.parent / "data" / "agreement"
METHODS = {
    "fleiss_kappa": "fleiss",
    "conger_kappa": "conger",
    "brennan_prediger": "bp",
    "gwet_ac2": "gwet",
    "krippendorff_alpha": "krippendorff",
}
NAMES = ("identity", "linear", "quadratic", "ordinal", "radical", "circular", "bipolar")
DECLARED = {"krippendorff2011": list(range(1, 8)), "gwet_g1g2": list("abcdefg")}
"""Categories of which some were never used."""
SCOTT_AND_COHEN = ("irr_vision", "gwet_ben_gerry")
DIGITS = 15


def wide(name: str) -> pd.DataFrame:
    log = pd.read_parquet(DATA / f"{name}.parquet")
    return log.pivot(index="example", columns="annotator", values="label")


def weights_for(categories: list) -> list[str]:
    if not isinstance(categories[0], (int, float)):
        return list(NAMES)
    return [*NAMES, "ratio"] if 0 not in categories else list(NAMES)


def of_many(ratings: pd.DataFrame, categories: list, weights: str) -> dict[str, dict[str, float]]:
    found = {}
    for coefficient, method in METHODS.items():
        cac = CAC(ratings.copy(), weights=weights, categories=categories, digits=DIGITS)
        found[coefficient] = numbers(getattr(cac, method)()["est"])
    return found


def of_two(ratings: pd.DataFrame, categories: list, weights: str) -> dict[str, dict[str, float]]:
    both = ratings.dropna()
    first, second = (pd.Categorical(both[c], categories=categories) for c in both)
    table = pd.crosstab(first, second, dropna=False)
    cac = irrCAC.table.CAC(table, weights=weights, digits=DIGITS)
    return {"cohen_kappa": numbers(cac.cohen()["est"]), "scott_pi": numbers(cac.scott()["est"])}


def numbers(est: dict) -> dict[str, float]:
    low, high = est["confidence_interval"]
    return {
        "value": float(est["coefficient_value"]),
        "standard_error": float(est["se"]),
        "ci_low": float(low),
        "ci_high": float(high),
        "p_value": float(est["p_value"]),
    }


def main() -> None:
    cases = []
    for path in sorted(DATA.glob("*.parquet")):
        ratings = wide(path.stem)
        used = sorted(ratings.stack().unique().tolist())
        for categories in [used] + ([DECLARED[path.stem]] if path.stem in DECLARED else []):
            for weights in weights_for(categories):
                answers = of_many(ratings, categories, weights)
                if path.stem in SCOTT_AND_COHEN:
                    answers |= of_two(ratings, categories, weights)
                case = {"log": path.stem, "classes": categories, "weights": weights}
                cases.append({**case, "answers": answers})
    (HERE / "answers.json").write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    main()
