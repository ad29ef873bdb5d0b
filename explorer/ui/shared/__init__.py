"""What several pages use: the frame, caches, controls, selections, links, the model queue."""
