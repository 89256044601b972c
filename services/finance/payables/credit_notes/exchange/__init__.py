"""Credit notes on invoices in a foreign currency."""
