"""The posting statement, when all that it reads and writes is there."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "finance_0016"
down_revision = "finance_0015"

_FUNCTIONS = (
    "posting_periods(posting_entry[])",
    "posting_line_faults(posting_entry[], posting_line[], posting_verdict[])",
    "posting_faults(posting_entry[], posting_line[], posting_verdict[])",
    "posting_refuse(posting_verdict[], posting_verdict[])",
    "posting_shortages(posting_demand[])",
    "posting_charge(posting_demand[])",
    "posting_write(posting_entry[], posting_line[], posting_demand[], posting_verdict[])",
    "post_journal_group(posting_entry[], posting_line[])",
    "post_journal_entries(json, json)",
)


def upgrade() -> None:
    """Make its types and functions, for the service's own role."""
    for part in ("judging", "writing"):
        op.execute(Path(__file__).with_name(f"0016_posting_{part}.sql").read_text(encoding="utf-8"))
    for function in _FUNCTIONS:
        op.execute(f"revoke all on function {function} from public")
        op.execute(f"grant execute on function {function} to finance_app")


def downgrade() -> None:
    """Nothing is posted without it: restore a backup instead."""
    raise NotImplementedError("the posting statement is not taken back; restore a backup")
