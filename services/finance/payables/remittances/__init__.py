"""What payments withheld for others, and its way to them."""
