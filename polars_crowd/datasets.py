"""Small datasets that come with the library, for examples and tests."""

from __future__ import annotations

import atexit
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import resources
from io import BytesIO
from pathlib import Path

import polars as pl

__all__ = ["Dataset", "label_studio_sample", "tutorial"]

_FILES = ExitStack()
"""What keeps files of the package that lie in a zip on disk, until Python ends."""
atexit.register(_FILES.close)


@dataclass(frozen=True, repr=False)
class Dataset:
    """An annotation log with a model's pred_probs and the truth.

    Attributes
    ----------
    name : str
        Name of the function that loads it.
    log, truth : pl.DataFrame
        ``example, annotator, label``, one row per annotation; ``example, label``, the true ones.
    pred_probs : pl.DataFrame
        ``example`` and one column per class, named by it.
    features : pl.DataFrame
        ``example`` and what the model saw of it.
    """

    name: str
    log: pl.DataFrame
    pred_probs: pl.DataFrame
    truth: pl.DataFrame
    features: pl.DataFrame

    def __repr__(self) -> str:
        return (
            f"Dataset {self.name}: {self.truth.height} examples, "
            f"{self.log['annotator'].n_unique()} annotators, {self.log.height} annotations, "
            f"{self.pred_probs.width - 1} classes\n"
            f"log {self.log.head()}\npred_probs {self.pred_probs.head()}"
        )


def tutorial() -> Dataset:
    """The synthetic dataset of the published CROWDLAB tutorial.

    296 examples from three Gaussian blobs in the plane, 50 annotators, 1456 annotations, 3 classes;
    annotators A0046 to A0050 are much noisier than the rest by design. pred_probs are out-of-sample: logistic
    regression on the features, 5-fold cross-validated, fitted to the majority vote. The accuracies published
    for it are 0.8581 (majority vote, ties broken without a model) and 0.9797 (CROWDLAB).

    Returns
    -------
    Dataset
        Of examples "000" to "295", annotators "A0001" to "A0050", labels 0 to 2 (Int64) and features
        ``x0, x1``; the log is sorted by example and annotator.

    References
    ----------
    H. W. Goh, U. Tkachenko, J. Mueller. CROWDLAB: supervised learning to infer consensus labels
    and quality scores for data with multiple annotators. 2022, arXiv:2210.06812.

    Examples
    --------
    >>> data = tutorial()
    >>> data.log.height, data.truth.height, data.log["annotator"].n_unique()
    (1456, 296, 50)
    >>> data.log.row(0, named=True)
    {'example': '000', 'annotator': 'A0014', 'label': 0}
    """
    frames = ("log", "pred_probs", "truth", "features")
    return Dataset("tutorial", *(_bundled("tutorial", frame) for frame in frames))


def _bundled(dataset: str, frame: str) -> pl.DataFrame:
    """A Parquet file of the package, also from a wheel that is not unpacked."""
    file = resources.files("polars_crowd").joinpath("data", dataset, f"{frame}.parquet")
    return pl.read_parquet(BytesIO(file.read_bytes()))


def label_studio_sample() -> Path:
    """The path of a small export of Label Studio, in its JSON.

    Eight hotel reviews (invented), three annotators and one whose account is gone, and three questions:
    `sentiment` (one class), `topics` (several) and `stars` (a number). Some tasks were skipped, one was sent
    without an answer, one answered twice by the same person, and one annotation is marked as ground truth.

    Examples
    --------
    >>> label_studio_sample().name
    'export.json'
    """
    file = resources.files("polars_crowd") / "data" / "label_studio" / "export.json"
    return _FILES.enter_context(resources.as_file(file))
