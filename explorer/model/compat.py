"""The one place that lets a CPU build of torch live with the registry's torchvision."""

from __future__ import annotations

import importlib

import torch

_SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}


def import_torchvision() -> torch.library.Library | None:
    """Import torchvision, declaring two of its operators where its compiled part cannot load.

    The registry's torchvision wheel is compiled against the CUDA build of torch. Beside a CPU build its extension does
    not load. ``import torchvision`` then dies with "operator torchvision::nms does not exist": it attaches shape rules
    to operators nobody declared. Their schemas are enough for the import, and nothing in this project calls them.
    Where the extension loads (CUDA, macOS, a CPU wheel) nothing is declared.

    Returns
    -------
    torch.library.Library or None
        What was declared, to be kept alive; None where nothing was missing.
    """
    try:
        importlib.import_module("torchvision")
        return None
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for name, schema in _SCHEMAS.items():
        if not hasattr(torch.ops.torchvision, name):
            library.define(schema)  # type: ignore[no-untyped-call]
    importlib.import_module("torchvision")
    return library


_DECLARED = import_torchvision()
