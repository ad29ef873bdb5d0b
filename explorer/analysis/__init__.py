"""What is measured: metrics, thresholds, neighbours and maps. No torch."""
