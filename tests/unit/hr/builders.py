"""Valid things for payroll tests; a test names only what matters to it."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import numpy as np

from chassis.dates import Month
from chassis.settings import ROOT
from services.hr.payroll import columns, pack
from services.hr.payroll.period import Period, SoFar, Span
from services.hr.payroll.rules import RuleSet

DATA = ROOT / "data" / "id"
PACK = pack.load(DATA)
SCHEMES = {"pns": "CIVIL_SERVANT", "pppk": "WORK_AGREEMENT"}
NUMBERS = ("service_years", "spouse_allowance", "children_with_allowance", "functional_allowance", "contract_pay")
TEXTS = ("staff_kind", "grade", "tax_status", "position_kind", "echelon")
SO_FAR = tuple(SoFar.__dataclass_fields__)


def examples(name: str) -> list[dict[str, Any]]:
    """The cases of an example file of the pack."""
    loaded = json.loads((DATA / name).read_text(encoding="utf-8"))
    return next(value for value in loaded.values() if isinstance(value, list))


def rules_of(month: Month) -> RuleSet:
    """The pack's rules of a month."""
    return PACK.rules_on(month.first)


def period_of(month: Month) -> Period:
    """The month's regular period."""
    return Period.regular(month, PACK.is_free)


def inputs(**changes: str | int) -> dict[str, str | int]:
    """A single III/b civil servant of four years in a general position."""
    return {
        "staff_kind": "CIVIL_SERVANT",
        "grade": "III/b",
        "service_years": 4,
        "spouse_allowance": 0,
        "children_with_allowance": 0,
        "tax_status": "TK/0",
        "position_kind": "GENERAL",
        "echelon": "",
        "functional_allowance": 0,
        "contract_pay": 0,
        **changes,
    }


def example_inputs(case: dict[str, Any]) -> dict[str, str | int]:
    """The inputs of a payslip example."""
    given = case["inputs"]
    kind = {"general": "GENERAL", "functional": "FUNCTIONAL"}.get(given["position"], "STRUCTURAL")
    return inputs(
        staff_kind=SCHEMES[given["scheme"]],
        grade=given["golongan"],
        service_years=given["mkg_years"],
        spouse_allowance=int(given["spouse_allowance"]),
        children_with_allowance=given["children_with_allowance"],
        tax_status=given["ptkp_status"],
        position_kind=kind,
        echelon=given["position"] if kind == "STRUCTURAL" else "",
        functional_allowance=given["position_amount"] if kind == "FUNCTIONAL" else 0,
    )


def whole_month(month: Month, **changes: str | int) -> list[Span]:
    """One span of facts for all of the month."""
    return [Span(month.first, month.next().first, inputs(**changes))]


def population(
    people: list[list[Span]], so_far: list[SoFar] | None = None, last_period: list[bool] | None = None
) -> columns.Population:
    """The same people as columns."""
    spans = [(number, span) for number, held in enumerate(people) for span in held]
    earlier = so_far or [SoFar()] * len(people)
    return columns.Population(
        people=len(people),
        person=np.array([number for number, _ in spans], dtype=np.int64),
        first=np.array([span.valid_from.day for _, span in spans], dtype=np.int64),
        last=np.array([(span.valid_to - timedelta(days=1)).day for _, span in spans], dtype=np.int64),
        facts=columns.Facts(
            {name: np.array([int(span.inputs[name]) for _, span in spans], dtype=np.int64) for name in NUMBERS},
            {name: columns.Texts.of([str(span.inputs[name]) for _, span in spans]) for name in TEXTS},
        ),
        so_far={name: np.array([getattr(one, name) for one in earlier], dtype=np.int64) for name in SO_FAR},
        last_period=np.array(last_period or [False] * len(people)),
    )


def day(text: str) -> date:
    """A day from its ISO form."""
    return date.fromisoformat(text)
