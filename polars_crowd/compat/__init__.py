"""Other libraries' functions, answered by this one. New code is better off with `polars_crowd`."""
