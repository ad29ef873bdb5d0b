"""Tables that leave a store for other tools."""
