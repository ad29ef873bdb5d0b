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
PROXY = (
    "refuse framing (Content-Security-Policy: frame-ancestors 'none')",
    "send X-Content-Type-Options: nosniff and Referrer-Policy: no-referrer, for an address names films",
    "answer /_stcore/metrics with 404",
    "speak HTTPS, and ask who the visitor is",
)
"""What Streamlit does not do itself; docs/hosting.md has a configuration that does."""


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
            RESULTS.print(f"A server for others stands behind a proxy that must {'; '.join(PROXY)}.", soft_wrap=True)
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
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(f"{url!r} is no address of a server.", "Give one such as https://explorer.example.org.")
    status, headers = _get(url)
    metrics, _ = _get(f"{url}/_stcore/metrics")
    framing = headers.get("X-Frame-Options", "").upper() in ("DENY", "SAMEORIGIN") or "frame-ancestors" in headers.get(
        "Content-Security-Policy", ""
    )
    local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    sniffing = headers.get("X-Content-Type-Options", "").lower() == "nosniff"
    return [
        Finding("server", status in (200, 401, 403), f"{url} answers {status}", "Start it, or correct the address."),
        Finding("HTTPS", parts.scheme == "https" or local, parts.scheme, "Let the proxy speak HTTPS."),
        Finding(
            "framing", framing, "refused" if framing else "any page may frame this one", f"The proxy must {PROXY[0]}."
        ),
        Finding(
            "headers",
            sniffing and "Referrer-Policy" in headers,
            "nosniff and a referrer policy" if sniffing and "Referrer-Policy" in headers else "incomplete",
            f"The proxy must {PROXY[1]}.",
        ),
        Finding(
            "metrics",
            metrics in (401, 403, 404),
            f"/_stcore/metrics answers {metrics}",
            f"The proxy must {PROXY[2]}.",
        ),
    ]


def _get(url: str) -> tuple[int, Message]:
    """Status and headers of an answer."""
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            return answer.status, answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.headers
    except (OSError, HTTPException) as error:
        raise UserError(f"{url} does not answer: {error}.", "Start the server, or correct the address.") from error
