"""Imprest: cash that a unit holds for small purchases; vouchers, replenishment, settlement."""
