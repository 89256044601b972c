"""Ceilings of the budget in preparation: proposed by the budget team, approved by another person, dated, versioned."""
