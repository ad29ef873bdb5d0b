"""Sentences for reports (as radiologists write) and captions (as journals print)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from precompute.phantom.findings import Sign
from precompute.phantom.labels import LABELS

GRADES = (("mild", "small", "minimal"), ("moderate", "moderate"), ("severe", "large", "marked"))

PHRASES: dict[str, tuple[str, ...]] = {
    "Enlarged Cardiomediastinum": (
        "{grade} widening of the upper mediastinum",
        "widened mediastinum with a prominent aorta",
        "{grade} enlargement of the cardiomediastinal silhouette",
    ),
    "Cardiomegaly": (
        "{grade} cardiomegaly",
        "{grade} enlargement of the heart",
        "enlarged cardiac silhouette",
    ),
    "Lung Opacity": (
        "{grade} hazy opacity in the {side} lung",
        "vague ground-glass opacity on the {side}",
        "ill-defined {side} lung opacity",
    ),
    "Lung Lesion": ("{side} pulmonary nodule", "round mass in the {side} lung", "{grade} {side} lung lesion"),
    "Edema": (
        "{grade} pulmonary edema with perihilar haze",
        "bat-wing perihilar opacities with Kerley B lines",
        "{grade} interstitial edema and vascular congestion",
    ),
    "Consolidation": (
        "{side} lobar consolidation with air bronchograms",
        "dense {side} airspace consolidation",
        "{grade} consolidation of the {side} lung",
    ),
    "Pneumonia": (
        "patchy {side} infiltrates consistent with pneumonia",
        "{side} pneumonia",
        "{grade} {side} bronchopneumonia",
    ),
    "Atelectasis": (
        "{side} basilar plate-like atelectasis",
        "{grade} {side} atelectasis with volume loss",
        "linear {side} atelectasis and a raised hemidiaphragm",
    ),
    "Pneumothorax": (
        "{grade} {side} pneumothorax",
        "{side} apical pneumothorax with a visible pleural line",
        "collapsed {side} lung with pleural air",
    ),
    "Pleural Effusion": (
        "{grade} {side} pleural effusion",
        "blunting of the {side} costophrenic angle by pleural fluid",
        "{side} pleural fluid with a meniscus",
    ),
    "Pleural Other": ("{side} pleural thickening", "{side} apical pleural cap", "{side} pleural plaque"),
    "Fracture": (
        "{side} rib fracture",
        "displaced {side} rib fractures",
        "{side} rib deformity from a fracture",
    ),
    "Support Devices": ("a {kind} in place", "{kind} projecting over the chest", "indwelling {kind}"),
}
"""Words for a finding that is present; ``side``, ``grade`` and ``kind`` come from its sign."""

NORMAL: tuple[str, ...] = (
    "No acute cardiopulmonary abnormality.",
    "Normal chest.",
    "The lungs are clear. Heart size is normal.",
    "No active disease.",
    "Heart and mediastinum are within normal limits; the lungs are clear.",
)

ABSENT: dict[str, str] = {
    "Cardiomegaly": "heart size is normal",
    "Pneumothorax": "no pneumothorax",
    "Pleural Effusion": "no pleural effusion",
    "Consolidation": "no focal consolidation",
    "Edema": "no pulmonary edema",
    "Fracture": "the bony thorax is intact",
}

KINDS = {
    "pacemaker": "pacemaker with leads",
    "central line": "central venous catheter",
    "tubes": "endotracheal tube",
    "sternal wires": "row of sternal wires",
    "ECG leads": "set of ECG leads",
}


def phrase(sign: Sign, rng: np.random.Generator, vague: bool = False) -> str:
    """One finding in words, without capital or full stop."""
    grade = str(rng.choice(GRADES[min(int(sign.severity * 3), 2)]))
    side = "bilateral" if sign.side == "both" else sign.side
    kind = " and ".join(KINDS.get(kind, kind) for kind in sign.kind.split("+"))
    if vague:
        return f"possible {sign.label.lower()}"
    if sign.label == "Pleural Other":
        word = {"cap": "apical pleural cap", "plaque": "calcified pleural plaques"}.get(sign.kind, "pleural thickening")
        return f"{side} {word}"
    return str(rng.choice(PHRASES[sign.label])).format(grade=grade, side=side, kind=kind)


def sentence(text: str) -> str:
    """Capital first, one full stop."""
    return text[:1].upper() + text[1:].rstrip(".") + "."


def report(labels: Mapping[str, int | None], signs: Sequence[Sign], rng: np.random.Generator) -> str:
    """One sentence for every recorded finding, hedged where the record is uncertain, then what is absent.

    Parameters
    ----------
    labels : recorded labels: 1, 0, -1 or None
    signs : what was drawn; a recorded finding that was not drawn gets a plain sentence
    rng : picks the words
    """
    sign_by_label = {sign.label: sign for sign in signs}
    lines = []
    for label in LABELS[1:]:
        if labels[label] in (1, -1):
            sign = sign_by_label.get(label) or Sign(label, 0.4, str(rng.choice(["left", "right"])), 0, "central line")
            lines.append(sentence(phrase(sign, rng, vague=labels[label] == -1)))
    if labels["No Finding"] == 1 or not lines:
        lines.append(str(rng.choice(NORMAL)))
    absent = [text for label, text in ABSENT.items() if labels[label] == 0 and rng.random() < 0.3]
    return " ".join([*lines, *(sentence(text) for text in absent)])


def caption(signs: Sequence[Sign], view: str, rng: np.random.Generator) -> str:
    """A figure caption of the true findings, in one of several styles, sometimes with what is absent."""
    film = (
        "lateral chest radiograph"
        if view == "lateral"
        else str(
            rng.choice(["chest radiograph", "frontal chest x-ray", "posteroanterior chest radiograph", "chest film"])
        )
    )
    words = [phrase(sign, rng) for sign in signs]
    if not [sign for sign in signs if sign.label != "Support Devices"]:
        words.append(str(rng.choice(["no acute abnormality", "clear lungs and a normal heart", "normal findings"])))
    order = [words[i] for i in rng.permutation(len(words))]
    listed = order[0] if len(order) == 1 else ", ".join(order[:-1]) + " and " + order[-1]
    age, who = rng.integers(24, 88), rng.choice(["man", "woman"])
    style = int(rng.integers(5))
    text = (
        f"{film} showing {listed}",
        f"{film} demonstrates {listed}",
        f"{listed} on {film}",
        f"{age}-year-old {who}. {sentence(film)} {sentence(listed)}",
        listed,
    )[style]
    if rng.random() < 0.35:
        shown = {sign.label for sign in signs}
        absent = [words for label, words in ABSENT.items() if label not in shown]
        if absent:
            text = f"{text.rstrip('.')}; {rng.choice(absent)}"
    return sentence(text)
