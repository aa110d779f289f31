"""Noise matrices and simulated annotators, for examples, tests and benchmarks."""

from polars_crowd.simulate.annotations import Simulation, simulate_annotations
from polars_crowd.simulate.noise import noise_matrix_from_trace, noisy_labels

__all__ = ["Simulation", "noise_matrix_from_trace", "noisy_labels", "simulate_annotations"]
