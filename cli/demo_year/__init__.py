"""The demo year: a small government lives a whole fiscal year and opens the next, through the public APIs alone.

`cast` says who and what is in it and when it happens; `beginning`, `preparing`, `budgeting`, `foreign`, `buying`,
`contracting`, `cash`, `banking` and `ending` are what happens; `bank_files` writes what the bank sends; `figures` reads
the books and holds them against the identities of the funds ledger; `story` puts the acts in their order, and asks
after each of them whether every invariant holds. Request ids are derived from the steps' names, so a second run
changes nothing.
"""
