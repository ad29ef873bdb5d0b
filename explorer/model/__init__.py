"""What a regime is: an encoder and a linear head. The only package that imports torch."""
