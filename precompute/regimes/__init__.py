"""The regimes that a run can have: one recipe in one file each, read from this folder."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import NamedTuple

from explorer.errors import UserError
from precompute.run.recipe import Recipe


@cache
def recipes() -> dict[str, Recipe]:
    """Every recipe, by name."""
    modules = (import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__))
    by_name = {recipe.name: recipe for recipe in (module.RECIPE for module in modules)}

    def order(recipe: Recipe) -> tuple[bool, int, bool, str]:
        return recipe.takes_logits, len(_ancestors(recipe, by_name)), not recipe.reads_text, recipe.name

    return {recipe.name: recipe for recipe in sorted(by_name.values(), key=order)}


def _ancestors(recipe: Recipe, by_name: Mapping[str, Recipe]) -> set[str]:
    """All regimes that must come before one."""
    return {need for direct in recipe.needs for need in (direct, *_ancestors(by_name[direct], by_name))}


class Ingredients(NamedTuple):
    """What a command has to make regimes of, beside labels and embeddings."""

    films: bool = True
    text: bool = True
    logits: bool = False


FROM_FILMS = Ingredients()
"""What ``run`` has: films, and an encoder with its text tower."""


def possible_recipes(given: Ingredients) -> tuple[Recipe, ...]:
    """Every recipe that can be made of what is given, in order."""
    return tuple(recipe for recipe in recipes().values() if not _lacking(recipe, given))


def choose_recipes(names: str, *, paper: bool = False, given: Ingredients = FROM_FILMS) -> tuple[Recipe, ...]:
    """The recipes that a command names, with commas between, in its order.

    Raises
    ------
    UserError
        A name is unknown or stands twice, a regime that another one needs is not before it, what is given does not
        suffice for it, or the paper's protocol does not have it.
    """
    known = recipes()
    chosen: list[str] = []
    for name in (part.strip() for part in names.split(",")):
        if name not in known:
            raise UserError(f"--regimes: {name!r} is no regime.", f"Choose among {', '.join(known)}.")
        if name in chosen:
            raise UserError(f"--regimes: {name} stands twice.", "Name each regime once.")
        if refusal := _lacking(known[name], given):
            raise UserError(f"--regimes: {name} {refusal[0]}.", refusal[1])
        if lacking := [need for need in known[name].needs if need not in chosen]:
            raise UserError(
                f"--regimes: {name} starts from {', '.join(lacking)}, which is not before it.",
                f"Give --regimes {','.join([*chosen, *lacking, name])}.",
            )
        if paper and not known[name].in_paper:
            raise UserError(f"--regimes: the paper's protocol has no {name}.", "Leave it out, or use --protocol sound.")
        chosen.append(name)
    return tuple(known[name] for name in chosen)


def _lacking(recipe: Recipe, given: Ingredients) -> tuple[str, str] | None:
    """What a recipe needs and is not given, and the next step; None where it has all."""
    if recipe.own_encoder and not given.films:
        what = "trains the encoder itself, so it needs the films and the encoder's weights; an import has neither"
        return what, "Leave it out, or use `python -m precompute run --encoder … --images …`."
    if recipe.reads_text and not given.text:
        return "needs text vectors, which are not given", "Give --text-vectors and --scale, or leave it out."
    if recipe.takes_logits and not given.logits:
        what = "takes over logits that were made elsewhere, and none are given"
        return what, "Leave it out, or give them to `python -m precompute import --logits …`."
    return None


def reads_text(chosen: Sequence[Recipe]) -> bool:
    """Whether any of these recipes needs prompts."""
    return any(recipe.reads_text for recipe in chosen)
