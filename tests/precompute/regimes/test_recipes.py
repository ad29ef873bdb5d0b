"""Which regimes a command names, what they need, and that adding one redoes nothing of the others."""

from __future__ import annotations

import pytest

from explorer.errors import UserError
from precompute.commands.options import DEFAULT_REGIMES
from precompute.pipeline import stages_of, versions_of
from precompute.regimes import choose_recipes, reads_text, recipes
from precompute.settings import Settings
from tests.conftest import Call


def test_the_papers_three_are_the_default_and_come_first() -> None:
    assert [recipe.name for recipe in choose_recipes(DEFAULT_REGIMES)] == DEFAULT_REGIMES.split(",")
    assert {recipe.kind for recipe in choose_recipes(DEFAULT_REGIMES, paper=True)} == {"zero-shot", "probe", "trained"}


@pytest.mark.parametrize(
    ("names", "paper", "what", "fix"),
    [
        ("zero_shot,prob", False, "'prob' is no regime", "Choose among zero_shot, linear_probe"),
        ("", False, "'' is no regime", "Choose among"),
        ("zero_shot,zero_shot", False, "zero_shot stands twice", "once"),
        ("fine_tune", False, "fine_tune starts from linear_probe", "--regimes linear_probe,fine_tune"),
        ("fine_tune,linear_probe", False, "not before it", "--regimes linear_probe,fine_tune"),
    ],
)
def test_a_choice_that_cannot_be_made_says_why(names: str, paper: bool, what: str, fix: str) -> None:
    with pytest.raises(UserError) as raised:
        choose_recipes(names, paper=paper)
    assert what in raised.value.what
    assert fix in raised.value.fix


@pytest.mark.parametrize("name", recipes())
def test_every_recipe_says_what_it_is(name: str, call: Call) -> None:
    recipe = recipes()[name]
    record = recipe.record(Settings())
    assert (record.name, record.title, record.kind) == (name, recipe.title, recipe.kind)
    assert record.from_prompts == (record.fitted_on == ())
    assert (record.encoder == name) == bool(recipe.own_encoder)
    code, out, _ = call("regimes")
    assert code == 0
    assert f"{name}  {recipe.title}" in out
    assert recipe.summary in out


def test_another_regime_changes_no_number_of_the_others() -> None:
    one, three = choose_recipes("linear_probe"), choose_recipes(DEFAULT_REGIMES)
    assert versions_of(one).items() < versions_of(three).items()
    assert not reads_text(one)
    added = set(stages_of(three, Settings())) - set(stages_of(one, Settings()))
    assert added == {"zero-shot head", "full fine-tune", "embed fine-tune"}
