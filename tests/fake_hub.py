"""A data set of the Hugging Face hub, as far as its library asks for one: it is made, takes commits and gives files."""

from __future__ import annotations

import base64
import hashlib
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlparse

COMMIT = "0" * 40


class Hub(ThreadingHTTPServer):
    """One data set, ``a/b``, with the files that were committed and what it was made with."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.made: list[dict[str, Any]] = []
        self.commits: list[list[str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def do_POST(self) -> None:
        path, body = unquote(urlparse(self.path).path), self._body()
        if path == "/api/repos/create":
            self.server.made.append(json.loads(body))
            self._json({"url": f"{self.server.url}/datasets/a/b", "id": "a/b"})
        elif "/preupload/" in path:
            modes = [{"uploadMode": "regular", "shouldIgnore": False, **one} for one in json.loads(body)["files"]]
            self._json({"files": modes})
        elif "/commit/" in path:
            lines = [json.loads(line) for line in body.decode().split("\n") if line]
            files = {line["value"]["path"]: line["value"]["content"] for line in lines if line["key"] == "file"}
            self.server.files |= {name: base64.b64decode(content) for name, content in files.items()}
            self.server.commits.append(sorted(files))
            self._json({"commitUrl": f"{self.server.url}/datasets/a/b/commit/{COMMIT}", "commitOid": COMMIT})
        else:  # the check of the card's head
            self._json({})

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlparse(self.path).path)
        if "/tree/" in path:
            below = path.split("/tree/")[1].partition("/")[2]
            names = sorted(name for name in self.server.files if name.startswith(f"{below}/" if below else ""))
            self._json([self._about(name) for name in names], 200 if names else 404)
        elif "/resolve/" in path:
            self._file(self.server.files[path.split("/resolve/")[1].partition("/")[2]])
        elif self.server.made and path.startswith("/api/datasets/a/b"):
            self._json({"id": "a/b", "sha": COMMIT, "private": True, "siblings": []})
        else:
            self._json({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})

    def _about(self, name: str) -> dict[str, Any]:
        data = self.server.files[name]
        return {"type": "file", "path": name, "oid": hashlib.sha1(data).hexdigest(), "size": len(data)}

    def _file(self, data: bytes) -> None:
        asked = self.headers.get("Range")
        first, last = asked.removeprefix("bytes=").split("-") if asked else ("0", "")
        start, end = int(first), min(int(last or len(data)) + 1, len(data))
        headers = {"Content-Range": f"bytes {start}-{end - 1}/{len(data)}"} if asked else {}
        self._send(data[start:end], 206 if asked else 200, {**headers, "X-Repo-Commit": COMMIT, "ETag": '"x"'})

    def _json(self, value: object, code: int = 200, headers: dict[str, str] | None = None) -> None:
        self._send(json.dumps(value).encode(), code, {"Content-Type": "application/json", **(headers or {})})

    def _send(self, data: bytes, code: int, headers: dict[str, str]) -> None:
        self.send_response(code)
        for name, text in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, format: str, *args: object) -> None:
        pass
