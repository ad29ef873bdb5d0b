"""What ``deploy/`` holds: container files, and a proxy's configuration with a real proxy before a real server."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import InvalidStatus

from benchmarks.session import Session
from precompute.commands.doctor import _server
from tests.browser.conftest import free_port, serve
from tests.conftest import ROOT
from tests.pages import TITLES

DEPLOY = ROOT / "deploy"
IMAGES = (DEPLOY / "Containerfile", DEPLOY / "Containerfile.viewer", DEPLOY / "space/Dockerfile")
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


@pytest.fixture(scope="module")
def proxied(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app below a path, behind nginx with the configuration of ``deploy/`` but for certificates and ports."""
    if NGINX is None:
        pytest.skip("no nginx on this machine")
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    server, url = serve(tiny_store, "--server.baseUrlPath=cxr", "--server.allowedHosts=127.0.0.1", base="/cxr")
    text = (DEPLOY / "nginx.conf").read_text()
    text = re.sub(r"^ *ssl_.*\n", "", text, flags=re.MULTILINE)
    text = text.replace("listen 443 ssl", f"listen 127.0.0.1:{port}").replace("http://127.0.0.1:8501", url)
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
    for process in (proxy, server):
        process.terminate()
        process.wait(20)


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
