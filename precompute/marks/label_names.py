"""Names of labels: what other sets call a run's labels."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from explorer.errors import UserError

_DEVICES = (
    "pacemaker",
    "dual chamber device",
    "single chamber device",
    "electrical device",
    "endotracheal tube",
    "tracheostomy tube",
    "NSG tube",
    "chest drain tube",
    "catheter",
    "central venous catheter",
    "central venous catheter via jugular vein",
    "central venous catheter via subclavian vein",
    "central venous catheter via umbilical vein",
    "reservoir central venous catheter",
)

SAME: dict[str, tuple[str, ...]] = {
    "Infiltrate": ("Infiltration",),
    "Airspace Opacity": ("Lung Opacity",),
    "Effusion": ("Pleural Effusion",),
    "Pleural Effusion": ("Effusion",),
    # PadChest's
    **dict.fromkeys(
        ("laminar atelectasis", "lobar atelectasis", "segmental atelectasis", "atelectasis basal", "total atelectasis"),
        ("Atelectasis",),
    ),
    **dict.fromkeys(("loculated pleural effusion", "loculated fissural effusion"), ("Pleural Effusion", "Effusion")),
    **dict.fromkeys(
        ("pleural thickening", "apical pleural thickening", "calcified pleural thickening"),
        ("Pleural_Thickening", "Pleural Other"),
    ),
    **dict.fromkeys(("pleural plaques", "calcified pleural plaques"), ("Pleural Other",)),
    **dict.fromkeys(("nodule", "multiple nodules"), ("Nodule", "Lung Lesion")),
    **dict.fromkeys(("mass", "pulmonary mass"), ("Mass", "Lung Lesion")),
    "cavitation": ("Lung Lesion",),
    "infiltrates": ("Infiltration", "Lung Opacity"),
    **dict.fromkeys(
        ("increased density", "alveolar pattern", "interstitial pattern", "ground glass pattern"), ("Lung Opacity",)
    ),
    "pulmonary edema": ("Edema",),
    "pulmonary fibrosis": ("Fibrosis",),
    "hiatal hernia": ("Hernia",),
    **dict.fromkeys(("mediastinal enlargement", "superior mediastinal enlargement"), ("Enlarged Cardiomediastinum",)),
    **dict.fromkeys(
        ("rib fracture", "callus rib fracture", "clavicle fracture", "humeral fracture", "vertebral fracture"),
        ("Fracture",),
    ),
    **dict.fromkeys(_DEVICES, ("Support Devices",)),
}
"""What other sets call a finding, and the labels it may have here: the first one that the run has. Only names of the
same finding, or of a kind of it: a name that covers more than one label is in no row."""


class LabelNames:
    """The run's labels by the names other sets give them.

    Parameters
    ----------
    labels : names
    rename : mapping
        The file's names to the run's, ahead of every other rule.

    Raises
    ------
    UserError
        Where ``rename`` names a label that the run does not have.
    """

    def __init__(self, labels: Sequence[str], rename: Mapping[str, str]) -> None:
        self._rename = rename
        self._by_letters = {_letters(label): label for label in labels}
        for name in rename.values():
            if name not in labels:
                raise UserError(f"--rename names {name!r}, which is no label.", f"Use one of: {', '.join(labels)}.")

    def of(self, name: str) -> str | None:
        """The run's label of that name, or of the same finding; None where it has none."""
        if name in self._rename:
            return self._rename[name]
        letters = _letters(name)
        names = (letters, *_SAME_BY_LETTERS.get(letters, ()))
        return next((self._by_letters[one] for one in names if one in self._by_letters), None)


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


_SAME_BY_LETTERS = {_letters(theirs): tuple(map(_letters, ours)) for theirs, ours in SAME.items()}
