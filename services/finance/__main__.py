"""python -m services.finance"""

from __future__ import annotations

import sys

from chassis.container import serve
from services.finance.service import FinanceService
from services.finance.settings import FinanceSettings

sys.exit(serve(FinanceService, FinanceSettings()))
