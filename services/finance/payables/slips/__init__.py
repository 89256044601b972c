"""Withholding slips: what a creditor shows his tax office for what was kept from his payment."""
