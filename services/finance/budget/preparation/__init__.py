"""Preparation of the budget: ceilings, requests of units in versions, medium-term years, the way to a draft."""
