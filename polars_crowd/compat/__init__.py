"""The call signatures of other libraries, answered by this one. For new code use `polars_crowd` itself."""
