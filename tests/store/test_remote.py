"""Stores from elsewhere: fetched whole and once, resumed, and refused where they are not what they say."""

from __future__ import annotations

import io
import os
import shutil
import socket
import stat
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from explorer.errors import UserError
from explorer.store import open_store, remote
from explorer.store.verify import verify_store
from tests.conftest import ROOT, Call, run_command
from tests.fake_hub import Hub
from tests.pages import assert_whole, open_page, said

SMALL = ("--no-pixels", "--no-weights", "--i-may-share")
"""Published so, the tiny store has every kind of file in a few megabytes: it travels many times."""


class FileServer(ThreadingHTTPServer):
    """A folder over HTTP with range requests, whose connection can be cut."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.cut_after: int | None = None
        """Bytes that a first answer still gives; then the connection ends."""
        self.cuts = 0
        self.ranges = True
        self.served: list[tuple[int, int]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FileServer

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, with_body: bool) -> None:
        file = self.server.folder / self.path.lstrip("/")
        if not file.is_file():
            self.send_error(404)
            return
        facts, asked = file.stat(), self.headers.get("Range")
        start, end = 0, facts.st_size
        if asked and self.server.ranges:
            first, last = asked.removeprefix("bytes=").split("-")
            start, end = int(first), min(int(last or facts.st_size) + 1, facts.st_size)
        self.send_response(206 if asked and self.server.ranges else 200)
        self.send_header("Content-Length", str(end - start))
        self.send_header("Accept-Ranges", "bytes" if self.server.ranges else "none")
        self.send_header("ETag", f'"{facts.st_mtime_ns}-{facts.st_size}"')
        if end - start < facts.st_size:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{facts.st_size}")
        self.end_headers()
        if not with_body:
            return
        with file.open("rb") as opened:
            opened.seek(start)
            data = opened.read(end - start)
        if self.server.cuts and self.server.cut_after is not None:
            self.server.cuts -= 1
            self.wfile.write(data[: self.server.cut_after])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        self.server.served.append((start, end))
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def published(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tiny store, published as a folder and as a ZIP file."""
    folder = tmp_path_factory.mktemp("published")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("tiny.zip", "tiny"):
            assert run_command(patch, "publish", tiny_store, folder / name, *SMALL) == 0
    return folder


@pytest.fixture
def server(published: Path, tmp_path: Path) -> Iterator[FileServer]:
    shutil.copy(published / "tiny.zip", tmp_path)
    server = FileServer(tmp_path)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, small parts, and no waiting between tries."""
    monkeypatch.setenv("EXPLORER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(remote, "CHUNK", 2**18)
    monkeypatch.setattr(remote, "PAUSE", 0.001)
    return tmp_path / "cache"


def nothing(done: int, total: int) -> None:
    pass


def files_of(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


# --- a ZIP file over HTTP --------------------------------------------------------------------------------------------


def test_a_zip_is_fetched_once_and_is_the_store(server: FileServer, published: Path) -> None:
    address = f"{server.url}/tiny.zip"
    assert remote.fetched(address) is None
    reports: list[tuple[int, int]] = []
    root = remote.fetch(address, lambda done, total: reports.append((done, total)))
    assert files_of(root) == files_of(published / "tiny")
    assert verify_store(open_store(root)) == []
    size = (published / "tiny.zip").stat().st_size
    assert reports[-1] == (size, size)
    assert len(reports) > 3, "progress comes in parts"
    before = len(server.served)
    assert remote.fetch(address, nothing) == remote.fetched(address) == root
    assert len(server.served) == before, "nothing is asked for again"


def test_a_download_that_breaks_off_goes_on(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within one call a cut part is asked for again; after too many, the next call goes on where this one stopped."""
    address = f"{server.url}/tiny.zip"
    monkeypatch.setattr(remote, "TRIES", 3)
    done: list[int] = []

    def cut_in_the_middle(n: int, total: int) -> None:
        done.append(n)
        if n > total / 2 and server.cut_after is None:
            server.cut_after, server.cuts = 1000, 3

    with pytest.raises(UserError, match=r"broke off after .*MB") as caught:
        remote.fetch(address, cut_in_the_middle)
    assert "goes on from there" in caught.value.fix
    server.served.clear()
    server.cuts = 2  # fewer than the tries
    root = remote.fetch(address, nothing)
    assert verify_store(open_store(root)) == []
    assert server.served[0][0] >= done[-1] - 2**18 > 0, "what was there is not asked for again"


def test_a_file_that_was_replaced_meanwhile_is_fetched_from_its_start(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"{server.url}/tiny.zip"
    monkeypatch.setattr(remote, "TRIES", 1)
    server.cut_after, server.cuts = 10, 10**6
    with pytest.raises(UserError, match="broke off"):
        remote.fetch(address, nothing)
    (archive,) = (server.folder / "cache" / "stores").glob("*/download.zip")
    archive.write_bytes(b"of another file")
    with zipfile.ZipFile(server.folder / "tiny.zip", "a") as zipped:
        zipped.comment = b"another"
    server.cuts = 0
    assert verify_store(open_store(remote.fetch(address, nothing))) == []


def test_what_cannot_be_read_is_said(server: FileServer) -> None:
    for address, what in (
        (f"{server.url}/absent.zip", "There is nothing at"),
        (f"{server.url}/folder", "is no ZIP file"),
        ("http://127.0.0.1:1/a.zip", "cannot be read"),
        ("nowhere://a/b.zip", "cannot be read"),
    ):
        with pytest.raises(UserError, match=what):
            remote.fetch(address, nothing)
    server.ranges = False
    with pytest.raises(UserError, match="does not give parts of a file"):
        remote.fetch(f"{server.url}/tiny.zip", nothing)


# --- a ZIP file that is not what it should be ------------------------------------------------------------------------


def zipped(members: dict[str, bytes], change: Callable[[zipfile.ZipInfo], None] = lambda _: None) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            change(info)
            archive.writestr(info, data)
    return file.getvalue()


def as_link(info: zipfile.ZipInfo) -> None:
    info.external_attr = (stat.S_IFLNK | 0o777) << 16


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (zipped({"../out": b"x"}), "leads out of it"),
        (zipped({"/etc/out": b"x"}), "leads out of it"),
        (zipped({"a/../../out": b"x"}), "leads out of it"),
        (zipped({"C:/out": b"x"}), "leads out of it"),
        (zipped({"a\\..\\out": b"x"}), "leads out of it"),
        (zipped({"link": b"/etc/passwd"}, as_link), "holds a link"),
        (zipped({"a": bytes(10**7)}), "the cache may hold"),
        (zipped({"a": b"x"}), "is no published store"),
        (zipped({"a": b"x", "SHA256SUMS": b""}), "a of the store is not what"),
        (zipped({"SHA256SUMS": b"0" * 64 + b"  a\n"}), "a of the store is not what"),
        (zipped({"a": b"x", "SHA256SUMS": b"0" * 64 + b"  a\n"}), "a of the store is not what"),
        (zipped({"a": b"x", "SHA256SUMS": b"no hash\n"}), "has a line 'no hash'"),
        (zipped({"SHA256SUMS": b"0" * 64 + b"  ../a\n"}), "leads out of it"),
        (b"PK no zip", "no ZIP file that can be read"),
    ],
)
def test_a_zip_that_is_no_store_is_refused_and_leaves_nothing(
    content: bytes, what: str, server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(remote.GIGABYTES, "0.001")
    (tmp_path / "bad.zip").write_bytes(content)
    before = {path for path in tmp_path.rglob("*") if "cache" not in path.parts}
    with pytest.raises(UserError, match=what):
        remote.fetch(f"{server.url}/bad.zip", nothing)
    assert remote.fetched(f"{server.url}/bad.zip") is None
    assert {path for path in tmp_path.rglob("*") if "cache" not in path.parts} == before
    assert not list((tmp_path / "cache").rglob("download.zip")), "it is fetched anew next time"


def test_the_cache_keeps_to_its_bound(server: FileServer, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(server.folder / "tiny.zip", server.folder / "other.zip")
    first = remote.fetch(f"{server.url}/tiny.zip", nothing)
    monkeypatch.setenv(remote.GIGABYTES, str(2.5 * remote._size(first) / 1e9))  # unpacking needs it twice
    with pytest.raises(UserError, match="the cache may hold"):
        remote.fetch(f"{server.url}/other.zip", nothing)  # the first was opened just now
    os.utime(first, (0, time.time() - 2 * remote.IN_USE))
    remote.fetch(f"{server.url}/other.zip", nothing)
    assert remote.fetched(f"{server.url}/tiny.zip") is None


# --- the page --------------------------------------------------------------------------------------------------------


def test_the_page_follows_the_download_and_opens_the_store(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    import streamlit as st

    st.cache_resource.clear()
    monkeypatch.setenv("EXPLORER_STORE", f"{server.url}/absent.zip")
    open_page("dataset")
    wait_for_threads()
    app = open_page("dataset")
    assert not app.exception
    assert "There is nothing at STORE" in app.error[0].value
    assert [button.label for button in app.button] == ["Try again"]

    monkeypatch.setenv("EXPLORER_STORE", f"{server.url}/tiny.zip")
    app = open_page("dataset")
    assert "fetched from elsewhere" in said(app) or app.title[0].value == "Data set"
    wait_for_threads()
    assert_whole(open_page("dataset"), "Data set")


def wait_for_threads() -> None:
    for thread in threading.enumerate():
        if "_fetch" in thread.name:
            thread.join(60)


# --- a folder in a bucket --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """A bucket of a server that speaks S3."""
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    server_module = pytest.importorskip("moto.server", reason="moto is not installed")
    server = server_module.ThreadedMotoServer("127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        import s3fs

        s3fs.S3FileSystem.clear_instance_cache()
        s3fs.S3FileSystem().mkdir("films")
        yield "s3://films"
    server.stop()


def test_a_bucket_takes_and_gives_a_store(bucket: str, tiny_store: Path, call: Call, published: Path) -> None:
    for name in ("tiny", "tiny.zip"):
        code, _, err = call("publish", tiny_store, f"{bucket}/sets/{name}", *SMALL)
        assert code == 0, err
        root = remote.fetch(f"{bucket}/sets/{name}", nothing)
        assert files_of(root) == files_of(published / "tiny")
        code, _, err = call("publish", tiny_store, f"{bucket}/sets/{name}", *SMALL)
        assert code == 1
        assert "exists already" in err


def test_a_folder_that_changed_or_is_not_whole_is_refused_and_resumed(bucket: str, published: Path) -> None:
    import s3fs

    files = s3fs.S3FileSystem()
    with pytest.raises(UserError, match="is no published store"):
        remote.fetch(f"{bucket}/none", nothing)
    files.put(str(published / "tiny") + "/", "films/torn/", recursive=True)
    name = next(path for path in files.find("films/torn") if path.endswith("samples.parquet"))
    good = files.cat_file(name)
    files.rm_file(name)
    with pytest.raises(UserError, match=r"is not whole: it lacks .*samples\.parquet"):
        remote.fetch(f"{bucket}/torn", nothing)
    files.pipe_file(name, bytes(len(good)))
    with pytest.raises(UserError, match=r"samples\.parquet of .* is not what its list of hashes says"):
        remote.fetch(f"{bucket}/torn", nothing)
    files.pipe_file(name, good)
    assert verify_store(open_store(remote.fetch(f"{bucket}/torn", nothing))) == []


# --- a data set on the hub -------------------------------------------------------------------------------------------


def test_the_hub_takes_and_gives_a_store(
    tiny_store: Path, published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the hub's own library, in a process of its own: it reads its settings once."""
    hub = Hub()
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    for name, text in (("HF_ENDPOINT", hub.url), ("HF_TOKEN", "hf_test"), ("HF_HOME", str(tmp_path / "hf"))):
        monkeypatch.setenv(name, text)
    address = "hf://datasets/a/b/sets/tiny"
    publish = ("-m", "precompute", "publish", str(tiny_store), address, *SMALL)
    done = subprocess.run([sys.executable, *publish], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [made["visibility"] for made in hub.made] == ["private"]
    assert {name.removeprefix("sets/tiny/"): data for name, data in hub.files.items()} == files_of(published / "tiny")
    assert hub.commits[-1] == ["sets/tiny/SHA256SUMS"], "without it nothing opens the copy"
    again = subprocess.run([sys.executable, *publish], cwd=ROOT, capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert "exists already" in again.stderr
    code = f"from explorer.store import remote; print(remote.fetch({address!r}, lambda *_: None))"
    got = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert files_of(Path(got.stdout.strip())) == files_of(published / "tiny")
    hub.shutdown()
    hub.server_close()
