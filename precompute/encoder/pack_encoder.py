"""An encoder copied into one folder that needs neither network nor cache."""

from __future__ import annotations

import shutil
from pathlib import Path

from explorer.errors import UserError
from explorer.model.hub import (
    CONFIG,
    MODEL_CONFIG,
    PROCESSOR,
    TOKENIZER,
    find_weights,
    locate,
    read_config,
    read_model_config,
    text_tower,
    tokenizer_folder,
)
from explorer.store.files import write_json


def copy_encoder(spec: str, out: Path) -> list[str]:
    """Copy config, weights, tokenizer and the text tower's own config of an encoder into ``out``.

    The model's config also takes down where the encoder came from, so that a store made with the folder says so.

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
    folder, files = place.folder, [find_weights(place.folder)]
    if place.layout == "open_clip":
        name, config = CONFIG, read_config(folder)
        tower, words = text_tower(folder, config), tokenizer_folder(folder, config)
        files += [tower / MODEL_CONFIG] if tower else []
    else:
        name, config, words = MODEL_CONFIG, read_model_config(folder), folder
        files += folder.glob(PROCESSOR)
    files += [file for pattern in TOKENIZER for file in words.glob(pattern)] if words else []
    partial = out.with_name(f"{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for file in files:
        shutil.copyfile(file, partial / file.name)  # of a cache's link, what it points to
    write_json(partial / name, {**config, "title": place.title, "licence": place.licence, "source": place.source})
    partial.rename(out)
    return sorted(file.name for file in out.iterdir())
