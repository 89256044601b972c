"""The days by which each step of a payment is due by law, and what became late."""
