"""Commitments in a foreign currency: at the rate of their date, revalued monthly; the line bears every difference."""
