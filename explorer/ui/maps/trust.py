"""How far the maps may be believed, and what their clusters are called."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from explorer.analysis.map_trust import disparity
from explorer.data.text import in_markdown
from explorer.figures.style import number
from explorer.tables.glossary import TERMS
from explorer.tables.spaces import distinct_spaces, regimes_of_space
from explorer.ui.shared import choose, selection
from explorer.ui.shared.frame import panel
from explorer.ui.shared.show import show_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from explorer.store.manifest import RegimeRecord, SpaceKind
    from explorer.store.reader import Store
    from explorer.tables.map_colours import Asked
    from explorer.ui.shared.frame import View

FAR = "Distances between far groups mean nothing, nor do a group's size and density."
AWAY = "Away from the first map"
HELP = {
    **{TERMS[name].name: TERMS[name].meaning for name in ("trustworthiness", "continuity")},
    "Neighbours kept": "Share of a film's k nearest in the full space that are its k nearest on the map.",
    "Torn or faked": "Films whose own trustworthiness or continuity is below 0.75: nearer to a random map's.",
    "Spread over seeds": "Laid out again with other seeds and laid over one another (Procrustes), what still differs: "
    "0 the same picture, 1 another. Where it is large, read who is next to whom, never where a group lies.",
    AWAY: "What differs from the first map, laid over one another in the same way: what the regime moves, beside what "
    "another seed moves. Up to the spread over seeds it may be chance. The maps start from one layout, which keeps "
    "them nearer than two seeds' maps.",
}


def trust_verdict(trust: dict[str, float]) -> tuple[str, str]:
    """Whether a map may be read: "yes", "with care" or "no", and the badge's words.

    "no" where a figure lies nearer to a random map's than to a perfect one's. "with care" where a tenth of the films
    is torn or faked, or trustworthiness or continuity is below 0.9. Where a third of the picture differs between seeds,
    where a group lies is chance.

    Examples
    --------
    >>> trust_verdict({"trustworthiness": 0.97, "continuity": 0.95, "doubtful": 0.03, "spread": 0.1})
    ('yes', 'neighbourhoods may be read')
    >>> trust_verdict({"trustworthiness": 0.97, "continuity": 0.85, "doubtful": 0.03, "spread": 0.5})
    ('with care', 'read neighbourhoods with care, places not')
    >>> trust_verdict({"trustworthiness": 0.7, "continuity": 0.95, "doubtful": 0.5})
    ('no', 'do not read this map')
    """
    worst = min(trust["trustworthiness"], trust.get("continuity", 1.0))
    doubtful, places = trust.get("doubtful", 0.0), ", places not" if trust.get("spread", 0.0) > 1 / 3 else ""
    if worst < 0.75 or doubtful > 0.5:
        return "no", "do not read this map"
    if worst < 0.9 or doubtful > 0.1:
        return "with care", f"read neighbourhoods with care{places}"
    return "yes", f"neighbourhoods may be read{places}"


def method_text(store: Store, asked: Asked, regimes: Sequence[RegimeRecord]) -> str:
    """What a point is, what its colour means, and which regimes share a space, as Markdown."""
    sentences = ["Each point is a film; films the model sees as alike lie close together."]
    if asked.colour in ("outcome", "right", "score"):
        cuts = [(r.title, store.thresholds(r.name).labels[asked.label].value) for r in regimes]
        words = ", ".join(f"{title} {'has none' if cut is None else f'logit {number(cut)}'}" for title, cut in cuts)
        sentences.append(f"Thresholds for {in_markdown(asked.label)}, chosen on val by max F1: {words}.")
    if asked.kind == "embedding":
        sentences += [
            f"{' and '.join(titles)} share one frozen encoder, so they share this map."
            for _, titles in distinct_spaces(store, "embedding")
            if len(titles) > 1 and any(regime.title in titles for regime in regimes)
        ]
    return " ".join(sentences)


@panel
def trust_table(store: Store, regimes: Sequence[RegimeRecord], kind: SpaceKind) -> None:
    """How far each map may be believed, with what a random map would reach, and how it was made."""
    names = dict.fromkeys(store.space_of(r.name, kind).name for r in regimes)
    rows, methods = [], []
    for name in names:
        trust = store.trust(name)
        titles = " and ".join(regimes_of_space(store, store.space(name)))
        if trust_verdict(trust)[0] == "no":
            st.warning(f"Do not read the map of {titles}: it shows other neighbours than the space has.")
        params = ", ".join(f"{key} {value}" for key, value in trust["params"].items())
        methods.append(
            f"{titles}: {in_markdown(trust['method'])}, {in_markdown(params)}, seed {trust['seed']}, k "
            f"{trust['k']}, n {trust['n']:,}."
        )
        rows.append(
            {
                "Map": titles,
                "May it be read?": trust_verdict(trust)[1],
                "Trustworthiness": f"{trust['trustworthiness']:.2f}",
                "Continuity": _figure(trust, "continuity", ".2f"),
                "Neighbours kept": f"{trust['knn_overlap']:.0%} (random {trust['knn_overlap_baseline']:.1%})",
                "Torn or faked": _figure(trust, "doubtful", ".1%"),
                "Spread over seeds": f"{_figure(trust, 'spread', '.2f')} (up to {_figure(trust, 'spread_max', '.2f')})",
            }
        )
        if len(names) > 1:
            away = disparity(store.map(name), store.map(next(iter(names))))
            rows[-1][AWAY] = f"{away:.2f}" if len(rows) > 1 else "—"
    show_table(
        pd.DataFrame(rows),
        hide_index=True,
        height="content",
        column_config={name: st.column_config.TextColumn(help=text) for name, text in HELP.items()},
    )
    st.caption(" ".join([FAR, *methods]))


def _figure(trust: dict[str, float], key: str, form: str) -> str:
    return format(trust[key], form) if key in trust else "not measured"


@panel
def cluster_table(view: View, asked: Asked, regimes: Sequence[RegimeRecord]) -> None:
    """The clusters of the first map shown: their names, and how far these hold on splits that did not choose them."""
    store = view.store
    regime = regimes[0] if len(regimes) == 1 else choose.regime(view)
    codes, clusters = store.clusters(store.space_of(regime.name, asked.kind).name)
    st.subheader(f"Clusters of {regime.title}")
    rows = [
        {
            "Cluster": f"{i + 1} {one.name}",
            "Films": one.n,
            "Purity": "; ".join(f"{f.label} {f.purity:.0%} ({f.n_pos} of {f.n})" for f in one.findings) or "—",
            "All films": "; ".join(f"{f.base:.0%}" for f in one.findings) or "—",
            "Lift": "; ".join(f"{f.lift:.1f}" for f in one.findings) or "—",
            "Report words": ", ".join(one.words) or "—",
        }
        for i, one in enumerate(clusters)
    ]
    show_table(pd.DataFrame(rows), hide_index=True, height="content")
    st.caption(
        "k-means in the full space, the number by silhouette. A name is a finding that train films of the cluster have "
        "more often than chance allows (5%, Bonferroni). Purity, share of all films and lift are measured on val and "
        "test. Mixed: no finding is over-represented."
    )
    with st.container(horizontal=True, gap="small"):
        for i, one in enumerate(clusters):
            if st.button(f"{i + 1} {in_markdown(one.name)}", key=f"cluster-{i}", help="Select its films."):
                selection.put(view.store, np.flatnonzero(codes == i), f"Cluster {i + 1} {one.name}, {regime.title}")
                st.rerun()
