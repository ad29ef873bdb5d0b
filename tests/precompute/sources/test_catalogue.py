"""The table of sources: every one is listed whole, and takes the options it says it takes."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import get_args

import pytest
from typer.testing import CliRunner

from explorer.errors import UserError
from precompute.__main__ import app, run
from precompute.sources import CATALOGUE, SourceName, check_source, read_source


def test_every_source_has_a_name_on_the_command_line() -> None:
    assert set(get_args(SourceName)) == set(CATALOGUE)
    printed = CliRunner().invoke(app, ["sources"], env={"COLUMNS": "400"}).stdout
    for name, entry in CATALOGUE.items():
        for text in (name, entry.title, entry.needs, entry.where, entry.licence):
            assert text in printed


@pytest.mark.parametrize("name", CATALOGUE)
def test_what_a_reader_takes_are_options_of_the_command(name: SourceName) -> None:
    options = set(inspect.signature(run).parameters)
    assert set(inspect.signature(CATALOGUE[name].read).parameters) <= options
    first = next(iter(inspect.signature(CATALOGUE[name].count).parameters))
    assert first == ("csv" if name == "csv" else "root")


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
