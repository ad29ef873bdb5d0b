"""The explorer: what a regime is, how it is measured, how it is stored and how it is shown.

For programs and notebooks it exports what ``EXPORTED`` lists, each loaded when it is first asked for: opening a store
imports no page and no model. ``docs/api.md`` says what each is for.

Examples
--------
::

    from explorer import open_store

    store = open_store("store")
    store.logits(store.regimes[-1].name)[store.rows("test")]  # (n, C)
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

EXPORTED = {
    "open_store": "explorer.store.runs",
    "list_runs": "explorer.store.runs",
    "Store": "explorer.store.reader",
    "verify_store": "explorer.store.verify",
    "UserError": "explorer.errors",
    "patient_interval": "explorer.analysis.jackknife",
    "regime_table": "explorer.tables.results",
    "regime_curves": "explorer.tables.curves",
    "regime_styles": "explorer.tables.styles:of_regimes",
    "large_curves": "explorer.figures.curves",
    "picture": "explorer.figures.print",
    "Panel": "explorer.figures.print",
    "Words": "explorer.figures.print",
    "PlotlyPanel": "explorer.figures.print_plotly",
}
"""Name to the module that has it, and to its name there where that is another."""
__all__ = ("EXPORTED", "__version__", *EXPORTED)


def __getattr__(name: str) -> Any:
    if name not in EXPORTED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, inside = EXPORTED[name].partition(":")
    return getattr(import_module(module), inside or name)


def __dir__() -> list[str]:
    return sorted(__all__)
