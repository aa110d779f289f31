"""Agreement between annotators, corrected for chance."""
