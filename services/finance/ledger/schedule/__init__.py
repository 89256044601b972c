"""Entries on days that are known beforehand: templates, and accruals that reverse by themselves."""
