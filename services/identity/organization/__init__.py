"""Governments, their agencies, and legal entities."""
