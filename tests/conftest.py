"""Settings of all tests."""

from hypothesis import HealthCheck, settings

# A run's time depends on the machine, so examples have no deadline.
settings.register_profile(
    "polars_crowd", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("polars_crowd")
