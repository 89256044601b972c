"""Budget: appropriation, release, and the funds ledger that no document may overdraw."""
