"""The finance service: classification, general ledger, budget, payables."""
