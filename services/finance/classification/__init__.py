"""Chart of accounts, dimensions, account mapping, fiscal calendar."""
