"""Zero-shot: a head from prompts, no label seen."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from explorer.model.head import prompt_head
from explorer.store import layout
from explorer.store.files import write_array, write_json
from explorer.store.manifest import FROZEN
from precompute.reporter import ReportProgress
from precompute.run.imported import ImportedText
from precompute.run.recipe import Fitted, Recipe
from precompute.run.run import Run
from precompute.training.zero_shot import embed_prompts, sentences


class ZeroShot(Recipe):
    """A head from every prompt set, so that the explorer can switch among them; the first is the regime's own."""

    name = "zero_shot"
    title = "Zero-shot"
    kind = "zero-shot"
    summary = "the frozen encoder with a head from prompts; sees no label"
    stage = "zero-shot head"
    reads_text = True
    in_paper = True

    def inputs(self, run: Run) -> dict[str, object]:
        if run.job.imported is not None:
            return {"text": run.job.imported.identity["text"], "labels": run.labels}
        prompts = run.job.identity["prompts"]
        precision = run.hashes(layout.encoder_files(FROZEN).config)
        return {"weights": run.job.weights_sha256, "labels": run.labels, "prompts": prompts, **precision}

    def fit(self, run: Run, seed: int, work: Path, report: ReportProgress) -> Fitted:
        if run.job.imported is not None:
            text = _text(run)
            return Fitted(prompt_head(text.vectors[0], text.vectors[1], text.scale), {"logit_scale": text.scale})
        clip, prompt_sets = run.job.clip.at(run.frozen_config.precision), run.job.prompt_sets
        heads, paths = [], []
        for i, prompt_set in enumerate(prompt_sets):
            heads.append(prompt_head(*embed_prompts(clip, prompt_set.labels), clip.logit_scale))
            files = layout.prompt_files(prompt_set.name)
            heads[-1].save(run.path / files.head)
            write_json(run.path / files.prompts, asdict(prompt_set))
            paths += [files.head, files.prompts]
            report(i + 1, len(prompt_sets))
        texts = sentences(prompt_sets)
        write_json(run.path / layout.TEXTS, {"texts": texts})
        write_array(run.path / layout.TEXT_VECTORS, clip.embed_text(texts))
        training = {**asdict(prompt_sets[0]), "logit_scale": clip.logit_scale}
        return Fitted(heads[0], training, files=(*paths, layout.TEXTS, layout.TEXT_VECTORS))

    def words(self, run: Run) -> str:
        if run.job.imported is not None:
            text = _text(run)
            return f"text vectors made elsewhere, of {text.file}, at scale {text.scale:g}; no label seen"
        return f"prompts: {run.job.prompt_sets[0].title}; no label seen"


def _text(run: Run) -> ImportedText:
    """The text vectors of an import, which makes zero-shot only of them."""
    assert run.job.imported is not None
    assert run.job.imported.text is not None
    return run.job.imported.text


RECIPE = ZeroShot()
