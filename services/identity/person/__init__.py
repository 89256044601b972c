"""The registry of persons: each human being once."""
