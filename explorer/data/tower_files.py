"""The two files of an image tower's folder: the store names them and the model reads them, so they lie below both."""

CONFIG = "encoder.json"
"""Model config and preprocessing."""
WEIGHTS = "image_tower.safetensors"
