"""The saliency job: maps of a split or a sample of it, agreement with annotators, sanity checks."""
