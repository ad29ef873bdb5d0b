"""What runs in the browser: the map, the film viewer and the marking tool, each behind a Python adapter."""
