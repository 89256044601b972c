"""Document numbers without gaps."""
