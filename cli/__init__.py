"""The `kelola` command: one file a group of commands."""
