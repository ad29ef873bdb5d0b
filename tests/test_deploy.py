"""What ``deploy/`` holds: container files, and a proxy's configuration with a real proxy before a real server."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple
from urllib.error import URLError
from urllib.parse import urlsplit

import pytest
from prometheus_client.parser import text_string_to_metric_families
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.exceptions import InvalidStatus

from benchmarks.session import Answer, Session
from explorer.errors import UserError
from explorer.store.marks import read_marks
from explorer.store.runs import open_store
from explorer.ui.shared import telemetry
from precompute.commands.doctor import _server
from tests.browser.conftest import free_port, serve
from tests.conftest import ROOT
from tests.pages import TITLES

DEPLOY = ROOT / "deploy"
IMAGES = (DEPLOY / "Containerfile", DEPLOY / "Containerfile.viewer", DEPLOY / "space/Dockerfile")
SYSTEMD = shutil.which("systemd-analyze")
ERRORS = ("shown", "unexpected")
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")


@pytest.mark.parametrize("file", IMAGES, ids=lambda file: str(file.relative_to(DEPLOY)))
def test_an_image_is_sound(file: Path) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, "--failure-threshold", "style", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    text = file.read_text()
    assert re.search(r"^USER [1-9]\d*$", text, re.MULTILINE), "nobody runs as root"
    assert "/_stcore/health" in text
    (port,) = re.findall(r"^EXPOSE (\d+)$", text, re.MULTILINE)
    assert text.count(port) == 3, "the port that is opened, asked for its health, and served"
    for line in re.findall(r"^COPY (.+)$", text, re.MULTILINE):
        for source in line.split()[:-1]:
            assert source == "store" or (ROOT / source).exists(), source


def test_all_images_begin_with_the_same_one() -> None:
    (base,) = {line for file in IMAGES for line in file.read_text().splitlines() if line.startswith("FROM")}
    assert re.fullmatch(r"FROM docker\.io/library/python:\d+\.\d+\.\d+-slim-\w+", base)


class Workers(NamedTuple):
    """Two servers over one store: the store, and where each of them counts what it serves."""

    root: Path
    metrics: tuple[str, str]

    def served(self, page: str) -> list[float]:
        """How often each has drawn a page."""
        return [counts(url).get(("explorer_page_seconds_count", TITLES[page]), 0.0) for url in self.metrics]


def counts(url: str) -> dict[tuple[str, str], float]:
    """What a server counts, by the name of the figure and by page or kind."""
    with urllib.request.urlopen(f"{url}/metrics") as answer:
        families = [*text_string_to_metric_families(answer.read().decode())]
    return {
        (sample.name, sample.labels.get("page", sample.labels.get("kind", ""))): sample.value
        for family in families
        for sample in family.samples
        if "le" not in sample.labels
    }


@pytest.mark.skipif(SYSTEMD is None, reason="no systemd on this machine")
def test_the_unit_is_sound(tmp_path: Path) -> None:
    unit = tmp_path / "cxr-explorer@8501.service"
    text = (DEPLOY / "cxr-explorer@.service").read_text()
    unit.write_text(text.replace("/opt/cxr-explorer/.venv/bin/python", sys.executable))
    done = subprocess.run([str(SYSTEMD), "verify", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture(scope="module")
def workers(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workers, list[str]]]:
    """The workers and their addresses, over a copy of the store in which visitors mark."""
    root = tmp_path_factory.mktemp("workers") / "store"
    shutil.copytree(tiny_store, root)
    options = ("--server.baseUrlPath=cxr", "--server.allowedHosts=127.0.0.1")
    ports = (free_port(), free_port())
    servers = [serve(root, *options, base="/cxr", EXPLORER_METRICS_PORT=str(port)) for port in ports]
    first, second = (f"http://127.0.0.1:{port}" for port in ports)
    yield Workers(root, (first, second)), [url for _, url in servers]
    for server, _ in servers:
        server.terminate()
        server.wait(20)


@pytest.fixture(scope="module")
def proxied(workers: tuple[Workers, list[str]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Both workers below a path, behind nginx with the configuration of ``deploy/`` but for certificates and ports."""
    if NGINX is None:
        pytest.skip("no nginx on this machine")
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    text = (DEPLOY / "nginx.conf").read_text()
    text = re.sub(r"^ *ssl_.*\n", "", text, flags=re.MULTILINE)
    text = text.replace("listen 443 ssl", f"listen 127.0.0.1:{port}")
    addresses = "".join(f"server {urlsplit(url).netloc};\n" for url in workers[1])
    assert text.count("server 127.0.0.1:8501;\n") == 1
    text = text.replace("server 127.0.0.1:8501;\n", addresses)
    paths = "".join(
        f"{kind}_temp_path {folder / kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder / 'pid'}; error_log {folder / 'errors'};\nevents {{}}\n"
        f"http {{\naccess_log off;\n{paths}{text}}}\n"
    )
    proxy = subprocess.Popen([NGINX, "-e", str(folder / "errors"), "-c", str(folder / "nginx.conf")])
    for _ in range(100):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/cxr/_stcore/health", timeout=1).close()
            break
        except (URLError, OSError):
            time.sleep(0.1)
    yield f"http://127.0.0.1:{port}/cxr"
    proxy.terminate()
    proxy.wait(20)


def test_pages_are_served_behind_nginx_below_a_path(proxied: str) -> None:
    with Session(proxied) as session:
        for page in ("", "map", "case"):
            answer = session.open(page)
            assert not answer.failed
            assert TITLES[page or "overview"].encode() in answer.content
    with urllib.request.urlopen(f"{proxied}/map") as page:
        assert page.headers.get_all("X-Frame-Options") == ["DENY"], "once"
        assert "Strict-Transport-Security" in page.headers


def test_nothing_is_left_open_behind_nginx(proxied: str) -> None:
    findings = {finding.what: finding for finding in _server(proxied)}
    assert [what for what, finding in findings.items() if not finding.good] == []
    assert "400" in findings["host names"].state


def test_a_foreign_page_gets_no_session_behind_nginx(proxied: str) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        Session(proxied, origin="https://foreign.invalid")


def test_an_upload_that_is_too_large_ends_at_nginx(proxied: str) -> None:
    """What a client announces is enough: nginx reads none of it."""
    host = urlsplit(proxied).netloc
    for megabytes, status in ((22, 413), (0, 403)):
        connection = HTTPConnection(host, timeout=20)
        connection.putrequest("PUT", "/cxr/_stcore/upload_file/s/f")
        connection.putheader("Content-Length", str(megabytes * 2**20))
        connection.endheaders()
        assert connection.getresponse().status == status
        connection.close()


def cookie_of(proxied: str) -> str:
    """What nginx gives a browser that comes without a cookie."""
    with urllib.request.urlopen(f"{proxied}/") as page:
        (cookie,) = page.headers.get_all("Set-Cookie")
    assert "HttpOnly" in cookie
    return str(cookie.partition(";")[0])


def worker_of(workers: Workers, proxied: str, cookie: str) -> int:
    """The worker that a browser's session is in."""
    before = workers.served("dataset")
    with Session(proxied, cookie=cookie) as session:
        session.open("dataset")
    gained = [now - then for now, then in zip(workers.served("dataset"), before, strict=True)]
    assert sorted(gained) == [0, 1]
    return gained.index(1)


@pytest.fixture(scope="module")
def apart(workers: tuple[Workers, list[str]], proxied: str) -> tuple[str, str]:
    """The cookies of a browser that is with the first worker, and of one with the second."""
    by_worker: dict[int, str] = {}
    for _ in range(40):
        cookie = cookie_of(proxied)
        by_worker.setdefault(worker_of(workers[0], proxied, cookie), cookie)
        if len(by_worker) == 2:
            break
    return by_worker[0], by_worker[1]


def test_a_browser_stays_with_its_worker(
    workers: tuple[Workers, list[str]], proxied: str, apart: tuple[str, str]
) -> None:
    for worker, cookie in enumerate(apart):
        assert [worker_of(workers[0], proxied, cookie) for _ in range(4)] == [worker] * 4
        request = urllib.request.Request(f"{proxied}/", headers={"Cookie": cookie})
        with urllib.request.urlopen(request) as page:
            assert page.headers.get_all("Set-Cookie") is None, "it has one"


def button(answer: Answer, label: str) -> WidgetState:
    """The press of a page's button."""
    for message in map(ForwardMsg.FromString, answer.messages):
        if message.delta.new_element.button.label == label:
            return WidgetState(id=message.delta.new_element.button.id, trigger_value=True)
    raise AssertionError(f"no button {label!r}")


def name_given(answer: Answer, name: str) -> WidgetState:
    """The annotator's name, typed in."""
    for message in map(ForwardMsg.FromString, answer.messages):
        if message.delta.new_element.text_input.label == "Annotator":
            return WidgetState(id=message.delta.new_element.text_input.id, string_value=name)
    raise AssertionError("nowhere to give a name")


def test_marks_saved_in_two_workers_are_both_kept(
    workers: tuple[Workers, list[str]], proxied: str, apart: tuple[str, str]
) -> None:
    store = open_store(workers[0].root)
    view = {"show": "mark", "label": "edema", "film": str(store.samples["sample_id"].iat[store.rows("test")[0]])}
    with Session(proxied, cookie=apart[0]) as ann, Session(proxied, cookie=apart[1]) as bob:
        for visitor, name in ((ann, "Ann"), (bob, "Bob"), (ann, "Cleo"), (bob, "Dan")):
            named = name_given(visitor.open("grad_cam", **view), name)
            ready = visitor.open("grad_cam", named, **view)
            assert not visitor.open("grad_cam", named, button(ready, "Nothing to mark"), **view).failed
    assert set(read_marks(store)["annotator"]) >= {"Ann", "Bob", "Cleo", "Dan"}


def test_a_server_counts_sessions_pages_queue_caches_and_errors(workers: tuple[Workers, list[str]]) -> None:
    shared, (address, _) = workers
    metrics = shared.metrics[0]
    for _ in range(600):  # a session that was left is closed a moment later
        if (before := counts(metrics))["explorer_sessions", ""] == 0:
            break
        time.sleep(0.1)
    damaged = open_store(shared.root).path / "likeness.parquet"
    whole = damaged.read_bytes()
    with Session(f"{address}/cxr") as one, Session(f"{address}/cxr") as other:
        one.open("map")
        damaged.write_bytes(whole[:-1])
        try:
            other.open("separability", part="spaces")
        finally:
            damaged.write_bytes(whole)
        now = counts(metrics)
    assert (before["explorer_sessions", ""], now["explorer_sessions", ""]) == (0, 2)
    pages = {page: now[name, page] for name, page in now if name == "explorer_page_seconds_count"}
    assert pages[TITLES["map"]] == before.get(("explorer_page_seconds_count", TITLES["map"]), 0) + 1
    assert set(pages) <= set(TITLES.values())
    assert now["explorer_page_seconds_sum", TITLES["map"]] > 0
    assert now["explorer_queue_length", ""] == 0
    assert sum(size for (name, _), size in now.items() if name == "explorer_cache_bytes") > 10_000
    shown, unexpected = (now["explorer_errors_total", kind] - before["explorer_errors_total", kind] for kind in ERRORS)
    assert (shown, unexpected) == (1, 0)


@pytest.mark.parametrize("port", ["none", "70000", "taken"])
def test_a_port_for_counts_that_cannot_be_used_ends_the_start(port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        monkeypatch.setenv(telemetry.PORT, str(other.getsockname()[1]) if port == "taken" else port)
        monkeypatch.setattr(telemetry.REGISTRY, "register", lambda _: None)
        with pytest.raises(UserError, match="cannot be used"):
            telemetry.start()
