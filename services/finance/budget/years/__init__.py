"""Contracts of several years: slices under an authorisation with its own ceiling."""
