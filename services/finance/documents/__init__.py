"""Where every document of finance is: who has it, since when, what may come next, and all that was done with it."""
