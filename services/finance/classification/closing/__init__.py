"""What blocks a close, how a period is opened again by two persons, and when the year is final."""
