"""People as payroll sees them: facts by day, funding, and what they were paid; and how they become columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from uuid import UUID

import numpy as np

from chassis.dates import Month
from services.hr.payroll.columns import Facts, Population, Texts
from services.hr.payroll.domain import Line
from services.hr.payroll.period import Period, SoFar, Span
from services.hr.payroll.rules import PayKind

NUMBERS = ("service_years", "spouse_allowance", "children_with_allowance", "functional_allowance", "contract_pay")
TEXTS = ("staff_kind", "grade", "tax_status", "position_kind", "echelon")


@dataclass(frozen=True)
class FactSpan:
    """Facts on `[valid_from, valid_to)`, by input name; amounts in whole units."""

    valid_from: date
    valid_to: date | None
    inputs: Mapping[str, str | int]


@dataclass(frozen=True)
class PaidSlip:
    """What one payslip says to later ones, in whole units."""

    kind: PayKind
    month: Month
    taxable: int
    tax: int
    deductible: int


@dataclass(frozen=True)
class Retro:
    """What corrections of earlier months add to the next payslip; lines in minor units, sums in whole units."""

    lines: tuple[Line, ...] = ()
    taxable: int = 0
    deductible: int = 0
    net: int = 0


@dataclass(frozen=True)
class Payee:
    """One employment with its facts (in order of days), its funding, and the payslips of the years that matter."""

    employee_id: UUID
    person_id: UUID
    position_id: UUID
    paid_from: date
    separated_on: date | None
    spans: tuple[FactSpan, ...]
    funding: Mapping[tuple[int, str], UUID]  # (fiscal year, component) -> budget line
    paid: tuple[PaidSlip, ...] = field(default=())
    retro: Retro = field(default_factory=Retro)

    def spans_in(self, month: Month) -> list[Span]:
        """The facts of the month, cut to the days that this system pays for."""
        found = []
        for fact in self.spans:
            start = max(fact.valid_from, self.paid_from, month.first)
            end = min(fact.valid_to or date.max, self.separated_on or date.max, month.next().first)
            if start < end:
                found.append(Span(start, end, fact.inputs))
        return found

    def so_far(self, month: Month) -> SoFar:
        """What the calendar year, by which pay is taxed, has paid before and in `month`."""
        year = [slip for slip in self.paid if slip.month.year == month.year and slip.month <= month]
        same = [slip for slip in year if slip.month == month]
        return SoFar(
            month_taxable=sum(slip.taxable for slip in same),
            month_tax=sum(slip.tax for slip in same),
            year_taxable=sum(slip.taxable for slip in year),
            year_tax=sum(slip.tax for slip in year),
            year_deductible=sum(slip.deductible for slip in year),
            year_months=len({slip.month for slip in year} - {month}),
            retro_taxable=self.retro.taxable,
            retro_deductible=self.retro.deductible,
            retro_net=self.retro.net,
        )

    def is_last_period(self, month: Month) -> bool:
        """Whether `month` is the calendar year's last one with pay: December, or the last month of service."""
        return month.month == 12 or (self.separated_on is not None and self.separated_on <= month.next().first)

    def was_paid(self, kind: PayKind, month: Month) -> bool:
        """Whether a payslip of this kind is there: for the month, or for the calendar year where it is paid once."""
        return any(
            slip.kind is kind and (slip.month == month if kind is PayKind.REGULAR else slip.month.year == month.year)
            for slip in self.paid
        )


def population(payees: Sequence[Payee], period: Period, month: Month) -> Population:
    """The columns of these payees for `period`, paid in `month`; each must have facts in the period."""
    held = [payee.spans_in(period.month) for payee in payees]
    spans = [(number, span) for number, found in enumerate(held) for span in found]
    so_far = [payee.so_far(month) for payee in payees]
    return Population(
        people=len(payees),
        person=np.array([number for number, _ in spans], dtype=np.int64),
        first=np.array([span.valid_from.day for _, span in spans], dtype=np.int64),
        last=np.array([(span.valid_to - timedelta(days=1)).day for _, span in spans], dtype=np.int64),
        facts=Facts(
            {name: np.array([span.inputs[name] for _, span in spans], dtype=np.int64) for name in NUMBERS},
            {name: Texts.of([str(span.inputs[name]) for _, span in spans]) for name in TEXTS},
        ),
        so_far={
            name: np.array([getattr(one, name) for one in so_far], dtype=np.int64)
            for name in SoFar.__dataclass_fields__
        },
        last_period=np.array([payee.is_last_period(month) for payee in payees], dtype=np.bool_),
    )
