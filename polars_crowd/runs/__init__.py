"""A partition sorted once: rows, votes, examples, as runs of integer codes."""
