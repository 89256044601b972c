"""HR's table of contents: its areas and what it stands on."""

from __future__ import annotations

from nameko.extensions import DependencyProvider

from chassis.clock import Clock
from chassis.database import Database
from chassis.peer import Peer
from chassis.retention import RetentionEntrypoints
from services.hr.employee.entrypoints import EmployeeEntrypoints
from services.hr.payroll import pack
from services.hr.payroll.entrypoints import PayrollEntrypoints
from services.hr.position.entrypoints import PositionEntrypoints
from services.hr.tables import HrTable
from services.hr.unit.entrypoints import UnitEntrypoints


class PayPack(DependencyProvider):
    """The country pack's pay rules, read and checked at the start."""

    def setup(self) -> None:
        """Read the pack; a start error when a table or rule is missing."""
        self.pack = pack.load(self.container.settings.country_pack_dir)
        assert self.pack.cost_components

    def get_dependency(self, worker_ctx: object) -> pack.Pack:
        """The pack, the same for every worker."""
        return self.pack


class HrService(UnitEntrypoints, PositionEntrypoints, EmployeeEntrypoints, PayrollEntrypoints, RetentionEntrypoints):
    """Units, positions, employments, payroll."""

    name = "hr"

    db = Database(HrTable)
    finance = Peer("finance")
    identity = Peer("identity")
    clock = Clock()
    pack = PayPack()
