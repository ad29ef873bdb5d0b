"""The saliency job: maps of a split, agreement with annotators, sanity checks."""
