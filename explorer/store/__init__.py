"""The contract between precompute and the pages: layout, manifest, reader and writer. No torch."""

from explorer.store.reader import Store
from explorer.store.runs import latest_run, list_runs, open_store

__all__ = ["Store", "latest_run", "list_runs", "open_store"]
