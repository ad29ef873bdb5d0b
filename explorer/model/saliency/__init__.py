"""Saliency maps for a regime's logits, from cached tokens."""
