"""Payroll: declared rules, the engine that reads them, runs and payslips."""
