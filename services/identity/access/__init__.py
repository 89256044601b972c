"""Who holds which role, over which part of the agency tree, on which days."""
