"""Fiscal years and periods as finance uses them: those of the chassis, which every service shares."""

from __future__ import annotations

from chassis.fiscal_calendar import CALENDAR_YEAR, PERIODS, FiscalCalendar, Period

__all__ = ["CALENDAR_YEAR", "PERIODS", "FiscalCalendar", "Period"]
