"""Suppliers, the procurement side of legal entities."""
