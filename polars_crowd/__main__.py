"""`python -m polars_crowd`."""

from polars_crowd.cli import main

if __name__ == "__main__":
    main()
