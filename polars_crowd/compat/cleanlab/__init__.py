"""cleanlab's multi-annotator functions: change the import, and nothing else.

    from polars_crowd.compat.cleanlab import get_label_quality_multiannotator

The functions here take the arguments of `cleanlab.multiannotator` 2.9 and return its dicts of pandas frames
and numpy arrays, with its column names, index, row order and dtypes, and its numbers to 1e-9 (to 1e-5 where
float32 pred_probs are calibrated, since everything here is computed in float64). They need pandas:
`pip install "polars-crowd[compat]"`. New code is better off with `polars_crowd.crowdlab`, which reads long
logs of any size, with string labels, from any frame or file.

**For the right numbers use `polars_crowd.crowdlab`** where this concerns you: where labels are floats (every
DataFrame, and every array with NaN) and an example does not use all K classes, cleanlab 2.9 counts its labels
on the wrong classes: the counts of its distinct labels, in ascending order, are taken for those of the
classes 0, 1, 2, ... An example labelled 1, 1, 2 becomes two votes for class 0 and one for class 1. This
reaches

* with `quality_method="agreement"`: the consensus labels of `"best_quality"`, what depends on them, and the
  `detailed_label_quality`;
* with `calibrate_probs=True`: the temperature, and through it everything.

Changing the import must not change the numbers, so these functions do the same.

**Where these functions do better.**

* The work is done on the annotations that are there, not on a matrix of NaN.
* The ensemble function leaves the caller's pred_probs alone (with `calibrate_probs=True` cleanlab writes the
  calibrated ones into them), and its `label_quality_score_kwargs` work (cleanlab: TypeError).
* A majority vote that is tied to the end goes to the first class. cleanlab draws from numpy's global
  generator, with a warning, and fails where every example is tied.
* Labels that are a tie but for the rounding of sums (posteriors within 1e-12) are one here.
* pred_probs with NaN are a ValueError; cleanlab returns NaN for some of the scores.
* The caution about annotators without overlap is printed once.

String labels are an error, as in cleanlab, whose wide format holds integers: `format_multiannotator_labels`
converts them, and `polars_crowd.crowdlab` takes them as they are. Classes that are no example's consensus are
printed when `verbose`, as in cleanlab; `polars_crowd.crowdlab` warns of them.
"""

from polars_crowd.compat.cleanlab.active import (
    get_active_learning_scores,
    get_active_learning_scores_ensemble,
)
from polars_crowd.compat.cleanlab.majority import get_majority_vote_label
from polars_crowd.compat.cleanlab.quality import (
    get_label_quality_multiannotator,
    get_label_quality_multiannotator_ensemble,
)
from polars_crowd.compat.cleanlab.wide import convert_long_to_wide_dataset

__all__ = [
    "convert_long_to_wide_dataset",
    "get_active_learning_scores",
    "get_active_learning_scores_ensemble",
    "get_label_quality_multiannotator",
    "get_label_quality_multiannotator_ensemble",
    "get_majority_vote_label",
]
