"""Pretraining of the demo encoder: a scale model of BiomedCLIP on source-domain phantoms and their captions.

Losses share one image tower and one text tower:

- *region*: which findings' true regions cover each patch token; *label*: which findings the CLS token has. Both
  are scored by the text tower's prompt pairs and by plain linear heads that are thrown away afterwards. The pairs are
  region-phrase alignment as in GLIP (Li et al., CVPR 2022) and BioViL (Boecking et al., ECCV 2022). Contrast alone
  leaves a small ViT at chance, and prompt pairs alone are slow to start; the linear heads make it learn.
- *caption*: CLIP's symmetric contrast (Radford et al., ICML 2021) of film and caption, once features are there.

A random part of the patch tokens is dropped in training (FLIP, Li et al., CVPR 2023), which halves the cost.
Zero-shot use afterwards needs none of this: the result is an open_clip folder like any other.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from pydantic import RootModel
from safetensors.torch import save_file
from sklearn.metrics import roc_auc_score
from tokenizers import BertWordPieceTokenizer
from torch import nn
from torch.nn import functional
from transformers import BertConfig, BertTokenizer

from explorer.data.geometry import Fit
from explorer.errors import UserError
from explorer.model.encoder import Clip, load_clip, untrained_clip
from explorer.model.head import prompt_head
from explorer.model.hub import CONFIG, LOCAL, WEIGHTS
from explorer.store import checked
from explorer.store.files import atomic_path, sha256_json, write_array, write_json, write_text
from precompute.phantom import LABELS, FilmSpec, plan, render
from precompute.prompts import DEFAULT_PROMPTS, read_prompts, words
from precompute.training.checkpoint import load_checkpoint, save_checkpoint
from precompute.training.zero_shot import embed_prompts

if TYPE_CHECKING:
    from numpy.typing import NDArray

FINDINGS = LABELS[1:]
"""The labels with a region: all but No Finding."""

MEAN = (0.45, 0.45, 0.45)
STD = (0.27, 0.27, 0.27)
GRID = 14
SIZE = 224
COVERED = 0.06
"""Share of a patch a finding must cover for the patch to count as showing it: a wire or a rib step covers no more."""


@dataclass(frozen=True)
class PretrainSettings:
    """Everything that decides the result."""

    n_train: int = 8000
    n_val: int = 600
    epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 5e-4
    weight_decay: float = 0.05
    keep: float = 0.35
    unmasked_from: float = 0.94  # share of training after which no patch is dropped, as FLIP tunes at the end
    region_weight: float = 1.5
    caption_weight: float = 0.5
    caption_from: float = 0.4  # share of training after which captions join
    embed_dim: int = 256
    vocab_size: int = 1200
    seed: int = 0


@dataclass(frozen=True)
class PretrainingFilms:
    """Films at the model's pixels.

    Attributes
    ----------
    pixels : (N, S, S) uint8
    regions : (N, F, g, g) uint8
        Share of each patch a finding covers, 255 for all of it.
    targets : (N, C) float32
        True findings, 1 or 0.
    captions : N sentences
    """

    pixels: NDArray[np.uint8]
    regions: NDArray[np.uint8]
    targets: NDArray[np.float32]
    captions: list[str]


class _Captions(RootModel[list[str]]):
    """``captions.json``."""


def draw_pretraining_films(folder: Path, specs: list[FilmSpec], report: Callable[[int, int], None]) -> PretrainingFilms:
    """Render films straight to the model's pixels, or open them where they were rendered before."""
    done = folder / "captions.json"
    if not done.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.empty((len(specs), SIZE, SIZE), np.uint8)
        regions = np.empty((len(specs), len(FINDINGS), GRID, GRID), np.uint8)
        targets = np.empty((len(specs), len(LABELS)), np.float32)
        captions = []
        with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
            for i, (film, region, target, caption) in enumerate(pool.map(_draw, specs, chunksize=16)):
                pixels[i], regions[i], targets[i] = film, region, target
                captions.append(caption)
                report(i + 1, len(specs))
        write_array(folder / "pixels.npy", pixels)
        write_array(folder / "regions.npy", regions)
        write_array(folder / "targets.npy", targets)
        write_json(done, captions)
    n = len(specs)
    try:
        return PretrainingFilms(
            pixels=checked.map_array(folder / "pixels.npy", "uint8", (n, SIZE, SIZE)),
            regions=checked.map_array(folder / "regions.npy", "uint8", (n, len(FINDINGS), GRID, GRID)),
            targets=np.array(checked.map_array(folder / "targets.npy", "float32", (n, len(LABELS)))),
            captions=checked.parse_json(done.read_bytes(), _Captions).root,
        )
    except (checked.Damaged, OSError) as error:
        raise UserError(
            f"The pretraining films in {folder} cannot be read: {error}.", "Delete that folder: they are drawn again."
        ) from error


def _draw(spec: FilmSpec) -> tuple[NDArray[np.uint8], NDArray[np.uint8], list[float], str]:
    film = render(spec)
    fit = Fit(size=SIZE)
    pixels = fit.apply(Image.fromarray(film.image))
    regions = np.zeros((len(FINDINGS), GRID, GRID), np.uint8)
    patch = SIZE // GRID
    for k, name in enumerate(FINDINGS):
        if name in film.masks:
            mask = fit.apply(Image.fromarray(film.masks[name].astype(np.uint8) * 255)).astype(np.float32)
            regions[k] = mask.reshape(GRID, patch, GRID, patch).mean(axis=(1, 3)).round()
    return pixels, regions, [float(film.findings[label]) for label in LABELS], film.caption


def write_untrained(folder: Path, captions: list[str], settings: PretrainSettings) -> None:
    """Write the open_clip folder's config and tokenizer: BiomedCLIP's own shape, made small."""
    folder.mkdir(parents=True, exist_ok=True)
    trainer = BertWordPieceTokenizer(lowercase=True)
    prompts = read_prompts(DEFAULT_PROMPTS, LABELS).labels
    sentences = [text for label in LABELS for text in (*prompts[label].positive, *prompts[label].negative)]
    trainer.train_from_iterator(
        captions + sentences * 50, vocab_size=settings.vocab_size, min_frequency=5, show_progress=False
    )
    trainer.save_model(str(folder))
    tokenizer = BertTokenizer(vocab=str(folder / "vocab.txt"), do_lower_case=True)
    tokenizer.save_pretrained(folder)
    context = 96
    bert = BertConfig(
        vocab_size=trainer.get_vocab_size(),
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=256,
        max_position_embeddings=context,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    write_text(folder / "config.json", bert.to_json_string())
    write_json(
        folder / CONFIG,
        {
            "title": "Phantom-CLIP (demo)",
            "licence": "MIT",
            "model_cfg": {
                "embed_dim": settings.embed_dim,
                "vision_cfg": {
                    "timm_model_name": "vit_tiny_patch16_224",
                    "timm_model_pretrained": False,
                    "timm_pool": "",
                    "timm_proj": "linear",
                    "image_size": SIZE,
                },
                "text_cfg": {
                    "hf_model_name": ".",
                    "hf_tokenizer_name": ".",
                    "hf_proj_type": "mlp",
                    "hf_pooler_type": "cls_last_hidden_state_pooler",
                    "context_length": context,
                },
            },
            "preprocess_cfg": {"mean": MEAN, "std": STD},
        },
    )


def write_weights(folder: Path, model: torch.nn.Module) -> None:
    """Write the model's weights in half precision where open_clip looks for them."""
    state = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    half = {name: (t.half() if t.is_floating_point() else t).contiguous() for name, t in state.items()}
    with atomic_path(folder / WEIGHTS[0]) as temp:
        save_file(half, temp, metadata={"format": "pt"})


def pretrain_encoder(
    out: Path, work: Path, settings: PretrainSettings, device: torch.device, report: Callable[[str, int, int], None]
) -> dict[str, Any]:
    """Draw the films, train, and write the open_clip folder ``out`` with its figures. Resumes from ``work``.

    Parameters
    ----------
    out : Path
        The encoder's folder: config, tokenizer, fp16 weights, pretraining.json.
    work : Path
        Films and checkpoint; may be deleted afterwards.
    report : callable
        Told (what, done, total).

    Returns
    -------
    dict
        Settings, training curve and held-out figures, as written to pretraining.json.
    """
    key = sha256_json(asdict(settings))[:10]
    seed = settings.seed
    specs = {
        "train": plan(settings.n_train, "source", seed),
        "val": plan(settings.n_val, "source", seed + 1),
        "target": plan(settings.n_val, "target", seed + 2),
    }
    films = {
        name: draw_pretraining_films(work / f"{name}-{len(planned)}-{seed}", planned, partial(report, name))
        for name, planned in specs.items()
    }
    torch.manual_seed(settings.seed)
    write_untrained(out, films["train"].captions, settings)
    write_weights(out, untrained_clip(out))
    clip = load_clip(f"{LOCAL}{out}", device)  # from here on the very path that loads BiomedCLIP
    model = clip.model.train()
    visual: Any = model.visual
    trained = nn.ModuleDict({"clip": model, "heads": _Heads(visual.trunk.num_features, films["train"].regions)}).to(
        device
    )
    steps_per_epoch = settings.n_train // settings.batch_size
    total_steps = steps_per_epoch * settings.epochs
    decay = [p for p in trained.parameters() if p.ndim >= 2]
    rest = [p for p in trained.parameters() if p.ndim < 2]
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": settings.weight_decay}, {"params": rest, "weight_decay": 0.0}],
        betas=(0.9, 0.98),
        fused=True,
    )
    checkpoint = work / f"checkpoint-{key}.safetensors"
    curve: list[dict[str, float]] = []
    if checkpoint.is_file():
        curve = load_checkpoint(checkpoint, trained, optimizer)["curve"]  # type: ignore[assignment]
    for epoch in range(len(curve), settings.epochs):
        model.train()
        losses = []
        for i, batch in enumerate(_batches(films["train"], settings, epoch)):
            step = epoch * steps_per_epoch + i
            keep = settings.keep if step < settings.unmasked_from * total_steps else 1.0
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * _schedule(step, total_steps)
            caption_weight = settings.caption_weight * (step >= settings.caption_from * total_steps)
            with torch.autocast(device.type, torch.bfloat16):
                loss, parts = _loss(clip, trained["heads"], batch, settings, keep, caption_weight)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(trained.parameters(), 1.0)
            optimizer.step()
            with torch.no_grad():
                model.logit_scale.clamp_(0, math.log(100))  # type: ignore[operator]
            losses.append(parts)
            report(f"epoch {epoch + 1}/{settings.epochs}", i + 1, steps_per_epoch)
        model.eval()
        figures = {name: float(np.mean([p[name] for p in losses])) for name in losses[0]}
        figures["val_auroc"] = zero_shot_auroc(clip, films["val"])["macro"]
        curve.append({"epoch": epoch + 1, **figures})
        save_checkpoint(checkpoint, trained, optimizer, {"curve": curve})
        report(json.dumps(curve[-1]), epoch + 1, settings.epochs)
    write_weights(out, model)
    final = load_clip(f"{LOCAL}{out}", device)  # figures of the half-precision weights as written
    record = {
        "settings": asdict(settings),
        "curve": curve,
        "zero_shot_auroc": {name: zero_shot_auroc(final, films[name]) for name in ("val", "target")},
        "n": {name: len(split_films.captions) for name, split_films in films.items()},
        "positives": {
            name: dict(zip(LABELS, split_films.targets.sum(axis=0).astype(int).tolist(), strict=True))
            for name, split_films in films.items()
        },
    }
    write_json(out / "pretraining.json", record)
    return record


def zero_shot_auroc(clip: Clip, films: PretrainingFilms) -> dict[str, float]:
    """Zero-shot AUROC with the default prompts against the true findings: macro, and by label that has both classes."""
    head = prompt_head(*embed_prompts(clip, read_prompts(DEFAULT_PROMPTS, LABELS).labels), clip.logit_scale)
    logits = head.logits(clip.tower.embed(films.pixels, batch_size=64))
    scores = {
        label: float(roc_auc_score(films.targets[:, c], logits[:, c]))
        for c, label in enumerate(LABELS)
        if 0 < films.targets[:, c].sum() < len(films.targets)
    }
    return {"macro": float(np.mean(list(scores.values()))), **scores}


def _schedule(step: int, total: int) -> float:
    """Linear warm-up over the first 5%, then cosine to 0."""
    warm = 0.05 * total
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / (total - warm)))


def _batches(films: PretrainingFilms, settings: PretrainSettings, epoch: int) -> Iterator[dict[str, Any]]:
    """Shuffled batches, each film shifted by up to a patch and with its exposure varied."""
    rng = np.random.default_rng([settings.seed, epoch])
    order = rng.permutation(len(films.captions))
    size = settings.batch_size
    patch = SIZE // GRID
    for start in range(0, len(order) - size + 1, size):
        rows = np.sort(order[start : start + size])
        pixels = np.array(films.pixels[rows]).astype(np.float32)
        regions = np.array(films.regions[rows])
        for k in range(size):
            down, right = rng.integers(-1, 2, size=2)
            pixels[k] = np.roll(pixels[k], (down * patch, right * patch), (0, 1))
            regions[k] = np.roll(regions[k], (down, right), (1, 2))
        gain = rng.uniform(0.8, 1.2, (size, 1, 1)).astype(np.float32)
        lift = rng.uniform(-20, 20, (size, 1, 1)).astype(np.float32)
        pixels = np.clip((pixels - 128) * gain + 128 + lift, 0, 255)
        yield {
            "pixels": torch.from_numpy(pixels),
            "regions": torch.from_numpy((regions >= COVERED * 255).astype(np.float32)),
            "targets": torch.from_numpy(films.targets[rows]),
            "captions": [films.captions[i] for i in rows],
            "phrase": int(rng.integers(len(PHRASES))),
            "shuffled": torch.from_numpy(rng.random((size, GRID * GRID)).argsort(axis=1)),
        }


class _Heads(nn.Module):
    """Linear heads that exist in training only; the prompt pairs borrow their biases, which carry the base rates.

    ``rarity`` (F,) weighs a covered patch by the root of its odds against. A broken rib covers one patch in a thousand:
    without a weight its loss would drown in that of a large heart.
    """

    rarity: torch.Tensor

    def __init__(self, width: int, regions: NDArray[np.uint8]) -> None:
        super().__init__()
        share = (regions >= COVERED * 255).mean(axis=(0, 2, 3))
        weight = np.sqrt((1 - share) / np.maximum(share, 1e-9)).clip(4, 25)
        self.register_buffer("rarity", torch.from_numpy(weight.astype(np.float32)))
        self.region = nn.Linear(width, len(FINDINGS))
        self.label = nn.Linear(width, len(LABELS))
        nn.init.constant_(self.region.bias, -3.0)
        nn.init.constant_(self.label.bias, -2.0)


PHRASES = (
    ("{}", "no {}"),
    ("there is {}", "there is no {}"),
    ("chest radiograph showing {}", "chest radiograph showing no {}"),
    ("findings of {}", "no evidence of {}"),
)
NORMAL = (
    ("no acute findings", "abnormal findings"),
    ("normal chest radiograph", "abnormal chest radiograph"),
    ("no abnormality", "there is an abnormality"),
    ("clear lungs and normal heart", "abnormal study"),
)


def _loss(
    clip: Clip, heads: Any, batch: dict[str, Any], settings: PretrainSettings, keep: float, caption_weight: float
) -> tuple[torch.Tensor, dict[str, float]]:
    visual: Any = clip.model.visual
    trunk = visual.trunk
    device = clip.tower.device
    inputs = clip.tower.normalise(batch["pixels"])
    tokens = trunk._pos_embed(trunk.patch_embed(inputs))  # (B, 1 + g*g, width)
    places = batch["shuffled"][:, : round(keep * GRID * GRID)].to(device)  # (B, k)
    kept = tokens[:, 1:].gather(1, places[..., None].expand(-1, -1, tokens.shape[-1]))
    tokens = trunk.norm(trunk.blocks(torch.cat([tokens[:, :1], kept], dim=1)))
    embedded = functional.normalize(visual.head(tokens).float(), dim=-1)  # (B, 1 + k, D)
    cls, patches = embedded[:, 0], embedded[:, 1:]

    positive, negative = PHRASES[batch["phrase"]]
    normal, abnormal = NORMAL[batch["phrase"]]
    texts = [normal, *(positive.format(words(f)) for f in FINDINGS)]
    texts += [abnormal, *(negative.format(words(f)) for f in FINDINGS)]
    if caption_weight:
        texts += batch["captions"]
    ids = clip.tokenizer(texts).to(device)
    ids = ids[:, : int((ids != 0).sum(dim=1).max())]  # no need to carry the padding (token 0) through the text tower
    text = functional.normalize(clip.model.encode_text(ids).float(), dim=-1)  # type: ignore[operator]
    scale = clip.model.logit_scale.exp()  # type: ignore[operator]
    direction = text[: len(LABELS)] - text[len(LABELS) : 2 * len(LABELS)]  # (C, D)

    everywhere = batch["regions"].to(device).flatten(2).transpose(1, 2)  # (B, g*g, F)
    covered = everywhere.gather(1, places[..., None].expand(-1, -1, len(FINDINGS)))
    dropped = everywhere.amax(dim=1) > covered.amax(dim=1)  # (B, F): the film shows it, the kept patches do not
    visible = functional.pad((~dropped).float(), (1, 0), value=1.0)  # the loss leaves out what dropping hid
    targets = batch["targets"].to(device)
    label = functional.binary_cross_entropy_with_logits(scale * cls @ direction.T + heads.label.bias, targets, visible)
    label_head = functional.binary_cross_entropy_with_logits(heads.label(tokens[:, 0]).float(), targets, visible)
    region = functional.binary_cross_entropy_with_logits(
        scale * patches @ direction[1:].T + heads.region.bias, covered, pos_weight=heads.rarity
    )
    region_head = functional.binary_cross_entropy_with_logits(
        heads.region(tokens[:, 1:]).float(), covered, pos_weight=heads.rarity
    )
    loss = label + label_head + settings.region_weight * (region / 2 + region_head)
    parts = {"label_loss": label.item(), "region_loss": region.item(), "region_head_loss": region_head.item()}
    if caption_weight:
        similarity = scale * cls @ text[2 * len(LABELS) :].T  # (B, B)
        pairs = torch.arange(len(similarity), device=device)
        caption = (functional.cross_entropy(similarity, pairs) + functional.cross_entropy(similarity.T, pairs)) / 2
        loss = loss + caption_weight * caption
        parts["caption_loss"] = caption.item()
    return loss, parts
