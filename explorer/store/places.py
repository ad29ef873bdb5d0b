"""The stores that this server opens, and what each is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from explorer.environment import is_remote, local_root, store_addresses
from explorer.errors import UserError
from explorer.store.manifest import read_manifest
from explorer.store.runs import latest_run, list_runs


@dataclass(frozen=True)
class Place:
    """Where a store is.

    Attributes
    ----------
    name : its folder's or file's, with the folder around it where another store has the same; no two are alike
    address : as the host names it; the path of a store in a folder of several
    """

    name: str
    address: str


@dataclass(frozen=True)
class Summary:
    """What a store is, from the manifest of the run that it opens.

    Attributes
    ----------
    made : when, as the manifest has it
    bytes : of that run's files
    """

    title: str
    made: str
    films: int
    labels: int
    runs: int
    bytes: int


def places() -> list[Place]:
    """The stores that the host names, in its order; those of a folder of stores by name.

    Raises
    ------
    UserError
        Where the host names a file, or a user or variable that there is not.
    """
    addresses: list[str] = []
    for address in store_addresses():
        addresses += [address] if is_remote(address) else map(str, _stores_in(local_root(address)))
    named: dict[str, Place] = {}
    for address in dict.fromkeys(addresses):
        alike = [other for other in addresses if other != address and _last(other, 1) == _last(address, 1)]
        name = _last(address, 2 if alike else 1)
        copies = sum(taken.startswith(name) for taken in named)
        name = f"{name} {copies + 1}" if name in named else name
        named[name] = Place(name, address)
    return list(named.values())


def _stores_in(root: Path) -> list[Path]:
    """The folder itself; where it holds no run but folders with runs, those."""
    if list_runs(root) or not root.is_dir():
        return [root]
    return sorted(child for child in root.iterdir() if child.is_dir() and list_runs(child)) or [root]


def _last(address: str, parts: int) -> str:
    """The last parts of an address, without the ending of a ZIP file and what a signed one has after ``?``."""
    whole = PurePosixPath(address.partition("?")[0] if is_remote(address) else Path(address).resolve().as_posix())
    return " ".join(whole.with_suffix("").parts[-parts:] if whole.suffix == ".zip" else whole.parts[-parts:])


def summary(root: Path) -> Summary:
    """What a store is.

    Raises
    ------
    UserError
        Where it has no complete run, or the run that it opens is damaged.
    """
    runs = list_runs(root)
    run = latest_run(root)
    if run is None:
        raise UserError("It has no complete run yet.", "Wait for the batch job, or start it again.")
    manifest = read_manifest(root / run)
    n_bytes = sum(artefact.bytes for artefact in manifest.artefacts.values())
    return Summary(manifest.title, manifest.created, manifest.n, len(manifest.labels), len(runs), n_bytes)
