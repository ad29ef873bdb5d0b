"""Encoders: a model loaded whole for precompute, and its image tower alone for the store and Grad-CAM."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import open_clip
import timm
import torch
from open_clip.model import _build_vision_tower  # the only way to build one tower without the other
from open_clip.tokenizer import HFTokenizer
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, field_validator
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from explorer.data import tower_files
from explorer.data.geometry import RESIZE_MODES, Decode, Fit
from explorer.errors import UserError
from explorer.model.hub import LOCAL, find_weights, locate, read_config, text_tower, tokenizer_folder
from explorer.model.trunk import Parts, TimmTower, check_model_args, check_numbers, read_timm

if TYPE_CHECKING:
    from numpy.typing import NDArray

_UNFIT = (
    *(RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError, ArithmeticError),
    *(OSError, EOFError, SafetensorError, UnpicklingError),
)
"""What open_clip, transformers and torch raise for a config, tokenizer or weights that do not belong together."""
_MOST = {"image_size": 1024, "width": 4096, "layers": 256}
"""The largest figures of a tower's config; any other number is at most ``_MOST_ANY``."""
_MOST_ANY = 2**15
SAME = 1e-4
"""How far a renamed model may be from its library's own on one input, relative to its length; rounding: 1e-6."""

Precision = Literal["float32", "bfloat16"]
"""What an encoder multiplies in. Weights are kept, trained and saved in float32 whatever it is."""

Report = Callable[[int, int], None]
"""Told (done, total) as work goes on."""


_Spread = Annotated[FiniteFloat, Field(gt=0)]


class _NothingDrawn(TorchFunctionMode):
    """A model built within it gets no random weights, which take longer to draw than the real ones to read.

    Only for a model whose every weight is read next: until then it holds whatever was in memory.
    """

    DRAWS = (torch.Tensor.uniform_, torch.Tensor.normal_, torch.Tensor.erfinv_)
    """What the initialisations of torch, timm, open_clip and transformers draw and shape weights by."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return args[0] if func in self.DRAWS else func(*args, **(kwargs or {}))


class PrecisionCheck(BaseModel):
    """Embeddings in bfloat16 beside those in float32, on a sample of a set's films.

    Attributes
    ----------
    films : int
    cosine : float
        The least between a film's two embeddings.
    moved : float
        How far the ranking of films moves, by what ``by`` names.
    by : str
        ``average precision``: the change of its mean over labels, for scores that rise along the way from the mean of a
        label's negative films to that of its positive ones. ``rank correlation``: 1 less the least Spearman correlation
        of positions along the principal axes, where labels are too few.
    """

    model_config = ConfigDict(frozen=True)

    films: Annotated[int, Field(ge=1)]
    cosine: FiniteFloat
    moved: FiniteFloat
    by: Literal["average precision", "rank correlation"]

    @property
    def words(self) -> str:
        """What was measured, in words."""
        moved = {"average precision": "average precision moves by", "rank correlation": "rank correlation falls by"}
        return (
            f"on {self.films:,} of the films the least cosine to float32 is {self.cosine:.5f}, "
            f"and {moved[self.by]} {self.moved:.4f}"
        )


class TowerConfig(BaseModel):
    """All that is needed to build an image tower and feed it, as the store keeps it."""

    model_config = ConfigDict(frozen=True)

    embed_dim: Annotated[int, Field(ge=1, le=_MOST_ANY)]
    vision_cfg: dict[str, Any]
    quick_gelu: bool
    fit: Fit
    mean: tuple[FiniteFloat, FiniteFloat, FiniteFloat]
    std: tuple[_Spread, _Spread, _Spread]
    precision: Precision = Field(default="float32", exclude_if=lambda precision: precision == "float32")
    precision_check: PrecisionCheck | None = Field(default=None, exclude_if=lambda check: check is None)

    @field_validator("vision_cfg")
    @classmethod
    def _is_modest(cls, vision_cfg: dict[str, Any]) -> dict[str, Any]:
        """A config of a stranger's store asks for no file, no network and no more than a model may take."""
        name = vision_cfg.get("timm_model_name")
        if name and not (isinstance(name, str) and timm.is_model(name)):  # timm would fetch "hf-hub:..."
            raise ValueError(f"timm has no model {str(name)[:80]!r}")
        check_model_args(vision_cfg.get("model_args", {}))
        check_numbers({key: value for key, value in vision_cfg.items() if key != "model_args"}, _MOST, _MOST_ANY)
        return vision_cfg

    def build(self, device: str) -> nn.Module:
        """The tower with weights of no meaning; on the device ``meta`` it takes no memory."""
        with torch.device(device), _NothingDrawn():
            if "model_args" in self.vision_cfg:
                projection = self.embed_dim if self.vision_cfg["timm_proj"] == "linear" else None
                return TimmTower(self.vision_cfg["timm_model_name"], self.vision_cfg["model_args"], projection)
            vision_cfg = {**self.vision_cfg, "timm_model_pretrained": False}
            visual: nn.Module = _build_vision_tower(self.embed_dim, vision_cfg, self.quick_gelu)
        return visual


class ImageTower:
    """An image model, or the image half of a CLIP model, with its preprocessing.

    Parameters
    ----------
    visual : nn.Module
        open_clip's image tower, or a :class:`TimmTower`: (B, 3, S, S) normalised pixels to (B, D) projected,
        unnormalised embeddings.
    config : TowerConfig
    device : torch.device
    unit : bool
        Whether embeddings are brought to unit norm; a head that reads the projection as it comes wants False.
    """

    def __init__(self, visual: nn.Module, config: TowerConfig, device: torch.device, unit: bool = True) -> None:
        self.visual = visual.to(device).eval()
        if getattr(visual, "output_tokens", False):  # a CoCa's tower: the tokens are its decoder's
            self.visual.output_tokens = False  # type: ignore[assignment]
        self.config = config
        self.device = device
        self.unit = unit
        self._mean = torch.tensor(config.mean, device=device).view(1, 3, 1, 1)
        self._std = torch.tensor(config.std, device=device).view(1, 3, 1, 1)

    @property
    def fit(self) -> Fit:
        return self.config.fit

    @property
    def dtype(self) -> torch.dtype:
        """Of the inputs of :attr:`network`."""
        return torch.bfloat16 if self.config.precision == "bfloat16" else torch.float32

    @property
    def dim(self) -> int:
        return self.config.embed_dim

    def at(self, precision: Precision, check: PrecisionCheck | None = None) -> ImageTower:
        """A tower over the same weights, as they now are, that runs in a precision; ``check`` is kept in its config."""
        config = self.config.model_copy(update={"precision": precision, "precision_check": check})
        return ImageTower(self.visual, config, self.device, self.unit)

    def decoding(self, decode: Decode) -> ImageTower:
        """The same tower, whose films are decoded so (:class:`explorer.data.geometry.Fit`)."""
        fit = self.fit.model_copy(update={"decode": decode})
        return ImageTower(self.visual, self.config.model_copy(update={"fit": fit}), self.device, self.unit)

    @cached_property
    def network(self) -> nn.Module:
        """What films run through. In bfloat16 it is a copy of the weights as they are when it is first asked for, so
        that a tower under training is to be asked at float32.
        """
        if self.config.precision == "float32":
            return self.visual
        return copy.deepcopy(self.visual).requires_grad_(False).to(torch.bfloat16)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(B, 3, S, S) normalised pixels to (B, D) float32 embeddings by :attr:`network`, of unit norm if ``unit``."""
        projected: torch.Tensor = self.network(inputs.to(self.dtype)).float()
        return functional.normalize(projected, dim=-1) if self.unit else projected

    def normalise(self, pixels: torch.Tensor) -> torch.Tensor:
        """(B, S, S) grey pixels in 0..255 to the (B, 3, S, S) input the tower was trained on."""
        grey = pixels.to(self.device, torch.float32)[:, None] / 255
        return (grey - self._mean) / self._std

    def unnormalised(self) -> ImageTower:
        """The same tower, giving projections as they come."""
        return ImageTower(self.visual, self.config, self.device, unit=False)

    @torch.inference_mode()
    def embed(self, pixels: NDArray[np.uint8], batch_size: int, report: Report | None = None) -> NDArray[np.float32]:
        """Embed films, in the config's precision.

        Parameters
        ----------
        pixels : (N, S, S) uint8
            As :meth:`Fit.apply` gives them; may be memory-mapped.

        Returns
        -------
        (N, D) float32, of unit norm if ``unit``
        """
        out = np.empty((len(pixels), self.dim), dtype=np.float32)
        for start in range(0, len(pixels), batch_size):
            batch = torch.from_numpy(np.array(pixels[start : start + batch_size]))
            out[start : start + len(batch)] = self.forward(self.normalise(batch)).cpu().numpy()
            if report:
                report(start + len(batch), len(pixels))
        return out

    def save(self, folder: Path) -> None:
        """Write the config and the weights, as new files: another run may hold a link to the old ones."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in (tower_files.CONFIG, tower_files.WEIGHTS):
            (folder / name).unlink(missing_ok=True)
        (folder / tower_files.CONFIG).write_text(self.config.model_dump_json(indent=2) + "\n", encoding="utf-8")
        state = {name: tensor.contiguous().cpu() for name, tensor in self.visual.state_dict().items()}
        save_file(state, folder / tower_files.WEIGHTS)

    @classmethod
    def load(cls, folder: Path, device: torch.device | None = None) -> ImageTower:
        """Load a tower that :meth:`save` wrote.

        Raises
        ------
        UserError
            Whatever the files hold: where they are no tower of a known family, or one is not made for the other.
        """
        file, weights = folder / tower_files.CONFIG, folder / tower_files.WEIGHTS
        fix = "Copy the run again, or run precompute again."
        try:
            config = TowerConfig.model_validate_json(file.read_bytes())
            expected = {name: list(tensor.shape) for name, tensor in config.build("meta").state_dict().items()}
        except _UNFIT as error:
            raise UserError(f"{file} cannot be read: {error}", fix) from error
        try:
            with safe_open(weights, framework="pt") as tensors:  # before memory is taken for a model of other shapes
                if expected != {name: tensors.get_slice(name).get_shape() for name in tensors.keys()}:  # noqa: SIM118
                    raise ValueError(f"it is not of the model in {file.name}")
            visual = config.build("cpu")
            visual.load_state_dict(load_file(weights))
            tower = cls(visual, config, device or torch.device("cpu"))
            tower.embed(np.zeros((1, config.fit.size, config.fit.size), np.uint8), 1)
        except _UNFIT as error:
            raise UserError(f"{weights} cannot be loaded: {error}", fix) from error
        return tower


@dataclass(frozen=True)
class Encoder:
    """A model as precompute uses it; one that reads text, too, is a :class:`Clip`.

    Attributes
    ----------
    tower : ImageTower
    source : str
        Where it came from, with the revision for a hub model.
    licence : str
        What its folder says, or "not stated".
    weights : Path
        The file of its weights.
    """

    tower: ImageTower
    source: str
    title: str
    licence: str
    weights: Path


@dataclass(frozen=True)
class Clip(Encoder):
    """A whole CLIP model.

    Attributes
    ----------
    model : nn.Module
        open_clip's model, or transformers' text half: with ``encode_text`` and ``logit_scale``.
    tokenizer : callable
        Texts to (T, L) token ids.
    """

    model: nn.Module
    tokenizer: Callable[[Sequence[str]], torch.Tensor]

    @property
    def logit_scale(self) -> float:
        """The trained temperature s of cosine similarities."""
        return float(self.model.logit_scale.detach().exp())  # type: ignore[operator]

    def at(self, precision: Precision) -> Clip:
        """The same model, run in another precision."""
        return replace(self, tower=self.tower.at(precision))

    @torch.inference_mode()
    def embed_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(T, D) unit-norm embeddings of T texts, in the tower's precision."""
        tokens = self.tokenizer(list(texts)).to(self.tower.device)
        pad = getattr(getattr(getattr(self.model, "text", None), "config", None), "pad_token_id", None)
        if pad is not None:  # a transformers tower masks padding: a prompt of ten words need not cost all 256 tokens
            tokens = tokens[:, : int((tokens != pad).any(dim=0).nonzero().max()) + 1]
        lower = self.tower.config.precision == "bfloat16"
        with torch.autocast(self.tower.device.type, torch.bfloat16, enabled=lower):
            embedded: torch.Tensor = self.model.encode_text(tokens)  # type: ignore[operator]
        return functional.normalize(embedded.float(), dim=-1).cpu().numpy()


def load_encoder(
    spec: str, device: torch.device, fit: Literal["crop", "pad"] | None = None, *, fetch: bool = True
) -> Encoder:
    """Load a model from a folder or the hub's cache, with its own preprocessing; never with random weights.

    Parameters
    ----------
    spec : str
        As :func:`explorer.model.hub.locate` takes it.
    fit : "crop" or "pad", optional
        Cut the film's middle square out, or pad the film to a square, whatever the model's config says.
    fetch : bool
        Whether the hub may be asked for what its cache lacks.

    Returns
    -------
    Clip
        Where the model has a text tower.
    Encoder
        Where it has none.

    Raises
    ------
    UserError
        Unknown spelling, no such folder, no weights, weights that do not fit, no network.
    """
    place = locate(spec, fetch)
    weights = find_weights(place.folder)
    model: nn.Module | None
    try:
        if place.layout == "open_clip":
            model, tokenizer, tower = _open_clip(place.folder, device, fit, fetch)
        elif place.layout == "timm":
            model, tokenizer, tower = None, None, _built(read_timm(place.folder), device, fit)
        else:
            from explorer.model.from_transformers import read_transformers  # takes a second that others need not wait

            parts, model, tokenizer = read_transformers(place.folder)
            tower = _built(parts, device, fit)
    except _UNFIT as error:
        raise UserError(
            f"The encoder {spec} cannot be loaded: {error}",
            "Check that config, weights, text tower config (config.json) and tokenizer belong together.",
        ) from error
    about = (tower, place.source, place.title, place.licence, weights)
    if model is None or tokenizer is None:
        return Encoder(*about)
    return Clip(*about, model.to(device).eval(), tokenizer)


def load_clip(
    spec: str, device: torch.device, fit: Literal["crop", "pad"] | None = None, *, fetch: bool = True
) -> Clip:
    """As :func:`load_encoder`, of a model that reads text.

    Raises
    ------
    UserError
        As there; or the model has no text tower.
    """
    encoder = load_encoder(spec, device, fit, fetch=fetch)
    if not isinstance(encoder, Clip):
        raise UserError(f"The encoder {spec} has no text tower.", "Use a CLIP model (docs/encoders.md).")
    return encoder


def _open_clip(
    folder: Path, device: torch.device, fit: Literal["crop", "pad"] | None, fetch: bool
) -> tuple[nn.Module, Callable[[Sequence[str]], torch.Tensor], ImageTower]:
    """A folder in open_clip's layout."""
    config = read_config(folder)
    text_cfg = dict(config["model_cfg"].get("text_cfg", {}))
    tower, words = text_tower(folder, config, fetch), tokenizer_folder(folder, config, fetch)
    if tower:
        text_cfg |= {"hf_model_pretrained": False, "hf_model_name": str(tower)}
    with _NothingDrawn():
        model = open_clip.create_model(
            f"{LOCAL}{folder}", device=device, require_pretrained=True, pretrained_hf=False, text_cfg=text_cfg
        )
    tokenizer = _tokenizer(folder, words, text_cfg)
    return model, tokenizer, ImageTower(model.visual, _tower_config(config, model.visual, fit), device)


def _built(parts: Parts, device: torch.device, fit: Literal["crop", "pad"] | None) -> ImageTower:
    """The tower of a folder in timm's or transformers' layout."""
    config = TowerConfig(
        embed_dim=parts.embed_dim,
        vision_cfg=parts.vision_cfg,
        quick_gelu=False,
        fit=parts.fit.model_copy(update={"resize_mode": RESIZE_MODES[fit], "resize_to": None}) if fit else parts.fit,
        mean=parts.mean,
        std=parts.std,
    )
    visual = config.build("cpu").eval()
    visual.load_state_dict(parts.state)
    if parts.sample:
        inputs, theirs = parts.sample
        with torch.inference_mode():
            apart = float((visual(inputs) - theirs).norm() / theirs.norm())
        if not apart < SAME:
            raise ValueError(f"its embedding comes out {apart:.1%} from that of its own library")
    return ImageTower(visual, config, device)


def untrained_clip(folder: Path) -> nn.Module:
    """A model of the folder's config with random weights, to be trained. Nothing else may start from random weights."""
    config = read_config(folder)["model_cfg"]
    text_cfg = {**config["text_cfg"], "hf_model_name": str(folder.resolve()), "hf_model_pretrained": False}
    model: nn.Module = open_clip.CustomTextCLIP(config["embed_dim"], config["vision_cfg"], text_cfg)
    return model


def _tokenizer(folder: Path, words: Path | None, text_cfg: dict[str, Any]) -> Callable[[Sequence[str]], torch.Tensor]:
    """As ``open_clip.get_tokenizer`` makes it of a folder, but from where the tokenizer's files lie."""
    if words is None:
        own: Callable[[Sequence[str]], torch.Tensor] = open_clip.get_tokenizer(f"{LOCAL}{folder}")
        return own
    settings = {key: text_cfg[key] for key in ("context_length", "tokenizer_mode") if key in text_cfg}
    theirs: Callable[[Sequence[str]], torch.Tensor] = HFTokenizer(
        str(words), **settings, **text_cfg.get("tokenizer_kwargs", {})
    )
    return theirs


def _tower_config(config: dict[str, Any], visual: nn.Module, fit: Literal["crop", "pad"] | None) -> TowerConfig:
    """Preprocessing comes from the model's own config, as open_clip resolved it; never from a default of ours."""
    preprocess: dict[str, Any] = visual.preprocess_cfg  # type: ignore[assignment]
    size, mode = preprocess["size"], RESIZE_MODES[fit] if fit else preprocess["resize_mode"]
    sides = {size} if isinstance(size, int) else set(size)
    if len(sides) != 1 or (mode == "longest" and preprocess["fill_color"] != 0):
        raise UserError(
            f"The encoder's preprocessing is not supported: size {size}, resize mode {mode}, "
            f"fill {preprocess['fill_color']}.",
            "Use an encoder with a square input that pads, if at all, with black.",
        )
    return TowerConfig(
        embed_dim=config["model_cfg"]["embed_dim"],
        vision_cfg=config["model_cfg"]["vision_cfg"],
        quick_gelu=config["model_cfg"].get("quick_gelu", False),
        fit=Fit(size=sides.pop(), interpolation=preprocess["interpolation"], resize_mode=mode),
        mean=preprocess["mean"],
        std=preprocess["std"],
    )
