"""BiomedCLIP's own path, without a network: its real config and tokenizer, random weights of its shapes.

Its image tower is at full size; its text tower has two of twelve layers, all of which are alike.

Scores of such a model mean nothing; what it embeds must be what open_clip embeds.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import explorer.model  # noqa: F401  (torchvision, which open_clip imports, can be imported after it)
from explorer.model.hub import BIOMEDBERT, BIOMEDCLIP, CONFIG, KNOWN, MODEL_CONFIG, WEIGHTS
from tests.conftest import ROOT, SHARED

import open_clip  # isort: skip

BERT = {
    "model_type": "bert",
    "architectures": ["BertModel"],
    "vocab_size": 30522,
    "hidden_size": 768,
    "num_hidden_layers": 2,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
}
"""PubMedBERT's shape, but for the number of layers."""


def write_biomedclip(real: Path, folder: Path, seed: int = 0) -> None:
    """Write a self-contained folder of BiomedCLIP's shape, 500 MB, from the real config and tokenizer in ``real``."""
    folder.mkdir(parents=True)
    for file in real.iterdir():
        shutil.copyfile(file, folder / file.name)
    (folder / MODEL_CONFIG).write_text(json.dumps(BERT))
    config = json.loads((folder / CONFIG).read_text())["model_cfg"]
    text_cfg = {**config["text_cfg"], "hf_model_name": str(folder), "hf_model_pretrained": False}
    # only the shapes are wanted: the towers' own initialisation takes longer than all the rest
    with torch.device("meta"):
        shapes = open_clip.CustomTextCLIP(config["embed_dim"], config["vision_cfg"], text_cfg).state_dict()
    dice = torch.Generator().manual_seed(seed)
    state = {}
    for name, like in shapes.items():
        if like.ndim > 1:
            state[name] = torch.randn(like.shape, generator=dice) * 0.02
        else:  # norms keep their scale, everything else starts at zero
            state[name] = torch.full(like.shape, float("norm" in name.lower() and name.endswith("weight")))
    state["logit_scale"] = torch.tensor(math.log(85.23))
    save_file(state, folder / WEIGHTS[0])


def fill_cache(home: Path, name: str, files: list[Path]) -> None:
    """What huggingface_hub leaves behind: blobs, a snapshot of links to them, and the branch's commit."""
    repository = home / f"hub/models--{name.replace('/', '--')}"
    snapshot = repository / "snapshots" / KNOWN[name].revision
    for folder in (repository / "blobs", repository / "refs", snapshot):
        folder.mkdir(parents=True)
    (repository / "refs/main").write_text(KNOWN[name].revision)
    for file in files:
        os.link(file, repository / "blobs" / file.name)
        (snapshot / file.name).symlink_to(f"../../blobs/{file.name}")


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder that carries its text tower's config, and a cache in which that lies in a repository of its own."""
    real = SHARED / "biomedclip"
    if not real.is_dir():
        pytest.skip("BiomedCLIP's config is not here: CXR_SHARED names no folder with biomedclip")
    work = tmp_path_factory.mktemp("biomedclip")
    write_biomedclip(real, work / "model")
    files = [file for file in (work / "model").iterdir() if file.name != MODEL_CONFIG]
    fill_cache(work / "home", BIOMEDCLIP, files)
    fill_cache(work / "home", BIOMEDBERT, [work / "model" / MODEL_CONFIG])
    return work / "model", work / "home"


EMBED = """
import json, socket, sys
asked = []
def refuse(*where, **more):
    asked.append(str(where))
    raise OSError("there is no network")
socket.socket.connect = socket.getaddrinfo = refuse

import numpy as np, torch
from PIL import Image
from explorer.model.encoder import load_clip
from explorer.model.saliency.grad_cam import explain
from explorer.model.saliency.tokens import read_tokens

films = [np.random.default_rng(i).integers(0, 256, (300, 260 + i), dtype=np.uint8) for i in range(2)]
for spec in sys.argv[1:]:
    clip = load_clip(spec, torch.device("cpu"))
    pixels = np.stack([clip.tower.fit.apply(Image.fromarray(film)) for film in films])
    images = clip.tower.embed(pixels, 2)
    texts = np.concatenate([clip.embed_text([text]) for text in ("edema", "no pleural effusion, " * 60)])
    cam = explain(clip.tower, read_tokens(clip.tower, pixels[0]), texts[:1], np.zeros(1, np.float32))
    print(json.dumps({
        "asked": asked, "source": clip.source, "licence": clip.licence, "scale": clip.logit_scale,
        "images": images.tolist(), "texts": texts.tolist(), "logit": float(cam.logits[0]), "cam": cam.maps.shape,
    }))
"""


def embed(home: Path, *specs: str) -> list[dict[str, object]]:
    """In a process that has no network, and says whom it would have asked."""
    done = subprocess.run(
        [sys.executable, "-c", EMBED, *specs],
        cwd=ROOT,
        env={**os.environ, "HF_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.timeout(900)  # three models of 500 MB: minutes where the processor is shared
def test_folder_and_filled_cache_embed_as_open_clip_does(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, home = places
    cached, local = embed(home, f"hf-hub:{BIOMEDCLIP}", f"local-dir:{folder}")
    assert cached["asked"] == local["asked"] == []
    assert cached["source"] == f"hf-hub:{BIOMEDCLIP}@{KNOWN[BIOMEDCLIP].revision}"
    assert (cached["licence"], local["source"]) == ("MIT", "local-dir:model")
    assert cached["scale"] == pytest.approx(85.23)
    assert cached["cam"][-2:] == [14, 14]  # type: ignore[index]
    for key in ("images", "texts"):
        ours = np.array(cached[key])
        assert ours.shape == (2, 512)
        np.testing.assert_array_equal(ours, np.array(local[key]))
        np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, rtol=1e-5)
        assert np.abs(ours[0] - ours[1]).max() > 1e-4
    assert cached["logit"] == pytest.approx(np.dot(cached["images"][0], cached["texts"][0]), abs=1e-4)  # type: ignore[index]

    from PIL import Image

    monkeypatch.chdir(folder)
    text_cfg = json.loads((folder / CONFIG).read_text())["model_cfg"]["text_cfg"]
    model, _, transform = open_clip.create_model_and_transforms(
        f"local-dir:{folder}",
        pretrained_hf=False,
        text_cfg={**text_cfg, "hf_model_name": str(folder), "hf_model_pretrained": False},
    )
    model.eval()
    films = [np.random.default_rng(i).integers(0, 256, (300, 260 + i), dtype=np.uint8) for i in range(2)]
    with torch.inference_mode():
        images = model.encode_image(torch.stack([transform(Image.fromarray(film)) for film in films]), normalize=True)
        tokens = open_clip.get_tokenizer(f"local-dir:{folder}")(["edema", "no pleural effusion, " * 60])
        texts = model.encode_text(tokens, normalize=True)
    assert tokens.shape == (2, 256)
    np.testing.assert_allclose(cached["images"], images.numpy(), atol=2e-5)
    np.testing.assert_allclose(cached["texts"], texts.numpy(), atol=2e-5)
