"""CROWDLAB for sets of classes: each class against the rest."""
