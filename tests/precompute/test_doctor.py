"""``doctor``: what it reports of a machine, a store and a server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from explorer.errors import UserError
from precompute.__main__ import app
from precompute.commands import doctor
from precompute.commands.doctor import Finding, _server

HARDENED = {
    "Content-Security-Policy": "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


@contextmanager
def serving(
    headers: dict[str, str], metrics: int = 404, file: int = 404, upload: int = 403, other: int = 400
) -> Iterator[str]:
    """A server that sends these headers, and these answers to what a stranger asks."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers = {"/_stcore/metrics": metrics, "/media/doctor.png": file}
            foreign = self.headers["Host"] == "foreign.invalid"
            self.send_response(other if foreign else answers.get(self.path, 200))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def do_PUT(self) -> None:
            self.send_response(upload)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def bad(findings: list[Finding]) -> set[str]:
    return {finding.what for finding in findings if not finding.good}


def test_an_open_server_is_reported_and_a_guarded_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    open_to_all = {"Access-Control-Allow-Origin": "*"}
    wrong = {"framing", "headers", "metrics", "foreign origins", "forged uploads"}
    with serving(open_to_all, metrics=200, upload=204, other=200) as url:
        assert bad(_server(url)) == wrong, "on this machine alone, all may enter by any name"
        elsewhere = url.replace("127.0.0.1", "explorer.example.org")
        ask = doctor._ask
        monkeypatch.setattr(
            doctor, "_ask", lambda at, *a, **k: ask(at.replace("explorer.example.org", "127.0.0.1"), *a, **k)
        )
        assert bad(_server(elsewhere)) == {*wrong, "HTTPS", "sign-in", "host names"}
    with serving(HARDENED, file=403) as url:
        assert bad(_server(url)) == set()
        assert {"sign-in": "asked for"}.items() <= {one.what: one.state for one in _server(url)}.items()
    with serving({**HARDENED, "Content-Security-Policy": "default-src 'self'", "X-Frame-Options": "DENY"}, 401) as url:
        assert bad(_server(url)) == set()


@pytest.mark.parametrize("url", ["explorer.example.org", "file:///etc/passwd", "http://"])
def test_what_is_no_address_of_a_server_is_refused(url: str) -> None:
    with pytest.raises(UserError, match="no address of a server"):
        _server(url)


def test_a_server_that_is_not_there_is_an_error_that_says_so() -> None:
    with serving({}) as url:
        pass
    with pytest.raises(UserError, match="does not answer"):
        _server(url)


def test_the_report_names_what_the_proxy_must_do_and_what_is_wrong_with_the_store(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["doctor", str(tmp_path)])
    assert isinstance(done.exception, UserError)
    assert "BAD  store" in done.stdout
    assert "--url" in done.stdout
    findings = json.loads(CliRunner().invoke(app, ["doctor", str(tmp_path), "--json"]).stdout)
    assert {"Python", "packages", "processors", "GPU", "store"} == {finding["what"] for finding in findings}


def test_a_store_that_opens_is_reported_with_what_it_holds(tiny_store: Path) -> None:
    done = CliRunner().invoke(app, ["doctor", str(tiny_store)])
    assert done.exit_code == 0, done.output
    assert "96 films" in done.stdout
