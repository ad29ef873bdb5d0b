"""The first page's pictures as files: each for print, with the data behind it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from explorer.data.text import plain
from explorer.figures import story as pictures
from explorer.figures.curves import large_curves
from explorer.figures.dots import dots
from explorer.figures.print import Panel
from explorer.figures.print_map import MapPanel
from explorer.tables import map_colours, story, styles
from explorer.tables.curves import curve_frame
from explorer.tables.results import METRIC_TITLES, mean_of_labels
from explorer.tables.spaces import map_frame, space_title
from explorer.ui.shared import download

if TYPE_CHECKING:
    from collections.abc import Mapping

    from explorer.figures.style import Style
    from explorer.ui.shared.frame import View


def headline(view: View, shown: story.Headline) -> None:
    """*Download* of each regime's mean average precision."""
    store, title = view.store, METRIC_TITLES[story.HEADLINE]
    mean = mean_of_labels(store, view.split)

    def frame() -> pd.DataFrame:
        every, titles = store.tables.metrics, {regime.name: regime.title for regime, _ in shown.means}
        chosen = (every["split"] == view.split) & (every["metric"] == story.HEADLINE) & (every["label"] == mean.name)
        means = every[chosen & every["regime"].isin(list(titles))]
        return means.assign(label=mean.title, series=means["regime"].map(titles))

    about = download.About(
        (title, mean.title, view.split),
        download.films(view),
        f"{mean.note} In brackets the positives. Whiskers are 95% intervals, the grey tick is a random ranking.",
    )
    panels = partial(_dots, frame, styles.by_title(store), title)
    download.offer(view, about, panels, frame, key="headline")


def predicted(view: View, shown: story.PredictedLabels) -> None:
    """*Download* of labels predicted per film, by regime and rule."""

    def frame() -> pd.DataFrame:
        values, low, high = zip(*(one.per_film for one in shown.predicted), strict=True)
        return pd.DataFrame(
            {
                "series": [one.regime.title for one in shown.predicted],
                "label": ["paper's rule" if one.paper else "val thresholds" for one in shown.predicted],
                "value": values,
                "ci_low": low,
                "ci_high": high,
                "baseline": shown.true[0],
                "n_pos": shown.n,
            }
        )

    rule = "cosine" if shown.by_cosine else "logit"
    about = download.About(
        ("Labels predicted per film", view.split),
        f"n = {shown.n:,} {view.split} films",
        f"The grey tick is the number of true labels. The paper's rule is {rule} > 0, for trained regimes probability "
        "> 0.5; the other thresholds have the largest F1 on val. In brackets the films. Whiskers are 95% intervals.",
    )
    limits = (0.0, float(len(view.store.labels)))
    panels = partial(_dots, frame, styles.by_title(view.store), "labels predicted per film", limits)
    download.offer(view, about, panels, frame, key="predicted")


def _dots(
    frame: download.Data, marks: Mapping[str, Style], title: str, limits: tuple[float, float] = (-0.01, 1.02)
) -> list[Panel]:
    return [download.panel(dots(frame(), marks, title, few=0, limits=limits))]


def small_map(view: View, shown: story.PulledApart, answer: story.SpaceAnswer) -> None:
    """*Download* of one embedding's map, coloured by the label of the strip."""
    store, space, label = view.store, answer.space, shown.label
    assert label is not None, "a map is of a label"
    asked = map_colours.Asked(view.split, "embedding", "label", label, (), "any")
    title = space_title(store, space)
    about = download.About(
        ("Map", title, label, view.split),
        download.label_films(view, label),
        f"Each point is a film; films that the model sees as alike lie close together, as far as two dimensions can "
        f"show it. Lift {answer.lift}; with shuffled labels {answer.lift.baseline:.2f}.",
    )
    regime = next(one.name for one in store.regimes if one.embedding_space == space.name)
    download.offer(
        view,
        about,
        lambda: [Panel(MapPanel(store.map(space.name), map_colours.paint(store, asked, regime)), plain(title, None))],
        lambda: map_frame(store, [space], map_colours.rows_on_map(store, asked), label),
        key=f"map-{space.name}",
    )


def curves(view: View, shown: story.SameEmbedding) -> None:
    """*Download* of one label's PR curves in every regime."""
    chart = partial(large_curves, shown.curves, styles.of_regimes(view.store), "pr", shown.prevalence)
    about = download.About(
        ("PR curves", shown.label, view.split),
        download.label_films(view, shown.label),
        f"Bands are pointwise 95% intervals. Marks are thresholds chosen on val. {shown.gain}".strip(),
    )
    download.offer(
        view, about, lambda: [download.panel(chart())], lambda: curve_frame(shown.curves, "pr"), key="curves"
    )


def pair(view: View, shown: story.LabelPair) -> None:
    """*Download* of two labels' films: those with one alone, with both, with the other alone."""
    bars = (("true", *shown.true), ("predicted", *shown.predicted))
    names = ("", f"{shown.one} alone", "both", f"{shown.other} alone")
    about = download.About(
        (f"{shown.one} and {shown.other}", shown.regime.title, view.split),
        f"n = {shown.n:,} {view.split} films where both are known",
        f"Predicted at thresholds chosen on val. {shown.by_chance:.0f} films would have both if the "
        "labels were independent.",
    )
    download.offer(
        view,
        about,
        lambda: [download.panel(pictures.overlap_bars(bars, shown.one, shown.other))],
        lambda: pd.DataFrame(bars, columns=list(names)),
        key="pair",
    )
