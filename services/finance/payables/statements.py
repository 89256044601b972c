"""The budget user's statement of responsibility (SPTJM), without which no payment is authorised or ordered where the
country pack has it (PP 12/2019 art. 149). A signed paper, known by its SHA-256; its signer is who authorises."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from chassis.country_pack import holding
from chassis.errors import FailedPrecondition, InvalidArgument

TABLE = "payment_statements.csv"
FIELD = "statement_of_responsibility"


class StatementMissing(FailedPrecondition):
    """The budget user's statement of responsibility is missing."""

    reason = "PAYMENT_STATEMENT_MISSING"


@dataclass(frozen=True)
class Statement:
    """A signed statement: the civil day of the signature, and the SHA-256 of the paper's file in hexadecimal."""

    signed_on: date
    sha256: str


@dataclass(frozen=True)
class Rule:
    """A statement that the law asks for, and where."""

    name: str
    legal_source: str


def needed(on: date) -> Rule | None:
    """What the law of a day asks for; None where it asks for nothing."""
    for row in holding(TABLE, on):
        if row["statement"] == "RESPONSIBILITY":
            return Rule(row["display_name"], row["legal_source"])
    return None


def check_authorisation(
    number: str, statement: Statement | None, rule: Rule | None, *, requested_on: date, today: date
) -> None:
    """Refuse an authorisation without the statement that it needs, or with one of an impossible day."""
    if statement is None:
        if rule is not None:
            raise StatementMissing(
                f"payment request {number} is not authorised without the {rule.name} ({rule.legal_source}): sign it, "
                f"and give its day and the SHA-256 of the signed file as {FIELD}",
                metadata={"field": FIELD, "legal_source": rule.legal_source},
            )
        return
    # A request may be dated ahead of today; its paper is then signed on any day up to that.
    if not min(requested_on, today) <= statement.signed_on <= max(requested_on, today):
        raise InvalidArgument.field(
            f"{FIELD}.signed_on",
            f"{statement.signed_on} is not between the request of {requested_on} and today, {today}",
        )


def check_order(number: str, sha256: str | None, rule: Rule | None) -> None:
    """Refuse to order what was authorised without the statement that the law of the order's day asks for."""
    if rule is not None and sha256 is None:
        raise StatementMissing(
            f"payment request {number} was authorised without the {rule.name} ({rule.legal_source}): send it back, and "
            "have a new request authorised with it",
            metadata={"field": FIELD, "legal_source": rule.legal_source},
        )
