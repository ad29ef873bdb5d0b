"""The stages of a run, a module for each group; ``precompute/pipeline.py`` has their order."""
