"""Budget changes: supplementary budgets, virement and freezes as documents with a maker and a checker."""
