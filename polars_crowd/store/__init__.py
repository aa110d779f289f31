"""A log on disk, in partitions of whole examples."""
