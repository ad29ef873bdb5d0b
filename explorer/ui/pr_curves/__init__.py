"""The PR curves page: curves, thresholds, calibration, labels together, the report."""
