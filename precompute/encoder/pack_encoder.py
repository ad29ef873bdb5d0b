"""An encoder copied into one folder that needs neither network nor cache."""

from __future__ import annotations

import shutil
from pathlib import Path

from explorer.errors import UserError
from explorer.model.hub import (
    CONFIG,
    TEXT_CONFIG,
    TOKENIZER,
    find_weights,
    locate,
    read_config,
    text_tower,
    tokenizer_folder,
)
from explorer.store.files import write_json


def copy_encoder(spec: str, out: Path) -> list[str]:
    """Copy config, weights, tokenizer and the text tower's own config of an encoder into ``out``.

    open_clip_config.json also takes down where the encoder came from, so that a store made with the folder says so.

    Parameters
    ----------
    spec : str
        As :func:`explorer.model.hub.locate` takes it.
    out : Path
        A folder that does not exist yet; it appears whole or not at all.

    Returns
    -------
    Names of the files in it.

    Raises
    ------
    UserError
        The folder is there already; or the encoder is not whole.
    """
    if out.exists():
        raise UserError(f"{out} is there already.", "Name a new folder.")
    place = locate(spec)
    config = read_config(place.folder)
    tower, words = text_tower(place.folder, config), tokenizer_folder(place.folder, config)
    files = [find_weights(place.folder)]
    files += [file for pattern in TOKENIZER for file in words.glob(pattern)] if words else []
    files += [tower / TEXT_CONFIG] if tower else []
    partial = out.with_name(f"{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for file in files:
        shutil.copyfile(file, partial / file.name)  # of a cache's link, what it points to
    write_json(partial / CONFIG, {**config, "title": place.title, "licence": place.licence, "source": place.source})
    partial.rename(out)
    return sorted(file.name for file in out.iterdir())
