"""Stock: warehouses and the append-only ledger of movements."""
