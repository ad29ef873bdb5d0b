"""Sources: each reads its own layout into one table of samples."""

from precompute.sources.csv import Source, read_csv

__all__ = ["Source", "read_csv"]
