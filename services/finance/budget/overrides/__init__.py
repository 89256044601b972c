"""Overrides: recorded authority to exceed a hard stop, and what went beyond the limit of a node that only warns."""
