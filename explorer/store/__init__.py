"""The contract between precompute and the pages: schema, reader and writer. No torch."""

from explorer.store.reader import Store, latest_run, list_runs, open_store

__all__ = ["Store", "latest_run", "list_runs", "open_store"]
