"""Credit notes: what a creditor takes back of an approved invoice."""
