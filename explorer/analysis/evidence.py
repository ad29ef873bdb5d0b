"""How many films and patients a figure needs before it says anything."""

FEW = 5
"""With fewer positives than this, a figure says next to nothing: its interval spans most of the range."""

ENOUGH = 10
"""Patients with a positive, and with a negative, that a label needs to count in the mean over labels. A run may choose
another number. From here on intervals keep what they promise (``docs/validation.md``)."""
