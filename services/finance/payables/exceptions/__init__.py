"""The queue of held invoices: who sees to each, since when, until when, and what was decided."""
