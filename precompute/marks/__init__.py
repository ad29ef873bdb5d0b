"""Annotations from files: their layouts, and how they are carried onto films."""
