"""Interest on what is paid late."""
