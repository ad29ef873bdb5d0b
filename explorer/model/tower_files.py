"""The two files of an image tower's folder. Apart from :mod:`explorer.model.encoder`, which imports torch."""

CONFIG = "encoder.json"
"""Model config and preprocessing."""
WEIGHTS = "image_tower.safetensors"
