"""How each regime is trained."""
