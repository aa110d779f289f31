"""The types of arrays, for the whole package."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Codes = NDArray[np.uint32]
"""Positions and codes in runs."""
Packed = NDArray[np.uint64]
"""Several codes packed into one, or sets of bits."""
Probabilities = NDArray[np.floating[Any]]
"""A model's, in the precision they came in."""
Array = NDArray[Any]
