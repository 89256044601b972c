"""Positions: the funded seats of an agency."""
