"""Billing: contracts that are paid by certified bills, with prepayment, recovery and retention."""
