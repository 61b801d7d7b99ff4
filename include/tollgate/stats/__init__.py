"""Statistics that no library has ready: of distributions, of rankings, of calibration, and their intervals."""
