"""Folders that the host names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from explorer.environment import APP, films_roots, local_root, store_addresses, without_store_root
from explorer.errors import UserError
from tests.conftest import ROOT, Call
from tests.pages import open_page, said


def test_the_home_folder_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for given, store in (("~/x", tmp_path / "x"), ("~", tmp_path), ("./~", Path("./~")), ("", Path("store"))):
        monkeypatch.setenv("EXPLORER_STORE", given)
        assert [local_root(address) for address in store_addresses()] == [store]
    monkeypatch.delenv("EXPLORER_STORE")
    assert store_addresses() == ["store"]
    monkeypatch.setenv("EXPLORER_FILMS", os.pathsep.join(("~/films", "", "/data")))
    assert films_roots() == [tmp_path / "films", Path("/data")]


def test_a_variable_is_expanded_or_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PLACE", str(tmp_path))
    for given in ("$PLACE/x", "${PLACE}/x", f" {tmp_path}/x "):
        monkeypatch.setenv("EXPLORER_STORE", given)
        assert [local_root(address) for address in store_addresses()] == [tmp_path / "x"]
    with pytest.raises(UserError, match="no such variable"):
        local_root("$NO_SUCH_PLACE/x")


def test_a_file_in_place_of_the_stores_folder_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("EXPLORER_STORE", str(tmp_path / "file"))
    app = open_page("overview")
    assert not app.exception
    assert not app.button
    assert "which is a file" in app.error[0].value


def test_a_home_of_nobody_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXPLORER_STORES", raising=False)
    with pytest.raises(UserError, match="EXPLORER_STORE names ~no-such-user/x"):
        local_root("~no-such-user/x")
    monkeypatch.setenv("EXPLORER_STORES", "~no-such-user/x")
    with pytest.raises(UserError, match="EXPLORER_STORES names ~no-such-user/x"):
        local_root("~no-such-user/x")


def test_the_app_offers_no_demo_in_a_folder_named_tilde(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("EXPLORER_STORE", "~/x")
    app = open_page("overview")
    assert "There is no store here yet" in said(app)
    assert "~" not in said(app)
    assert str(tmp_path) not in said(app), "where the store lies is not a visitor's to know"
    assert [button.label for button in app.button] == ["Build the demo"]
    monkeypatch.setenv("EXPLORER_STORE", "~no-such-user/x")
    app = open_page("overview")
    assert not app.exception
    assert not app.button
    assert "there is no such user" in app.error[0].value


def test_a_visitor_is_not_told_where_the_store_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EXPLORER_STORE", str(tmp_path / "films"))
    assert without_store_root(f"{tmp_path}/films/run/x.npy is damaged.") == "STORE/run/x.npy is damaged."
    monkeypatch.setenv("EXPLORER_STORE", "films")
    monkeypatch.chdir(tmp_path)
    assert without_store_root("No film in films/run.") == "No film in films/run.", "a relative path says nothing"
    assert without_store_root(f"{tmp_path}/films/run") == "STORE/run"
    monkeypatch.setenv("EXPLORER_STORES", f"{tmp_path}/films:https://key@b.org/c.zip?signature=x")
    assert without_store_root("https://key@b.org/c.zip?signature=x is gone.") == "STORE is gone."
    assert without_store_root(f"{tmp_path}/films/run") == "STORE/run"


def test_the_batch_job_expands_it_too(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    code, _, err = call("verify", "~/x")
    assert code == 1
    assert f"There is no store at {tmp_path}/x" in err


def test_the_app_of_a_checkout_is_its_root() -> None:
    assert APP == ROOT
