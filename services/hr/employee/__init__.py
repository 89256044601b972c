"""Employments and the dated facts that decide their pay."""
