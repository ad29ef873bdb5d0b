"""The Audit page: leaks and copies, shortcuts, label errors, unusual and hard films."""
