"""Files attached to entries and documents, kept once by their hash."""
