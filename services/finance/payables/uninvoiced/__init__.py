"""What was accepted and not invoiced for longer than the set days: an exception with an owner."""
