"""Consensus labels from votes and a model: majority vote, CROWDLAB and what they are made of."""
