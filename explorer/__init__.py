"""The explorer: what a regime is, how it is measured, how it is stored and how it is shown."""

__version__ = "0.1.0"
