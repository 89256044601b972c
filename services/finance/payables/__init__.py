"""Payables: invoices matched three ways, payroll as a debt, the payment chain SPP, SPM, SP2D, bank debit."""
