"""Invoices and credit notes that suppliers send as UBL 2.1 documents (Peppol BIS Billing 3.0)."""
