"""The end of a budget year: what lapses, what is carried into the next year's lines."""
