"""One run in the making: its job, films, manifest and summary."""
