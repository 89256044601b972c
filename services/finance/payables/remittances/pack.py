"""The country pack's rules of remitting what is withheld. Rows marked `to verify` were taken from knowledge."""

from __future__ import annotations

from datetime import date

from chassis.country_pack import PackIncomplete, holding
from services.finance.payables.remittances.domain import Remitter


def remitter(withholding_code: str, on: date) -> Remitter:
    """Whom what is withheld as a code is paid to, and when it is due; PackIncomplete when the pack does not say."""
    for row in holding("withholding_remittances.csv", on):
        if row["withholding_code"] == withholding_code:
            return Remitter(row["creditor"], int(row["due_day"]))
    raise PackIncomplete(
        f"nobody is named on {on} to whom what is withheld as {withholding_code} is remitted: add a row to "
        "withholding_remittances.csv",
        metadata={"table": "withholding_remittances.csv", "withholding_code": withholding_code, "on": str(on)},
    )
