"""The catalog of goods and services."""
