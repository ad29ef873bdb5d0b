"""The card of a published store: what it is, how it was made, under which licences, and how to open it."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from explorer.data.samples import SPLITS
from explorer.data.text import in_markdown
from explorer.store import layout
from explorer.store.manifest import Manifest, Part
from explorer.store.reader import Store
from precompute.run.summary import as_markdown, as_table

_LACKS: dict[Part, str] = {
    "pixels": "films and thumbnails: pages show blanks in their place, and no map can be laid over a film",
    "reports": "reports, and the words of reports that describe clusters",
    "weights": "the weights of the image towers: no new Grad-CAM map, no upload, no sentence of your own",
}


def card(store: Store, manifest: Manifest) -> str:
    """The card as Markdown.

    Parameters
    ----------
    store : Store
        The run that is published: its figures.
    manifest : Manifest
        The copy's own manifest.
    """
    sections = (
        ("Counts", counts(store)),
        ("Figures", as_markdown(as_table(store))),
        ("How it was made", _origin(manifest)),
        ("Left out", _left_out(manifest)),
        ("Licences", _licences(manifest)),
        ("How to open it", _OPEN.format(samples=layout.SAMPLES)),
    )
    body = "\n\n".join(f"## {title}\n\n{text}" for title, text in sections)
    return f"{_front(manifest)}\n\n{_what(manifest)}\n\n{body}\n"


def _front(manifest: Manifest) -> str:
    """The head that hubs of data sets read; JSON strings are YAML strings, too."""
    return "\n".join(
        (
            "---",
            f"pretty_name: {json.dumps(manifest.title)}",
            "license: other",
            f"license_name: {json.dumps(manifest.dataset.licence or 'not recorded')}",
            'tags: ["chest radiographs", "embeddings", "multi-label classification"]',
            "---",
        )
    )


def _what(manifest: Manifest) -> str:
    regimes = ", ".join(regime.title.lower() for regime in manifest.regimes)
    return "\n\n".join(
        (
            f"# {plain_text(manifest.title)}",
            "**Research use only. Not a medical device.**",
            f"A store of CXR Embedding Explorer: {manifest.n:,} chest radiographs with {len(manifest.labels)} labels, "
            f"as a vision-language model sees them. Regimes compared: {regimes}. It holds embeddings, logits, "
            "thresholds, neighbour indexes, maps and every figure with its interval and its trivial baseline.",
        )
    )


def counts(store: Store) -> str:
    parts = {split: store.rows(split) for split in SPLITS}
    patients = store.samples["patient_id"].to_numpy()
    splits = [(split, f"{len(rows):,}", f"{len(np.unique(patients[rows])):,}") for split, rows in parts.items()]
    labels = []
    for label, column in zip(store.labels, store.targets.T, strict=True):
        known = (column == 1, column == 0, np.isnan(column))
        labels.append((plain_text(label), *(f"{int(kind.sum()):,}" for kind in known)))
    return "\n\n".join(
        (
            table(("split", "films", "patients"), splits),
            f"Labels, over all {store.n:,} films; unknown never counts as negative:",
            table(("label", "positive", "negative", "unknown"), labels),
        )
    )


def _origin(manifest: Manifest) -> str:
    dataset, publication = manifest.dataset, manifest.publication
    facts = {
        "run": manifest.run_id,
        "made": manifest.created,
        "data set": dataset.name,
        "labels": dataset.label_origin,
        "split": dataset.split_origin,
        "films read and left out": f"{dataset.n_read:,} and {dataset.n_skipped:,}",
        "protocol": manifest.protocol,
        "seed": manifest.seed,
        "device": manifest.device,
        **{f"encoder {record.id}": f"{record.title} ({record.source})" for record in manifest.encoders},
        **{f"weights of {record.id}, SHA-256": record.weights_sha256 for record in manifest.encoders},
        "software": ", ".join(f"{name} {version}" for name, version in manifest.versions.items()),
    }
    if publication is not None:
        facts["manifest of the run that was published, SHA-256"] = publication.manifest_sha256
    return table(("what", ""), [(name, plain_text(fact)) for name, fact in facts.items()])


def _left_out(manifest: Manifest) -> str:
    lacks = [text for part, text in _LACKS.items() if manifest.leaves_out(part)]
    return "\n".join(f"- {text}" for text in lacks) or "Nothing of the run."


def _licences(manifest: Manifest) -> str:
    licences = [(manifest.dataset.name, manifest.dataset.licence), *((e.title, e.licence) for e in manifest.encoders)]
    rows = [(plain_text(name), plain_text(licence or "not recorded")) for name, licence in licences]
    return table(("of", "licence"), rows) + "\n\nWhoever passes this store on has to keep to them."


_OPEN = """Unpack a ZIP file into a folder of its own: `unzip STORE.zip -d STORE`. Then, where CXR Embedding Explorer is
installed:

    EXPLORER_STORE=STORE streamlit run streamlit_app.py
    python -m precompute verify STORE       # every hash, shape and norm
    python -m precompute summary STORE      # the figures above

Without it, `cd STORE && sha256sum -c SHA256SUMS` checks every file. Arrays are NumPy files and tables are Parquet. The
first axis of an array is the row order of `{samples}`."""


def plain_text(text: object) -> str:
    """Data in the card, to be copied from it: without the invisible joiner that pages need against links."""
    return in_markdown(text, None).replace("\u2060", "")


def table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, ("---",) * len(heads), *rows))
