"""Rounds: local plans on partitions, additive summaries, what is kept and what is written."""
