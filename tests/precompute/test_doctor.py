"""``doctor``: what it reports of a machine, a store and a server."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from explorer.errors import UserError
from precompute.__main__ import app
from precompute.commands.doctor import Finding, _server
from tests.conftest import ROOT

HARDENED = {
    "Content-Security-Policy": "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


@contextmanager
def serving(headers: dict[str, str], metrics: int) -> Iterator[str]:
    """A server that sends these headers, and answers for its metrics with a status."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(metrics if self.path.endswith("metrics") else 200)
            for name, value in headers.items():
                self.send_header(name, value)
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


def test_a_server_without_a_proxy_is_found_open_and_one_behind_it_closed() -> None:
    with serving({}, 200) as url:
        assert bad(_server(url)) == {"framing", "headers", "metrics"}
    with serving(HARDENED, 404) as url:
        assert bad(_server(url)) == set()
    with serving({**HARDENED, "Content-Security-Policy": "default-src 'self'", "X-Frame-Options": "DENY"}, 401) as url:
        assert bad(_server(url)) == set()


@pytest.mark.parametrize("url", ["explorer.example.org", "file:///etc/passwd", "http://"])
def test_what_is_no_address_of_a_server_is_refused(url: str) -> None:
    with pytest.raises(UserError, match="no address of a server"):
        _server(url)


def test_a_server_that_is_not_there_is_an_error_that_says_so() -> None:
    with serving({}, 200) as url:
        pass
    with pytest.raises(UserError, match="does not answer"):
        _server(url)


def test_the_report_names_what_the_proxy_must_do_and_what_is_wrong_with_the_store(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["doctor", str(tmp_path)])
    assert isinstance(done.exception, UserError)
    assert "BAD  store" in done.stdout
    assert "frame-ancestors" in done.stdout
    findings = json.loads(CliRunner().invoke(app, ["doctor", str(tmp_path), "--json"]).stdout)
    assert {"Python", "packages", "processors", "GPU", "store"} == {finding["what"] for finding in findings}


def test_a_store_that_opens_is_reported_with_what_it_holds(tiny_store: Path) -> None:
    done = CliRunner().invoke(app, ["doctor", str(tiny_store)])
    assert done.exit_code == 0, done.output
    assert "96 films" in done.stdout


RECIPES: dict[str, Callable[[str], dict[str, str]]] = {
    "nginx": lambda text: dict(re.findall(r'add_header ([\w-]+) "?([^"\n]+?)"? always;', text)),
    "Caddy": lambda text: {
        name: value.strip('"')
        for name, value in re.findall(r"^ {12}([\w-]+) (.+)$", text.split("header {")[1].split("}")[0], re.MULTILINE)
    },
}


@pytest.mark.parametrize("proxy", RECIPES)
def test_the_recipes_of_the_manual_send_what_doctor_looks_for(proxy: str) -> None:
    recipe = (ROOT / "docs/hosting.md").read_text().split(f"### {proxy}\n")[1].split("\n## ")[0].split("\n### ")[0]
    assert recipe.count("{") == recipe.count("}")
    assert "/_stcore/metrics" in recipe
    assert "404" in recipe
    with serving(RECIPES[proxy](recipe), 404) as url:
        assert bad(_server(url)) == set()
