"""The country pack's fiscal years, as finance uses them."""

from __future__ import annotations

from chassis.country_pack import fiscal_calendar

__all__ = ["fiscal_calendar"]
