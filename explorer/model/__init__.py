"""What a regime is: an encoder and a linear head. The only package that imports torch."""

import explorer.model.compat  # noqa: F401  (before anything imports torchvision)
