"""Phantom chest radiographs: seeded films by X-ray physics with the true region of every finding.

Two domains: ``source`` stands for journal figures, ``target`` for a hospital's films. ``plan`` says what
will be drawn, ``render`` draws one film, ``write_dataset`` writes a folder.
"""

from precompute.phantom.dataset import plan, write_dataset
from precompute.phantom.film import Domain, Film, FilmSpec, render
from precompute.phantom.labels import LABELS

__all__ = ["LABELS", "Domain", "Film", "FilmSpec", "plan", "render", "write_dataset"]
