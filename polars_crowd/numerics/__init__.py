"""Arrays: mixing probabilities of (examples x classes), and special functions."""
