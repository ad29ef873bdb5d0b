"""Views of pages, chosen at random: the values of all their parameters, and the addresses that say so."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from explorer.store.reader import Store
from explorer.ui import parameters
from explorer.ui.shared import address, selection
from explorer.ui.shared.former import FORMER
from explorer.ui.shared.parameter import Parameter, Refused, slugs
from tests.pages import TITLES

OF_PAGE: Mapping[str, Mapping[str, Parameter]] = {name: getattr(parameters, name.upper()) for name in TITLES}
"""The parameters of every page by its file's name, without the run."""


def known_texts(store: Store) -> list[str]:
    """Texts that some parameter of some page knows: machine names, and what links held before."""
    texts = [*slugs(store.labels), *store.labels, *store.samples["sample_id"].iloc[:3]]
    texts += [name for regime in store.regimes for name in (regime.name, regime.title)]
    texts += [*(space.name for space in store.manifest.spaces), *(one.name for one in store.manifest.prompt_sets)]
    texts += [selection.pack(store.manifest.run_id, store.n, store.rows("test")[:4], "four")]
    texts += [text for titles in FORMER.values() for pair in titles.items() for text in pair]
    texts += ["test", "val", "true", "false", "positive", "negative", "unknown", "any", "frontal", "lateral", "all"]
    texts += [f"{outcome}.{regime.name}" for outcome in ("tp", "fn") for regime in store.regimes]
    texts += ["fp.zero_shot.edema", "unknown.fracture", "view.frontal", "split.val", "height.100..", "report.opacity"]
    texts += [".own", ".likeness", ".all", ".micro", "*", "6", "12", "24", "tp", "gained", "reviewed", "map", "lift"]
    return [*dict.fromkeys(texts), "1", "3", "0.35", "My own", "fine_tune.zero_shot"]


def meaning(store: Store, parameter: Parameter, text: str) -> Any:
    """What a text means to a parameter; None where nothing."""
    try:
        return parameter.read(store, text)
    except Refused:
        return None


def meanings(store: Store, page: str) -> dict[str, list[Any]]:
    """What the known texts mean to each parameter of a page."""
    texts = known_texts(store)
    meant = {name: [meaning(store, one, text) for text in texts] for name, one in OF_PAGE[page].items()}
    return {name: [value for value in values if value is not None] for name, values in meant.items()}


def a_view(
    store: Store, page: str, known: Mapping[str, list[Any]], rng: random.Random, without: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The value of every parameter that a page shows, of those ``known``; those ``without`` keep their default."""
    values: dict[str, Any] = {}
    for name, parameter in OF_PAGE[page].items():
        if not parameter.when(values):
            continue
        fitting = [value for value in known[name] if parameter.fits(store, value, values)]
        if name in without or not fitting or rng.random() < 0.2:
            values[name] = parameter.default(store, values)
        elif parameter.several:
            values[name] = tuple(
                dict.fromkeys(rng.choices(fitting, k=rng.randint(parameter.least, min(3, parameter.several))))
            )
        else:
            values[name] = rng.choice(fitting)
        if name == "regimes":
            store = store.showing(values[name])
    return values


def an_address(store: Store, page: str, rng: random.Random, without: tuple[str, ...] = ()) -> dict[str, list[str]]:
    """The complete address of such a view, without the run."""
    return address.write(store, OF_PAGE[page], a_view(store, page, meanings(store, page), rng, without))
