"""One act by hand in the books of several agencies."""
