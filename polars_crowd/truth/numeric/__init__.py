"""Truth inference for numbers: one module per method."""
