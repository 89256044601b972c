"""Receipts: deliveries, inspection, acceptance."""
