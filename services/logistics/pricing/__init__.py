"""Quantities, prices and the amounts that follow from them."""
