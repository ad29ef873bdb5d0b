"""The guard before all that the server serves."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient
from streamlit import config
from streamlit.web.server.starlette import starlette_app_utils
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from explorer.errors import UserError
from explorer.ui import server
from explorer.ui.shared import access, activity

ALLOWED = access.Access(viewers=("@example.org",))
SECRET = "s" * 32


@pytest.fixture
def options(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Settings of the server, for a test to change."""
    options: dict[str, Any] = {"server.baseUrlPath": "", "server.allowedHosts": [], "server.cookieSecret": SECRET}
    setting = config.get_option

    def get_option(name: str) -> Any:
        return options[name] if name in options else setting(name)

    monkeypatch.setattr(st, "get_option", get_option)
    monkeypatch.setattr(config, "get_option", get_option)
    monkeypatch.delenv(server.FRAMED_BY, raising=False)
    return options


@pytest.fixture
def guarded(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """A client of the guard before an app that answers to everything, with a sign-in configured."""
    monkeypatch.setattr(access, "access", lambda: ALLOWED)
    yield client()


def client(base: str = "/") -> TestClient:
    async def anything(request: Request) -> Response:
        if request.url.path == f"{base}oauth2callback":
            return RedirectResponse(base)
        if request.url.path.endswith("attached"):
            return PlainTextResponse("", headers={"Content-Disposition": 'attachment; filename="a.csv"'})
        return PlainTextResponse("served")

    app = server.Guard(Starlette(routes=[Route("/{path:path}", anything)]))
    return TestClient(app, base_url="https://explorer.example.org", follow_redirects=False)


def cookie(secret: str = SECRET, **claims: Any) -> dict[str, str]:
    """What the browser of someone who signed in sends."""
    told = json.dumps({"is_logged_in": True, "email_verified": True, **claims}).encode()
    signed = starlette_app_utils.create_signed_value(secret, USER_COOKIE_NAME, told)
    return {"Cookie": f"{USER_COOKIE_NAME}={signed.decode()}"}


@pytest.mark.parametrize("path", ["/media/abc.png", "/media/../media/abc.png", "/_stcore/upload_file/s/f"])
def test_no_file_of_a_session_is_served_to_who_has_not_signed_in(guarded: TestClient, path: str) -> None:
    assert guarded.get(path).status_code == 403
    assert guarded.put(path).status_code == 403
    assert guarded.get(path, headers=cookie(email="bob@other.org")).status_code == 403
    assert guarded.get(path, headers=cookie("t" * 32, email="bob@example.org")).status_code == 403
    assert guarded.get(path, headers={"Cookie": f"{USER_COOKIE_NAME}=x"}).status_code == 403
    assert guarded.get(path, headers=cookie(email="bob@example.org")).text == "served"


def test_what_the_sign_in_page_needs_is_served_to_all(guarded: TestClient) -> None:
    for path in ("/", "/map", "/static/js/index.js", "/_stcore/health", "/_stcore/host-config", "/auth/login"):
        assert guarded.get(path).status_code == 200


def test_without_a_sign_in_files_are_served(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "access", lambda: None)
    assert client().get("/media/abc.png").status_code == 200


@pytest.mark.parametrize("path", ["/_stcore/metrics", "/_stcore/metrics/", "/_stcore/agent/openapi.json"])
def test_nobody_is_told_how_the_server_is_used(guarded: TestClient, path: str) -> None:
    assert guarded.get(path, headers=cookie(email="bob@example.org")).status_code == 404


def test_every_answer_has_the_headers_refusals_too(guarded: TestClient) -> None:
    for path in ("/", "/media/abc.png", "/_stcore/metrics"):
        headers = guarded.get(path).headers
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
    assert "sandbox" in guarded.get("/media/abc.svg").headers["Content-Security-Policy"]


def test_the_host_may_name_the_sites_that_frame_the_pages(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "access", lambda: None)
    monkeypatch.setenv(server.FRAMED_BY, "https://huggingface.co")
    headers = client().get("/").headers
    assert headers["Content-Security-Policy"].endswith("frame-ancestors https://huggingface.co")
    assert "X-Frame-Options" not in headers


def test_other_hosts_are_refused_but_for_the_health_check(guarded: TestClient, options: dict[str, Any]) -> None:
    options["server.allowedHosts"] = ["explorer.example.org"]
    assert guarded.get("/").status_code == 200
    assert guarded.get("/", headers={"Host": "evil.org"}).status_code == 400
    assert guarded.get("/_stcore/health", headers={"Host": "127.0.0.1"}).status_code == 200


@pytest.mark.parametrize("base", ["/", "/cxr/"])
def test_a_sign_in_leads_back_to_the_view_that_was_asked_for(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, base: str
) -> None:
    options["server.baseUrlPath"] = base.strip("/")
    monkeypatch.setattr(access, "access", lambda: ALLOWED)
    visitor = client(base)
    view = f"{base}map?label=edema&sel=a%2Bb%26c"
    visitor.get(f"{base}auth/login", headers={"Referer": f"https://explorer.example.org{view}"})
    assert visitor.get(f"{base}oauth2callback").headers["Location"] == view
    assert visitor.get(f"{base}oauth2callback").headers["Location"] == base, "once"


@pytest.mark.parametrize(
    "referer",
    [
        "https://evil.org/map?label=edema",
        "https://explorer.example.org//evil.org",
        "https://explorer.example.org/\\evil.org",
        "https://explorer.example.org/auth/logout",
        "https://explorer.example.org/map?a=b\r\nSet-Cookie: a=b",
        f"https://explorer.example.org/map?sel={'a' * 4000}",
        "",
    ],
)
def test_a_sign_in_leads_nowhere_else(guarded: TestClient, referer: str) -> None:
    guarded.get("/auth/login", headers={"Referer": referer})
    assert guarded.get("/oauth2callback").headers["Location"] == "/"
    for planted in ("%2F%2Fevil.org", "https%3A%2F%2Fevil.org", "%2Fmap%0D%0AX%3A1"):
        headers = {"Cookie": f"{server.RETURN}={planted}"}
        assert guarded.get("/oauth2callback", headers=headers).headers["Location"] == "/"


def test_a_download_is_logged_with_who_took_it(guarded: TestClient, tmp_path: Path) -> None:
    log = tmp_path / "activity.jsonl"
    activity.log_to(str(log))
    try:
        guarded.get("/media/attached", headers=cookie(email="Bob@example.org"))
        guarded.get("/media/attached")  # refused: nothing was exported
        guarded.get("/media/abc.png", headers=cookie(email="Bob@example.org"))
        activity.record("opened", "", run="a\nb")
    finally:
        logging.getLogger("explorer.activity").handlers = []
    exported, opened = map(json.loads, log.read_text().splitlines())
    assert (exported["event"], exported["who"], exported["file"]) == ("exported", "bob@example.org", "a.csv")
    assert (opened["event"], opened["run"]) == ("opened", "a\nb")


def test_a_log_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be written"):
        activity.log_to(str(tmp_path / "missing/activity.jsonl"))
