"""Who gets in: what the host configures, what half a configuration does, and what a page shows to whom."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from explorer.errors import UserError
from explorer.store.marks import read_marks
from explorer.store.reader import Store
from explorer.ui import server
from explorer.ui.grad_cam import marking
from explorer.ui.shared import access, frame
from tests.browser.conftest import free_port
from tests.conftest import ROOT
from tests.pages import open_page, said

AUTH = f"""
[auth]
redirect_uri = "https://explorer.example.org/oauth2callback"
cookie_secret = "{"s" * 32}"
client_id = "explorer"
client_secret = "known to the provider"
server_metadata_url = "https://login.example.org/.well-known/openid-configuration"
"""
ACCESS = """
[access]
viewers = ["@Example.org"]
annotators = ["ann@example.org"]
owners = ["ann@other.org", "eve@example.org"]
"""


@pytest.fixture(autouse=True)
def configured_anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test configures for itself; what lies on this machine counts for none."""
    monkeypatch.setattr(access, "_file_secrets", dict)
    monkeypatch.setattr(st, "user", {})
    for name in (access.SIGN_IN, access.READ_ONLY, server.OPEN):
        monkeypatch.delenv(name, raising=False)
    access.access.cache_clear()
    yield
    access.access.cache_clear()


def sign_in(monkeypatch: pytest.MonkeyPatch, **claims: Any) -> None:
    """Let the visitor of this process be one of whom the provider said this."""
    monkeypatch.setenv(access.SIGN_IN, AUTH + ACCESS)
    user = {"is_logged_in": True, "email_verified": True, **claims}

    class User(dict[str, Any]):
        def to_dict(self) -> dict[str, Any]:
            return dict(self)

    monkeypatch.setattr(st, "user", User(user))


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({"email": "bob@example.org"}, "viewer"),
        ({"email": "ann@example.org"}, "annotator"),
        ({"email": "Ann@Other.org"}, "owner"),
        ({"email": "eve@EXAMPLE.org"}, "owner"),
        ({"email": "bob@other.org"}, None),
        ({"email": "bob@sub.example.org"}, None),
        ({"email": "bob@example.org@other.org"}, None),
        ({"email": "@example.org"}, None),
        ({"email": "bob@example.org", "email_verified": False}, None),
        ({"email": "bob@example.org", "email_verified": None}, None),
        ({"email": "bob@example.org", "email_verified": "true"}, "viewer"),
        ({"email": "bob@example.org", "is_logged_in": False}, None),
        ({"email": f"{'b' * 100}@example.org"}, None),
        ({"email": ["bob@example.org"]}, None),
        ({}, None),
    ],
)
def test_an_address_has_the_highest_role_it_is_listed_for(
    monkeypatch: pytest.MonkeyPatch, claims: dict[str, Any], role: str | None
) -> None:
    sign_in(monkeypatch, **claims)
    visitor = access.visitor()
    assert (visitor and visitor.role) == role
    monkeypatch.setenv(access.READ_ONLY, "1")
    visitor = access.visitor()
    assert (visitor and visitor.role) == (role and "viewer"), "a read-only server has viewers alone"


def test_a_provider_that_gives_out_addresses_itself_need_not_say_it_checked_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sign_in(monkeypatch, email="bob@example.org", email_verified=None)
    monkeypatch.setenv(access.SIGN_IN, f"{AUTH}{ACCESS}trust_addresses = true")
    assert access.visitor() == access.Visitor("bob@example.org", "viewer")


def test_without_a_sign_in_everyone_is_an_owner_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert access.visitor() == access.Visitor("", "owner")


def test_a_report_is_written_where_visitors_sign_in(monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in(monkeypatch, is_logged_in=False)
    monkeypatch.setattr(access, "_serves", True)
    assert access.visitor() is None
    access.serve_nobody()
    assert access.visitor() == access.Visitor("", "owner")


HALF = {
    "an allow-list without a provider": (ACCESS, "auth: Field required"),
    "a provider without an allow-list": (AUTH, "access: Field required"),
    "nobody is let in": (f"{AUTH}[access]", "nobody could enter"),
    "an unknown role": (f"{AUTH}[access]\nadmins = ['@example.org']", "access.admins"),
    "everybody": (f"{AUTH}[access]\nviewers = ['*']", "neither an address"),
    "a list in one text": (f"{AUTH}[access]\nviewers = ['@a.org,@b.org']", "neither an address"),
    "a short secret": (AUTH.replace("s" * 32, "short") + ACCESS, "auth.cookie_secret"),
    "no callback": (AUTH.replace("oauth2callback", "callback") + ACCESS, "auth.redirect_uri"),
    "a second provider": (f"{AUTH}[auth.google]\nclient_id = 'x'\n{ACCESS}", "auth.google"),
    "no TOML": ("[auth", "is not TOML"),
}


@pytest.mark.parametrize("case", HALF)
def test_half_a_configuration_lets_nobody_in_and_does_not_start(monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    text, problem = HALF[case]
    monkeypatch.setenv(access.SIGN_IN, text)
    with pytest.raises(SystemExit, match=problem) as ended:
        server.settings()
    assert "docs/hosting.md" in str(ended.value)
    assert "known to the provider" not in str(ended.value), "no message holds a secret"
    with pytest.raises(UserError):
        access.visitor()


@pytest.mark.parametrize("address", [None, "0.0.0.0", "::", "192.168.1.5", "explorer.example.org"])
def test_a_server_for_others_does_not_start_without_a_sign_in_unless_the_host_says_so(
    monkeypatch: pytest.MonkeyPatch, address: str | None
) -> None:
    options = {"server.address": address, "server.trustedUserHeaders": {}}
    monkeypatch.setattr(st, "get_option", options.__getitem__)
    with pytest.raises(SystemExit, match="nobody would have to sign in"):
        server.settings()
    monkeypatch.setenv(server.OPEN, "1")
    server.check()
    monkeypatch.delenv(server.OPEN)
    sign_in(monkeypatch)
    access.access.cache_clear()
    server.check()
    options["server.trustedUserHeaders"] = {"X-User": "email"}
    access.access.cache_clear()
    with pytest.raises(UserError, match="a header would stand"):
        server.check()


def test_on_this_machine_alone_it_starts_and_says_how_to_open_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for address in ("127.0.0.1", "::1", "localhost"):
        monkeypatch.setattr(st, "get_option", {"server.address": address}.__getitem__)
        server.check()
        assert "docs/hosting.md" in capsys.readouterr().err
    monkeypatch.setenv(server.OPEN, "0")
    with pytest.raises(UserError, match="nobody would have to sign in"):
        server.check()


def test_a_secrets_file_that_cannot_be_read_opens_nothing(tmp_path: Path) -> None:
    """A real start, with the real reading of the file: the process ends with a message."""
    file = tmp_path / "secrets.toml"
    file.write_text("[auth\nclient_secret = 'known to the provider'")
    for content, problem in ((None, "is not TOML"), (ACCESS, "auth: Field required")):
        file.write_text(content or file.read_text())
        done = subprocess.run(
            [sys.executable, "-m", "explorer", f"--server.port={free_port()}", "--server.headless=true"],
            env={**os.environ, "STREAMLIT_SECRETS_FILES": str(file)},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 1
        assert problem in done.stderr
        assert "Fix: " in done.stderr
        assert "Traceback" not in done.stderr
        assert "known to the provider" not in done.stderr


def texts(app: AppTest) -> str:
    return " ".join(str(part.value) for part in (*app.title, *app.markdown, *app.error, *app.info, *app.caption))


@pytest.mark.parametrize("claims", [{"is_logged_in": False}, {"email": "bob@other.org"}])
def test_no_page_reads_the_store_for_who_may_not_enter(
    store: Store, monkeypatch: pytest.MonkeyPatch, claims: dict[str, Any]
) -> None:
    sign_in(monkeypatch, **claims)

    def opened(*_: object) -> None:
        raise AssertionError("the store was opened")

    monkeypatch.setattr(frame, "_open", opened)
    for _, pages in (("", (frame.FIRST,)), *frame.PAGES.items()):
        for file, title in pages:
            app = open_page(file.removeprefix("pages/").removesuffix(".py"))
            assert not app.exception
            assert app.title[0].value == "Sign in"
            assert [button.label for button in app.button] == (["Sign out"] if "email" in claims else ["Sign in"])
            assert title not in texts(app)


def test_a_viewer_sees_all_and_marks_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in(monkeypatch, email="bob@example.org")
    app = open_page("grad_cam", show="mark")
    assert "read-only" in said(app)
    assert "annotator" not in [field.key for field in app.text_input]
    assert not [button for button in app.button if "mark" in button.label.lower()]
    assert "read-only" in said(open_page("audit", audit="labels"))
    row = int(store.rows("test")[0])
    monkeypatch.setattr(st, "session_state", {})
    for name in ("bob@example.org", "ann@example.org", ""):  # what a browser could send without a button
        marking._save(store, row, store.labels[0], name, marking.pd.DataFrame([marking.NOTHING]), "app")
        assert "not mark or review" in st.session_state[marking._FAILED]
    assert read_marks(store).empty


def test_an_annotator_marks_in_their_own_name_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in(monkeypatch, email="Ann@example.org")
    saved: list[str] = []
    monkeypatch.setattr(marking, "add_marks", lambda _, marks, __: saved.extend(marks["annotator"]))
    monkeypatch.setattr(st, "session_state", {})
    row = int(store.rows("test")[0])
    for name in ("ann@example.org", "eve@example.org"):
        marking._save(store, row, store.labels[0], name, marking.pd.DataFrame([marking.NOTHING]), "app")
    assert saved == ["ann@example.org"]
    assert "Mark in your own name" in st.session_state[marking._FAILED]
