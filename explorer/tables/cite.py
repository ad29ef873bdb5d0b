"""How a figure of a run is cited: the run's identity, and BibTeX of what it rests on. No Streamlit here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from explorer.data.text import in_latex
from explorer.store import layout
from explorer.store.files import sha256_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from explorer.store.manifest import Manifest
    from explorer.store.reader import Store

PAPER = """@article{sadman2025,
  title = {Interpreting Biomedical {VLMs} on High-Imbalance Out-of-Distributions:
    An Insight into {BiomedCLIP} on Radiology},
  author = {Sadman, Nafiz and Zulkernine, Farhana and Kwan, Benjamin},
  journal = {arXiv preprint arXiv:2506.14136},
  year = {2025},
  eprint = {2506.14136},
  archiveprefix = {arXiv}
}"""
"""The paper whose comparison of regimes this project repeats."""

KNOWN = {
    "biomedclip": """@article{zhang2025biomedclip,
  title = {A Multimodal Biomedical Foundation Model Trained from Fifteen Million Image--Text Pairs},
  author = {Zhang, Sheng and Xu, Yanbo and Usuyama, Naoto and Xu, Hanwen and Bagga, Jaspreet and Tinn, Robert and
    Preston, Sam and Rao, Rajesh and Wei, Mu and Valluri, Naveen and Wong, Cliff and Tupini, Andrea and Wang, Yu and
    Mazzola, Matt and Shukla, Swadheen and Liden, Lars and Gao, Jianfeng and Crabtree, Angela and Piening, Brian and
    Bifulco, Carlo and Lungren, Matthew P. and Naumann, Tristan and Wang, Sheng and Poon, Hoifung},
  journal = {NEJM AI},
  volume = {2},
  number = {1},
  year = {2025},
  doi = {10.1056/AIoa2400640}
}""",
    "iu-xray": """@article{demnerfushman2016,
  title = {Preparing a Collection of Radiology Examinations for Distribution and Retrieval},
  author = {Demner-Fushman, Dina and Kohli, Marc D. and Rosenman, Marc B. and Shooshan, Sonya E. and
    Rodriguez, Laritza and Antani, Sameer and Thoma, George R. and McDonald, Clement J.},
  journal = {Journal of the American Medical Informatics Association},
  volume = {23},
  number = {2},
  pages = {304--310},
  year = {2016},
  doi = {10.1093/jamia/ocv080}
}""",
}
"""Papers of encoders and sets, by a word in the name that the store gives them."""


def hashes(store: Store) -> dict[str, str]:
    """What identifies a run: its id, its manifest's hash (which holds every file's), its set's and its encoders'."""
    manifest = store.manifest
    what = "vectors" if "weights" in manifest.never_had else "weights"
    encoders = {f"{what} of {record.title}": record.weights_sha256 for record in manifest.encoders}
    return {
        "run": manifest.run_id,
        "manifest, SHA-256": sha256_file(store.path / layout.MANIFEST),
        "set": manifest.dataset.fingerprint,
        **encoders,
    }


def bibtex(manifest: Manifest) -> str:
    """Entries for the paper, the frozen encoder, the set and this software.

    An encoder or a set without a paper of its own here is described as the store records it.
    """
    what = "Vectors" if "weights" in manifest.never_had else "Weights"
    encoder, dataset, version = manifest.encoders[0], manifest.dataset, manifest.versions.get("explorer", "")
    entries = [
        PAPER,
        _known(f"{encoder.title} {encoder.source}")
        or _entry(
            *("misc", encoder.title),
            {
                "title": encoder.title,
                "howpublished": encoder.source,
                "note": f"Licence: {encoder.licence}. {what}, SHA-256: {encoder.weights_sha256}",
            },
        ),
        _known(dataset.name)
        or _entry(
            *("misc", dataset.name),
            {
                "title": dataset.name,
                "howpublished": dataset.source,
                "note": f"Licence: {dataset.licence}. Fingerprint: {dataset.fingerprint}",
            },
        ),
        _entry(
            *("software", "cxr embedding explorer"),
            {
                "title": "CXR Embedding Explorer",
                "author": "{The CXR Embedding Explorer authors}",
                "version": version,
                "note": f"Run {manifest.run_id}, {manifest.created}",
            },
        ),
    ]
    return "\n\n".join(entries) + "\n"


def _known(name: str) -> str | None:
    return next((entry for word, entry in KNOWN.items() if word in name.lower()), None)


def _entry(kind: str, key: str, fields: Mapping[str, str]) -> str:
    """An entry whose fields are texts; the author's own braces keep a body of people whole."""
    lines = [f"  {name} = {{{text if name == 'author' else in_latex(text)}}}" for name, text in fields.items() if text]
    return "\n".join([f"@{kind}{{{_key(key)},", ",\n".join(lines), "}"])


def _key(name: str) -> str:
    """
    Examples
    --------
    >>> _key("Phantom-CLIP (demo)"), _key("漢字")
    ('phantom-clip-demo', 'source')
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "source"
