"""Truth inference for classes: one module per method."""
