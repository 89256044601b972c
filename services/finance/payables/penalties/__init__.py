"""Penalties for late delivery, kept from the payment of what was delivered late: revenue, never less expenditure."""
