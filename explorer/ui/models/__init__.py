"""On-demand inference: encoders and heat maps, through the model queue."""
