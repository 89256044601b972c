"""The general ledger: entries that are added and never edited, and balances kept beside them."""
