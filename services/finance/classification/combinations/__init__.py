"""Which combinations of segments may be posted."""
