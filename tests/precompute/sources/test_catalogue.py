"""The table of sources: every one is listed whole, and takes the options it says it takes."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
import typer
from pydantic import ValidationError
from typer.testing import CliRunner

from explorer.errors import UserError
from precompute.__main__ import app
from precompute.sources import CATALOGUE, SourceName, check_source, read_source
from precompute.sources.options import SourceOptions, flag


def test_every_source_has_a_name_on_the_command_line() -> None:
    assert set(get_args(SourceName)) == set(CATALOGUE)
    printed = CliRunner().invoke(app, ["sources"], env={"COLUMNS": "400"}).stdout
    for name, entry in CATALOGUE.items():
        for text in (name, entry.title, entry.needs, entry.where, entry.licence):
            assert text in printed
        for option in entry.options.model_fields:
            assert flag(option) in printed


@pytest.mark.parametrize("name", CATALOGUE)
def test_what_a_reader_takes_are_options_of_the_command(name: SourceName) -> None:
    command = typer.main.get_command(app).commands["run"]  # type: ignore[attr-defined]
    helps = {option.name: option.help for option in command.params}
    for option, field in CATALOGUE[name].options.model_fields.items():
        sources, _, _ = helps[option].partition(f": {field.description}")
        assert name in sources
    needed = [option for option, field in CATALOGUE[name].options.model_fields.items() if field.is_required()]
    assert needed == (["csv", "images"] if name == "csv" else ["root"])


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_misspelt_option_is_refused_and_none_may_be_changed_later(name: SourceName, tmp_path: Path) -> None:
    given: dict[str, object] = {"csv": tmp_path, "images": tmp_path} if name == "csv" else {"root": tmp_path}
    model: type[SourceOptions] = CATALOGUE[name].options
    options = model.model_validate(given)
    with pytest.raises(ValidationError, match="uncertian"):
        model.model_validate({**given, "uncertian": "ones"})
    with pytest.raises(UserError, match=f"The source {name} takes no --uncertian"):
        read_source(name, {**given, "uncertian": "ones"})
    with pytest.raises(UserError, match="takes no --rooot"):  # the misspelt one, not the one it leaves missing
        read_source(name, {"rooot": tmp_path})
    with pytest.raises(ValidationError, match="frozen"):
        setattr(options, next(iter(given)), Path("other"))


@pytest.mark.parametrize("name", CATALOGUE)
def test_an_empty_folder_is_told(name: SourceName, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        check_source(name, tmp_path)
    assert str(tmp_path) in caught.value.what
    with pytest.raises(UserError, match="There is no"):
        check_source(name, tmp_path / "none")


def test_options_a_source_does_not_take_are_refused_not_ignored(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="The source nih takes no --uncertain") as caught:
        read_source("nih", {"root": tmp_path, "uncertain": "ones"})
    assert "--images" in caught.value.fix
    with pytest.raises(UserError, match="The source vindr-cxr needs --root"):
        read_source("vindr-cxr", {})
    with pytest.raises(UserError, match="The source chexpert takes no --images"):
        check_source("chexpert", tmp_path, tmp_path)
    with pytest.raises(UserError, match="--uncertain is 'maybe'"):
        read_source("chexpert", {"root": tmp_path, "uncertain": "maybe"})
