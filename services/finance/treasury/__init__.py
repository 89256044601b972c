"""The treasury and its bank: accounts, payment runs and their files, the bank's answers, returned payments."""
