"""Sources: each reads its own layout into one table of samples."""

from precompute.sources.csv import read_csv
from precompute.sources.table import Source

__all__ = ["Source", "read_csv"]
