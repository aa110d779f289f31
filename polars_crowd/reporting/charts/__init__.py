"""The charts, by what they are about; `reporting.plot` lists them."""
