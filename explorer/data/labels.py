"""Label vocabularies and the value of one label cell.

A label is 1 (present), 0 (absent) or unknown. Unknown is never negative: it travels as NaN until a metric masks it.
"""

from __future__ import annotations

import math
from typing import Literal

CHEXPERT_LABELS: tuple[str, ...] = (
    "No Finding",
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
)
"""The 14 labels of CheXpert (Irvin et al., AAAI 2019, table 1), in the order of its label files."""

DOMAINS: dict[str, tuple[str, ...]] = {
    "Cardiovascular": ("Enlarged Cardiomediastinum", "Cardiomegaly"),
    "Pulmonary": CHEXPERT_LABELS[3:12],  # Lung Opacity to Pleural Other
    "Skeletal": ("Fracture",),
    "Device": ("Support Devices",),
}
"""The four domains of Sadman et al. (BIOKDD 2025) over CheXpert's labels; No Finding is in none."""

NIH_LABELS: tuple[str, ...] = (
    "No Finding",
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Effusion",
    "Emphysema",
    "Fibrosis",
    "Hernia",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pleural_Thickening",
    "Pneumonia",
    "Pneumothorax",
)
"""ChestX-ray14's labels (Wang et al., CVPR 2017) with No Finding."""

KNOWN_LABELS = frozenset(CHEXPERT_LABELS) | frozenset(NIH_LABELS)

Uncertain = Literal["ignore", "zeros", "ones"]
"""What -1 becomes: unknown, 0 or 1 (U-Ignore, U-Zeros, U-Ones of Irvin et al., AAAI 2019, section 3.1)."""

_CELLS = {"1": 1.0, "1.0": 1.0, "0": 0.0, "0.0": 0.0, "": math.nan}
_UNCERTAIN = {"ignore": math.nan, "zeros": 0.0, "ones": 1.0}


def parse_label(cell: str, uncertain: Uncertain = "ignore") -> float | None:
    """Read one label cell of a CSV.

    Parameters
    ----------
    cell : str
        ``1`` present, ``0`` absent, ``-1`` uncertain, blank not mentioned.
    uncertain : "ignore", "zeros" or "ones"
        What ``-1`` becomes.

    Returns
    -------
    float or None
        1.0, 0.0, NaN for unknown (blank, or uncertain and ignored), None where the cell is no label value.

    Examples
    --------
    >>> parse_label("1"), parse_label(" 0 "), parse_label("-1"), parse_label("yes")
    (1.0, 0.0, nan, None)
    """
    cell = cell.strip()
    return _UNCERTAIN[uncertain] if cell in ("-1", "-1.0") else _CELLS.get(cell)
