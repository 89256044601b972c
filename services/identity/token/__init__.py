"""The embedded token issuer."""
