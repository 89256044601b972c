"""Exchange rates as dated data, and the revaluation of monetary balances in foreign currencies."""
