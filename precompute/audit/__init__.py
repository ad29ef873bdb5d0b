"""Recipes of the audit: near copies and label errors."""
