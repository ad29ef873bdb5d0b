"""A published copy goes to a bucket or a hub. Its list of hashes goes last: without it, nothing opens the copy."""

from __future__ import annotations

from pathlib import Path

from explorer.errors import UserError
from explorer.store import layout
from explorer.store.remote import Source, is_zip
from precompute.reporter import Reporter, Stages

UPLOAD: Stages = {"upload": ("files", 2)}

_HUB = "hf://"


def refuse_taken(source: Source) -> None:
    """Stop where a store or a file is at the address already.

    Raises
    ------
    UserError
        Where one is, or the address cannot be reached.
    """
    marker = (
        source.path if is_zip(source.address) else f"{source.path.rstrip('/')}/{layout.checksums_file(Path()).name}"
    )
    with source.reading():
        taken = source.files.exists(marker)
    if taken:
        raise UserError(f"{source.address} exists already.", "Name a new folder or file, or delete the old one.")


def upload(copy: Path, source: Source, reporter: Reporter) -> None:
    """Put a published copy, a folder or a ZIP file, at an address.

    Raises
    ------
    UserError
        Where it cannot be written there.
    """
    listed = layout.checksums_file(Path()).name
    names = sorted(path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file())
    with reporter.stage("upload") as report, source.reading():
        if source.address.startswith(_HUB):
            _to_hub(copy, source, listed)
            return
        if copy.is_file():
            source.files.put_file(str(copy), source.path)
            report(1, 1)
            return
        for done, name in enumerate([*(name for name in names if name != listed), listed], 1):
            source.files.put_file(str(copy / name), f"{source.path.rstrip('/')}/{name}")
            report(done, len(names))


def _to_hub(copy: Path, source: Source, listed: str) -> None:
    """In two commits, one of them the list of hashes; a data set that is made for it is private."""
    from huggingface_hub import HfApi

    kind, *parts = source.path.strip("/").split("/")
    if kind != "datasets" or len(parts) < 2:
        raise UserError(f"{source.address} names no data set.", "Write hf://datasets/OWNER/NAME.")
    repository, inside = "/".join(parts[:2]), "/".join(parts[2:])
    api = HfApi()
    api.create_repo(repository, repo_type="dataset", private=True, exist_ok=True)
    if copy.is_file():
        api.upload_file(path_or_fileobj=copy, path_in_repo=inside, repo_id=repository, repo_type="dataset")
        return
    api.upload_folder(
        folder_path=copy, path_in_repo=inside, repo_id=repository, repo_type="dataset", ignore_patterns=[listed]
    )
    name = f"{inside}/{listed}".lstrip("/")
    api.upload_file(path_or_fileobj=copy / listed, path_in_repo=name, repo_id=repository, repo_type="dataset")
