"""What surrounds the pages on the server: the checks before it starts, and a guard before all that it serves.

Streamlit serves files by routes of its own, which know no visitor. The guard stands before them.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import sys
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

import streamlit as st
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME
from streamlit.web.server.starlette.starlette_websocket import _get_signed_cookie_with_chunks, is_host_allowed

from explorer.errors import UserError
from explorer.ui.shared import access, activity, telemetry

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

OPEN = "EXPLORER_OPEN"
"""1: everyone who reaches the server may enter. 0: nobody without a sign-in, from this machine neither."""
FRAMED_BY = "EXPLORER_FRAMED_BY"
"""Sites that may show the pages in a frame, parted by blanks: none without it."""

HEALTH = "_stcore/health"
CLOSED = re.compile(r"_stcore/(metrics|agent)(/|$)")
"""Routes that nobody is served by: how the server is used, and an interface for programs."""
FILES = re.compile(r"(media|_stcore/upload_file)/")
"""Routes for what belongs to a session: pictures, downloads, uploads."""
RETURN = "explorer_return"
"""The cookie that holds the address a visitor came for while they sign in."""
LONGEST_RETURN = 3000
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' "
    "blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-src 'self'"
)
"""What Streamlit's own pages need; nothing comes from, or goes to, another site."""


class Guard:
    """Headers on every answer, no route that tells of the server, and with sign-in no file for strangers.

    A web socket needs no guard: what goes through it is drawn by a page, and a page begins with ``access.admitted``.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._access = access.access()
        self._base = "/".join(("", *filter(None, st.get_option("server.baseUrlPath").split("/")), ""))
        self._framed_by = os.environ.get(FRAMED_BY, "").strip()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path, headers = scope["path"].removeprefix(self._base), Headers(scope=scope)
        claims = self._claims(headers) if self._access is not None else {}

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._finish(path, headers, claims, MutableHeaders(scope=message))
            await send(message)

        if refusal := self._refusal(path, headers, claims):
            await PlainTextResponse(*refusal)(scope, receive, answer)
        else:
            await self._app(scope, receive, answer)

    def _refusal(self, path: str, headers: Headers, claims: dict[str, Any]) -> tuple[str, int] | None:
        """The words and the status of an answer that is not given."""
        if path != HEALTH and not is_host_allowed(headers.get("Host")):
            return "This host is not served here.", 400
        if CLOSED.match(path):
            return "Not found", 404
        if FILES.match(path) and self._access is not None and self._access.role(claims) is None:
            return "Sign in first.", 403
        return None

    def _claims(self, headers: Headers) -> dict[str, Any]:
        """What the provider said of whoever sends these cookies; nothing where nobody has signed in."""
        signed = _get_signed_cookie_with_chunks(_cookies(headers), USER_COOKIE_NAME)
        claims = json.loads(signed) if signed else {}
        return claims if isinstance(claims, dict) else {}

    def _finish(self, path: str, headers: Headers, claims: dict[str, Any], answer: MutableHeaders) -> None:
        """Complete the headers of an answer, and log a download."""
        media = path.startswith("media/")
        policy = "default-src 'none'; style-src 'unsafe-inline'; sandbox" if media else POLICY
        answer["Content-Security-Policy"] = f"{policy}; frame-ancestors " + (self._framed_by or "'none'")
        answer["X-Content-Type-Options"] = "nosniff"
        answer["Referrer-Policy"] = "same-origin"
        answer["Cross-Origin-Resource-Policy"] = "same-origin"
        if not self._framed_by:
            answer["X-Frame-Options"] = "DENY"
        if media:
            answer["Cache-Control"] = "private, max-age=3600"
            disposition = answer.get("Content-Disposition", "")
            if disposition.startswith("attachment"):
                name = disposition.partition("=")[2].removeprefix("utf-8''").strip('"')
                activity.record("exported", str(claims.get("email", "")).lower(), file=unquote(name))
        if path == "auth/login":
            self._remember(headers, answer)
        elif path == "oauth2callback" and (asked := _cookies(headers).get(RETURN)):
            if answer.get("Location") == self._base and (view := self._view(unquote(asked))):
                answer["Location"] = view
            answer.append("Set-Cookie", f"{RETURN}=; Path={self._base}; Max-Age=0")

    def _remember(self, headers: Headers, answer: MutableHeaders) -> None:
        """Keep the view that a link was sent for, since Streamlit leads to the first page after the sign-in."""
        came_from = urlsplit(headers.get("Referer", ""))
        view = quote(self._view(f"{came_from.path}?{came_from.query}"))
        if came_from.netloc == headers.get("Host") and view and len(view) <= LONGEST_RETURN:
            cookie = f"{RETURN}={view}; Path={self._base}; Max-Age=600; HttpOnly; SameSite=Lax"
            answer.append("Set-Cookie", cookie)

    def _view(self, address: str) -> str:
        """A page of this server, or nothing: an address that leads elsewhere is none."""
        page = re.fullmatch(rf"{re.escape(self._base)}([a-z_]*)(\?[^\\\s]*)?", address)
        return quote(address, safe="/?&=%:+,.-_~*!'()") if page else ""


def _cookies(headers: Headers) -> dict[str, str]:
    jar: SimpleCookie = SimpleCookie()
    try:
        jar.load(headers.get("Cookie", ""))
    except CookieError:
        return {}
    return {name: morsel.value for name, morsel in jar.items()}


def check() -> None:
    """Refuse to start where strangers could enter by mistake; begin to log and to count where the host asks for it.

    Raises
    ------
    UserError
        Where the sign-in is half configured, or everyone in the network could enter and the host did not say so.
    """
    configured = access.access()
    address = st.get_option("server.address")
    opened = os.environ.get(OPEN, "0" if not _is_local(address) else "1")
    if configured is None and opened != "1":
        raise UserError(
            f"The server would listen on {address or 'every address'}, and nobody would have to sign in.",
            f"Configure a sign-in ({access.GUIDE}), or set {OPEN}=1 if everyone who reaches it may see every film.",
        )
    activity.start()
    telemetry.start()
    if configured is None and _is_local(address):
        sys.stderr.write("  Only this machine can open the pages. docs/hosting.md says how others can.\n")


def _is_local(address: str | None) -> bool:
    try:
        return address == "localhost" or ipaddress.ip_address(address or "").is_loopback
    except ValueError:
        return False


def _count_error(_: Exception) -> None:
    telemetry.UNEXPECTED.inc()


def settings() -> dict[str, Any]:
    """What the app is served with; the process ends with a message where the host's configuration is not sound."""
    try:
        check()
        secrets = access.environment_secrets()
    except UserError as error:
        sys.exit(str(error))
    on_error: Callable[[Exception], None] = _count_error
    return {"middleware": [Middleware(Guard)], "secrets": secrets, "on_script_error": on_error}
