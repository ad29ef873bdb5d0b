"""The commands of ``python -m precompute``; each imports torch, transformers and umap only when it runs."""
