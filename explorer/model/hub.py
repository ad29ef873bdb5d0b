"""Where an encoder comes from: a folder, or huggingface_hub's cache at a revision that stays what it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, NamedTuple

import open_clip
import timm
from huggingface_hub import hf_hub_download, snapshot_download
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

from explorer.environment import expanded
from explorer.errors import UserError

CONFIG = "open_clip_config.json"
WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin")
"""In open_clip's own order of preference, so that the file hashed is the file loaded."""
MODEL_CONFIG = "config.json"
"""Of a model in timm's or transformers' layout; in open_clip's layout, the text tower's own."""
MODEL_WEIGHTS = "model.safetensors"
PROCESSOR = "preprocessor_config.json"
TRANSFORMERS = ("clip", "siglip", "dinov2", "dinov2_with_registers")
"""Models of transformers that are read, by the ``model_type`` of their config."""
TOKENIZER = ("tokenizer*", "special_tokens_map.json", "vocab*", "merges.txt", "*.model")
LOCAL, HUB, OPEN_CLIP, TIMM = "local-dir:", "hf-hub:", "open-clip:", "timm:"
SPELLING = "Write local-dir:DIR, hf-hub:NAME[@REVISION], open-clip:MODEL/TAG or timm:NAME."

Layout = Literal["open_clip", "timm", "transformers"]
"""By whose rules a folder's files are named and read."""


class Known(NamedTuple):
    """A hub model of which this is known: the revision taken where none is named, and its licence."""

    revision: str
    licence: str


BIOMEDCLIP = "microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224"
BIOMEDBERT = "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract"
"""The text tower that BiomedCLIP's config names."""
KNOWN = {
    BIOMEDCLIP: Known("9f341de24bfb00180f1b847274256e9b65a3a32e", "MIT"),
    BIOMEDBERT: Known("d673b8835373c6fa116d6d8006b33d48734e305d", "MIT"),
}


class Place(NamedTuple):
    """An encoder's folder on this machine.

    Attributes
    ----------
    folder : Path
        With config, weights and, of a model that reads text, tokenizer.
    layout : Layout
    source : str
        How the store names it: a hub model with its revision, or a folder without the place it lies in.
    title, licence : str
        As the folder's config says, else as the hub names it.
    """

    folder: Path
    layout: Layout
    source: str
    title: str
    licence: str


def locate(spec: str, fetch: bool = True) -> Place:
    """Find an encoder, and with ``fetch`` bring it into the hub's cache where it is not there yet.

    Parameters
    ----------
    spec : str
        ``local-dir:DIR``; ``hf-hub:NAME[@REVISION]``; ``open-clip:MODEL/TAG``, one of open_clip's pretrained models
        by the names of ``open_clip.list_pretrained()``; or ``timm:NAME``, one of ``timm.list_pretrained()``.

    Raises
    ------
    UserError
        Unknown spelling, no such folder or model, or neither cache nor network.
    """
    if spec.startswith(LOCAL):
        folder = expanded(spec.removeprefix(LOCAL), LOCAL)
        # the place it lies in is nobody's business
        name = folder.resolve().name
        return _place(folder, f"{LOCAL}{name}", name, "not stated")
    if spec.startswith(OPEN_CLIP):
        name, revision = _pretrained(spec), ""
    elif spec.startswith(TIMM):
        name, revision = _of_timm(spec), ""
    elif spec.startswith(HUB):
        name, _, revision = spec.removeprefix(HUB).partition("@")
    else:
        raise UserError(f"{spec!r} is not an encoder.", SPELLING)
    known = KNOWN.get(name)
    folder = _from_hub(spec, name, revision or (known.revision if known else None), fetch)
    place = _place(folder, "", name, known.licence if known else "not stated")
    return place._replace(source=f"{HUB}{name}@{folder.name}")


def _place(folder: Path, source: str, title: str, licence: str) -> Place:
    """A folder, with what its config says of it in place of what is given."""
    layout = layout_of(folder)
    config = read_config(folder) if layout == "open_clip" else read_model_config(folder)
    if layout == "timm":
        licence = (config.get("pretrained_cfg") or config).get("license") or licence
    stated = (
        str(config.get(key, other)) for key, other in (("source", source), ("title", title), ("licence", licence))
    )
    return Place(folder, layout, *stated)


def layout_of(folder: Path) -> Layout:
    """The layout of an encoder's folder, by the config that it has.

    Raises
    ------
    UserError
        Where it has none, or is of a model that cannot be read.
    """
    if (folder / CONFIG).is_file():
        return "open_clip"
    if not (folder / MODEL_CONFIG).is_file():
        raise UserError(
            f"The encoder folder {folder} has no {CONFIG}, nor the {MODEL_CONFIG} of timm or transformers.",
            "Name a folder in the layout of one of them.",
        )
    config = read_model_config(folder)
    if "architecture" in config:
        return "timm"
    if config.get("model_type") not in TRANSFORMERS:
        raise UserError(
            f"The encoder folder {folder} has no {CONFIG}, and its {MODEL_CONFIG} is of a model that is no encoder "
            f"here: {str(config.get('model_type'))[:80]!r}.",
            f"Of transformers' models these are read: {', '.join(TRANSFORMERS)}. Another one can be brought into "
            "open_clip's or timm's layout.",
        )
    return "transformers"


def read_model_config(folder: Path) -> dict[str, Any]:
    """The folder's config.json."""
    file = folder / MODEL_CONFIG
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file} cannot be read: {error}", "Copy the model's config again.") from error
    if not isinstance(config, dict) or not isinstance(config.get("pretrained_cfg", {}), dict):
        raise UserError(f"{file} is not a model's config.", "Copy the model's config again.")
    return config


def read_config(folder: Path) -> dict[str, Any]:
    """The folder's open_clip_config.json."""
    file = folder / CONFIG
    if not file.is_file():
        raise UserError(f"The encoder folder {folder} has no {CONFIG}.", "Name a folder in open_clip's layout.")
    try:
        config: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        config["model_cfg"]["vision_cfg"], config["model_cfg"]["embed_dim"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{file} is not an open_clip config: {error!r}", "Copy the model's config again.") from error
    return config


def find_weights(folder: Path) -> Path:
    """The file of weights that is loaded; it decides which encoder a store was made with."""
    names = WEIGHTS if layout_of(folder) == "open_clip" else (MODEL_WEIGHTS,)
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise UserError(
        f"The encoder folder {folder} has no weights ({' or '.join(names)}).",
        "Copy the model's weights into it; an encoder with random weights is never used.",
    )


def text_tower(folder: Path, config: dict[str, Any], fetch: bool = True) -> Path | None:
    """The folder of the text tower's own config, or None where open_clip's config says all.

    open_clip would read a relative name from the working directory, and ask the hub for any other. A folder with the
    file in it works anywhere, and without a network.
    """
    return _beside(folder, config, "hf_model_name", (MODEL_CONFIG,), fetch)


def tokenizer_folder(folder: Path, config: dict[str, Any], fetch: bool = True) -> Path | None:
    """The folder of the tokenizer's files, or None where it is open_clip's own.

    They lie in the encoder's folder, but for a cache that open_clip filled: it fetches them with the text tower's.
    """
    return _beside(folder, config, "hf_tokenizer_name", TOKENIZER, fetch)


def _beside(folder: Path, config: dict[str, Any], key: str, wanted: tuple[str, ...], fetch: bool) -> Path | None:
    """The folder with ``wanted``: the encoder's own, else that of the model which ``key`` of the text tower names."""
    name = config["model_cfg"].get("text_cfg", {}).get(key)
    if not name:
        return None
    if _holds(folder, wanted):
        return folder.resolve()
    if Path(name).is_dir():
        return Path(name)
    try:
        other = _snapshot(name, KNOWN[name].revision if name in KNOWN else None, wanted, fetch)
    except (HfHubHTTPError, EntryNotFoundError, OSError, ValueError) as error:
        raise UserError(
            f"{folder} has no {wanted[0]}, and that of its text tower {name} is neither in the hub's cache nor to be "
            f"fetched: {error}",
            "Make the folder whole on a connected machine: python -m precompute pack-encoder SPEC --out DIR.",
        ) from error
    if not _holds(other, wanted):
        raise UserError(f"Neither {folder} nor {name} has {wanted[0]}.", "Copy the model again.")
    return other


def _pretrained(spec: str) -> str:
    """The hub's name of one of open_clip's pretrained models."""
    model, _, tag = spec.removeprefix(OPEN_CLIP).partition("/")
    # a name ends in a slash where the repository is in open_clip's layout; any other names a file of weights alone,
    # which do not say how a film is to be prepared
    name = str((open_clip.get_pretrained_cfg(model, tag) or {}).get("hf_hub", ""))
    if not name.endswith("/"):
        raise UserError(
            f"open_clip has no model {model!r} with weights {tag!r} in its own layout.",
            'See python -c "import open_clip; print(open_clip.list_pretrained())".',
        )
    return name.removesuffix("/")


def _of_timm(spec: str) -> str:
    """The hub's name of one of timm's pretrained models."""
    name = spec.removeprefix(TIMM)
    try:
        pretrained = timm.get_pretrained_cfg(name)
    except RuntimeError:  # the model is known, the tag is not
        pretrained = None
    if pretrained is None or not pretrained.hf_hub_id:
        raise UserError(
            f"timm has no weights for a model {name!r} on the hub.",
            'See python -c "import timm; print(timm.list_pretrained())".',
        )
    return str(pretrained.hf_hub_id)


def _from_hub(spec: str, name: str, revision: str | None, fetch: bool) -> Path:
    """An encoder's snapshot in the hub's cache, fetched where it is not whole; the hub's bars tell how far it is."""
    try:
        weights = (*WEIGHTS, MODEL_WEIGHTS)
        folder = _snapshot(name, revision, weights, fetch, (CONFIG, MODEL_CONFIG, PROCESSOR, *TOKENIZER))
        for file in weights:
            if not fetch or _holds(folder, weights):
                break
            try:
                hf_hub_download(name, file, revision=folder.name)
            except EntryNotFoundError as error:
                missing = error
        else:
            raise missing
    except (HfHubHTTPError, EntryNotFoundError, OSError, ValueError) as error:
        raise UserError(
            f"The encoder {spec} is neither in the hub's cache nor to be fetched"
            f"{f' at its revision {revision}' if revision else ''}: {error}",
            "Connect once to fill the cache, or copy the model into a folder and name it local-dir:DIR.",
        ) from error
    return folder


def _snapshot(
    name: str, revision: str | None, wanted: tuple[str, ...], fetch: bool, patterns: tuple[str, ...] = ()
) -> Path:
    """A snapshot of a repository in the cache. ``patterns``, else ``wanted``, are fetched.

    A commit that is in the cache with any of ``wanted`` is taken from there without asking: it cannot have changed.
    """
    ask = list(patterns or wanted)
    if revision and len(revision) == 40:
        try:
            folder = Path(snapshot_download(name, revision=revision, allow_patterns=ask, local_files_only=True))
            if _holds(folder, wanted):
                return folder
        except LocalEntryNotFoundError:
            pass
    return Path(snapshot_download(name, revision=revision, allow_patterns=ask, local_files_only=not fetch))


def _holds(folder: Path, wanted: tuple[str, ...]) -> bool:
    return any(next(folder.glob(pattern), None) for pattern in wanted)
