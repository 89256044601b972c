"""Changes of the approval matrix: rules come and end by two persons."""
