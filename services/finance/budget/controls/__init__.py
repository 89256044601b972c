"""Where a tree of budget lines is controlled, and how hard: changed by two persons, with its history."""
