"""The maps of the map page for print: the same films, colours, legend and signs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from explorer.analysis.map_trust import doubts
from explorer.data.text import plain
from explorer.figures.print import Panel as PrintPanel
from explorer.figures.print_map import MapPanel
from explorer.tables import map_colours
from explorer.tables.map_colours import COLOURS
from explorer.tables.spaces import map_frame
from explorer.ui.shared import address, download, selection

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from explorer.store.reader import Store
    from explorer.tables.map_colours import Asked
    from explorer.ui.components.map_view import Panel
    from explorer.ui.shared.frame import View


def download_map(view: View, asked: Asked, panels: Sequence[Panel]) -> None:
    """*Download* for the maps on the page, with the selection, the film and the doubts that are marked on them."""
    store, rows, film = view.store, map_colours.rows_on_map(view.store, asked), address.value("film")
    trust = " ".join(f"{panel.title}: {panel.note}." for panel in panels)
    about = download.About(
        ("Map", COLOURS[asked.colour], asked.label, asked.part or "every split"),
        f"n = {len(rows):,} films",
        "Each point is a film; films that the model sees as alike lie close together, as far as two dimensions can "
        f"show it. {trust}",
    )
    spaces = [store.space(name) for name in dict.fromkeys(panel.layout for panel in panels)]
    download.offer(
        view,
        about,
        partial(  # a file is drawn in a thread that has no session
            _print_panels,
            store,
            asked,
            panels,
            doubtful=address.value("doubtful"),
            selected=selection.current(view).rows,
            ringed=None if film is None else store.row_of(film),
        ),
        lambda: map_frame(store, spaces, rows, asked.label),
        key="maps",
    )


def _print_panels(
    store: Store,
    asked: Asked,
    panels: Sequence[Panel],
    *,
    doubtful: bool,
    selected: NDArray[np.int64],
    ringed: int | None,
) -> list[PrintPanel]:
    return [
        PrintPanel(
            MapPanel(
                store.map(panel.layout),
                map_colours.paint(store, asked, panel.name),
                panel.signs,
                flags=doubts(store.points(panel.layout)) if doubtful else None,
                selected=selected,
                ringed=ringed,
            ),
            plain(panel.title, None),
        )
        for panel in panels
    ]
