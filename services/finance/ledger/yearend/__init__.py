"""The closing entries of a year."""
