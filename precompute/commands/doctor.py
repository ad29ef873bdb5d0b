"""``doctor``: whether a machine, a store and a running server are fit to be used by others."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import urllib.error
import urllib.request
from email.message import Message
from http.client import HTTPException
from pathlib import Path
from typing import Annotated, NamedTuple
from urllib.parse import urlsplit

import typer

from explorer.errors import UserError
from precompute.commands.console import RESULTS
from precompute.commands.options import AsJson, RunArgument

PACKAGES = (
    "streamlit",
    "numpy",
    "pandas",
    "pyarrow",
    "plotly",
    "pydicom",
    "faiss-cpu",
    "torch",
    "open_clip_torch",
    "timm",
)
PATIENCE = 10
"""Seconds to wait for an answer of the server."""
HOSTING = "docs/hosting.md has a configuration that does."


class Finding(NamedTuple):
    """One thing looked at: whether it is as it should be, and what to do where it is not."""

    what: str
    good: bool
    state: str
    fix: str = ""


def doctor(
    store: RunArgument,
    url: Annotated[str, typer.Option("--url", help="The address of a running server: its headers are checked.")] = "",
    as_json: AsJson = False,
) -> None:
    """Report on versions, threads and GPU, the store, and with --url on what a server lets strangers do."""
    findings = [*_environment(), *_store(store), *(_server(url.rstrip("/")) if url else [])]
    if as_json:
        typer.echo(json.dumps([finding._asdict() for finding in findings], indent=2))
    else:
        for finding in findings:
            RESULTS.print(f"{'ok ' if finding.good else 'BAD'}  {finding.what}: {finding.state}", soft_wrap=True)
            if finding.fix and not finding.good:
                RESULTS.print(f"     {finding.fix}", soft_wrap=True)
        if not url:
            RESULTS.print("With --url ADDRESS, a running server is asked what it lets strangers do.")
    bad = sum(not finding.good for finding in findings)
    if bad:
        raise UserError(f"{bad} of {len(findings)} things are not as they should be.", "Each says what to do.")


def _environment() -> list[Finding]:
    import torch

    versions = []
    for package in PACKAGES:
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            return [Finding("packages", False, f"{package} is missing", "pip install -r requirements.txt")]
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return [
        Finding("Python", True, f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        Finding("packages", True, ", ".join(versions)),
        Finding("processors", True, f"{os.cpu_count()}, torch uses {torch.get_num_threads()}"),
        Finding("GPU", True, device),
    ]


def _store(folder: Path) -> list[Finding]:
    from explorer.store import open_store

    try:
        store = open_store(folder)
    except UserError as error:
        return [Finding("store", False, error.what, error.fix)]
    readonly = os.environ.get("EXPLORER_READONLY") == "1"
    root = store.path.parent
    free = shutil.disk_usage(root).free / 2**30
    return [
        Finding("store", True, f"{store.path}, {store.n:,} films, made {store.manifest.created}"),
        Finding(
            "marks and reviews",
            readonly or os.access(root, os.W_OK),
            "the viewer is read-only" if readonly else f"saved in {root}, {free:.1f} GiB free",
            f"Let the server write in {root}, or set EXPLORER_READONLY=1.",
        ),
    ]


def _server(url: str) -> list[Finding]:
    """What a server lets a stranger do, who has not signed in and has no password of a proxy."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(f"{url!r} is no address of a server.", "Give one such as https://explorer.example.org.")
    local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    status, headers = _ask(f"{url}/")
    policy = headers.get("Content-Security-Policy", "")
    framed = (
        headers.get("X-Frame-Options", "").upper() not in ("DENY", "SAMEORIGIN") and "frame-ancestors" not in policy
    )
    complete = headers.get("X-Content-Type-Options", "").lower() == "nosniff" and "Referrer-Policy" in headers
    metrics, _ = _ask(f"{url}/_stcore/metrics")
    _, foreign = _ask(f"{url}/_stcore/health", Origin="https://foreign.invalid")
    shared = foreign.get("Access-Control-Allow-Origin", "") in ("*", "https://foreign.invalid")
    upload, _ = _ask(f"{url}/_stcore/upload_file/doctor/doctor", method="PUT")
    other, _ = _ask(f"{url}/", Host="foreign.invalid")
    file, _ = _ask(f"{url}/media/doctor.png")
    asked = {status, file} & {302, 303, 307, 401, 403}  # also a proxy that leads elsewhere
    return [
        Finding(
            "server",
            status < 400 or status in (401, 403),
            f"{url} answers {status}",
            "Start it, or correct the address.",
        ),
        Finding("HTTPS", parts.scheme == "https" or local, parts.scheme, f"Let a proxy speak HTTPS: {HOSTING}"),
        Finding(
            "sign-in",
            bool(asked) or local,
            "asked for" if asked else "everyone who reaches the server sees every film",
            f"Configure a sign-in: {HOSTING}",
        ),
        Finding(
            "framing",
            not framed,
            "any page may frame this one" if framed else policy.partition("frame-ancestors")[2].strip() or "refused",
            "Send Content-Security-Policy: frame-ancestors 'none'.",
        ),
        Finding(
            "headers",
            complete,
            "nosniff and a referrer policy" if complete else "incomplete",
            "Send X-Content-Type-Options: nosniff and Referrer-Policy: same-origin.",
        ),
        Finding(
            "metrics",
            metrics >= 300,
            f"/_stcore/metrics answers {metrics}",
            "Start the app by streamlit_app.py, which closes it.",
        ),
        Finding(
            "foreign origins",
            not shared,
            "may read answers" if shared else "may not read answers",
            "Leave server.enableCORS on.",
        ),
        Finding(
            "forged uploads",
            upload >= 300,
            f"an upload without its token is answered {upload}",
            "Leave server.enableXsrfProtection on.",
        ),
        Finding(
            "host names",
            other >= 300 or local,
            f"another name is answered {other}",
            f"Start the app with --server.allowedHosts={parts.hostname}.",
        ),
    ]


class _Stay(urllib.request.HTTPRedirectHandler):
    """An answer that leads elsewhere is an answer."""

    def redirect_request(self, *_: object) -> None:
        return None


def _ask(url: str, method: str = "GET", **headers: str) -> tuple[int, Message]:
    """Status and headers of an answer."""
    request = urllib.request.Request(url, method=method, headers=headers)
    try:
        with urllib.request.build_opener(_Stay).open(request, timeout=PATIENCE) as answer:
            return answer.status, answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.headers
    except (OSError, HTTPException) as error:
        raise UserError(f"{url} does not answer: {error}.", "Start the server, or correct the address.") from error
