"""Sources: each reads its own layout into one table of samples."""

from precompute.sources.catalogue import CATALOGUE, Count, SourceName, check_source
from precompute.sources.chexpert import read_chexpert
from precompute.sources.csv import read_csv
from precompute.sources.iu_xray import read_iu_xray
from precompute.sources.table import Source

__all__ = ["CATALOGUE", "Count", "Source", "SourceName", "check_source", "read_chexpert", "read_csv", "read_iu_xray"]
