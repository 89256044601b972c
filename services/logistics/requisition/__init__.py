"""Requisitions: what agencies ask for."""
