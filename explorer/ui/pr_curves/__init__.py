"""The PR curves page: curves, thresholds, calibration, joint labels, the report."""
