"""The reporting checklists that a run can answer of itself."""
