"""What a creditor owes back, set off against what he is owed."""
