"""Making and packing encoders."""
