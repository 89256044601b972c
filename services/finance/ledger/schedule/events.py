"""Facts of templates, before they become messages (wire.py)."""

from __future__ import annotations

from dataclasses import dataclass

from services.finance.ledger.schedule.domain import Template


@dataclass(frozen=True)
class JournalTemplateCreated:
    """An entry will come again."""

    template: Template


@dataclass(frozen=True)
class JournalTemplateEnded:
    """A template has a last due day now."""

    template: Template
