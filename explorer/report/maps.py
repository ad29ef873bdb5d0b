"""The maps of a report: every space's, with the films' names and labels, for ``maps.js`` to draw."""

from __future__ import annotations

import base64
import html
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from explorer.data.text import plain
from explorer.figures.maps import Frame
from explorer.report.markup import in_html
from explorer.tables.labels import by_prevalence
from explorer.tables.spaces import all_spaces, space_title
from explorer.ui.maps.trust import trust_verdict

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from explorer.data.samples import Split
    from explorer.store.reader import Store

SCRIPT = Path(__file__).with_name("maps.js").read_text(encoding="utf-8")
_UNKNOWN = 2


def maps(store: Store, split: Split) -> str:
    """Every distinct space's map of a split, coloured by one label that the reader chooses."""
    rows, labels = store.rows(split), by_prevalence(store, split)
    first = next((place for place, label in enumerate(labels) if label != "No Finding"), 0)
    targets = store.targets[rows][:, [store.labels.index(label) for label in labels]]  # (n, C)
    names = [plain(label, None) for label in labels]
    options = "".join(
        f'<option value="{place}"{" selected" if place == first else ""}>{html.escape(name)}</option>'
        for place, name in enumerate(names)
    )
    figures, places = [], []
    for space in all_spaces(store):
        title = html.escape(plain(f"{space_title(store, space)} · {space.kind} · {split}", None))
        verdict = in_html(trust_verdict(store.trust(space.name))[1])
        figures.append(
            f'<figure><figcaption><strong>{title}</strong></figcaption><canvas role="img" aria-label="Map: {title}">'
            f'</canvas><div class="caption">{verdict}</div></figure>'
        )
        xy = store.map(space.name)
        places.append(_packed(Frame.around(xy).units(xy[rows])))
    data = {
        "films": [plain(name, None) for name in store.samples["sample_id"].to_numpy()[rows]],
        "labels": names,
        "states": _packed(np.where(np.isnan(targets), _UNKNOWN, targets).astype(np.uint8)),
        "maps": places,
    }
    packed = json.dumps(data, ensure_ascii=True).replace("<", "\\u003c")
    return (
        f'<p><label>Label <select id="map-label">{options}</select></label> <span id="map-counts"></span></p>'
        '<p class="caption">Violet is positive, grey negative, a ring unknown. <span class="on-screen">Point at a film '
        f"to see it on every map.</span> A map flattens a space: figures are measured in the full space.</p>"
        f'<div class="maps">{"".join(figures)}</div><div id="map-tip" hidden></div>'
        f'<script type="application/json" id="map-data">{packed}</script>'
    )


def _packed(array: NDArray[np.generic]) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
