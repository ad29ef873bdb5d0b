"""What Sadman et al. print of BiomedCLIP on IU-Xray (BIOKDD 2025, arXiv 2506.14136), and what never looking reaches."""

from __future__ import annotations

import math

TABLE: dict[str, dict[str, float]] = {
    "zero-shot": {
        "macro_f1": 0.105,
        "exact_match": 0.0,
        "lrap": 0.250,
        "coverage_error": 7.70,
        "inter": 31.890,
        "intra": 21.160,
        "ratio": 1.506,
    },
    "probe": {
        "macro_f1": 0.183,
        "exact_match": 0.143,
        "lrap": 0.741,
        "coverage_error": 3.08,
        "inter": 31.894,
        "intra": 21.160,
        "ratio": 1.507,
    },
    "trained": {
        "macro_f1": 0.235,
        "exact_match": 0.134,
        "lrap": 0.779,
        "coverage_error": 2.75,
        "inter": 22.754,
        "intra": 12.756,
        "ratio": 1.784,
    },
}
"""Kind of regime to the figures of its table: 572 test films, no intervals."""

FILMS, TEST_FILMS = 3818, 572

POSITIVES: dict[str, int] = {
    "No Finding": 2400,
    "Lung Opacity": 516,
    "Cardiomegaly": 415,
    "Atelectasis": 216,
    "Lung Lesion": 165,
    "Support Devices": 163,
    "Pleural Effusion": 129,
    "Fracture": 127,
    "Enlarged Cardiomediastinum": 70,
    "Pneumonia": 68,
    "Pleural Other": 56,
    "Edema": 49,
    "Consolidation": 31,
    "Pneumothorax": 20,
}
"""Positive films of each label in the whole set."""

BASELINES: dict[str, dict[str, float]] = {
    "random": {"macro_f1": math.nan, "exact_match": math.nan, "lrap": 0.244, "coverage_error": 7.93},
    "constant": {"macro_f1": 0.126, "exact_match": 0.63, "lrap": 0.79, "coverage_error": 2.46},
}
"""Worked out from the counts, not printed: a random ranking; and, in the columns' order, calling everything positive,
always saying No Finding, ranking by prevalence."""


def in_test(label: str) -> int:
    """About how many positives the paper's test split of 15% holds.

    Examples
    --------
    >>> in_test("Pneumothorax"), in_test("Consolidation")
    (3, 5)
    """
    return round(POSITIVES[label] * TEST_FILMS / FILMS)
