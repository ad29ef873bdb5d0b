"""How many films a figure needs before it says anything."""

FEW = 5
"""With fewer positives than this, a figure says next to nothing: its interval spans most of the range."""
