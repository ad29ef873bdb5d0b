"""Sources: each reads its own layout into one table of samples."""

from precompute.sources.catalogue import CATALOGUE, SourceName, check_source, read_source
from precompute.sources.csv import CsvOptions, read_csv
from precompute.sources.table import Source

__all__ = ["CATALOGUE", "CsvOptions", "Source", "SourceName", "check_source", "read_csv", "read_source"]
