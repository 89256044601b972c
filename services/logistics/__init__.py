"""Goods: catalog, suppliers, requisitions, purchase orders, receipts and stock."""
