"""Organisational units of an agency."""
