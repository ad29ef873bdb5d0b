"""Maps of a small sample of the demo's films, made at its end."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from explorer.errors import UserError
from explorer.store.marks import all_annotations
from precompute.faults import shortages_explained
from precompute.saliency.maps import make_saliency, plan_saliency

if TYPE_CHECKING:
    import torch

    from explorer.store.reader import Store
    from precompute.reporter import Reporter

SAMPLE_FILMS = 16
"""Films of test, and as many of val, whose maps the demo makes."""
RANDOMISED_FILMS = 3
"""Those of them on which the sanity checks randomise the model."""


def make_sample(store: Store, device: torch.device, reporter: Reporter) -> None:
    """Make the maps, agreement and sanity checks of a sample of films; where they fail, the run stays complete."""
    try:
        with shortages_explained():
            wanted = plan_saliency(store, (), "test", "grad_cam", None, SAMPLE_FILMS)
            wanted = replace(wanted, randomised=RANDOMISED_FILMS)
            made = make_saliency(store, all_annotations(store), wanted, device, reporter)
    except UserError as error:
        reporter.console.print(f"The run is complete, but its Grad-CAM maps are not: {error}", soft_wrap=True)
    else:
        maps = made.sample_text(store) or "all films"
        reporter.console.print(f"{made.title}: maps of {maps}. All: python -m precompute saliency {store.path.parent}")
