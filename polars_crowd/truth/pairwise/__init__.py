"""Rankings from comparisons of two."""
