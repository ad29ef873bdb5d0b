"""The Map page: linked maps, what is selected on them, and how far they can be trusted."""
