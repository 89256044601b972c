"""What the bank takes for itself, and the interest that it pays: entries that are no payment of ours."""
