"""What an image is: labels, the samples table, safe reading and the preprocessing geometry."""
