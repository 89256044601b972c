"""python -m services.finance"""

from __future__ import annotations

import sys

from chassis.container import serve
from chassis.settings import ServiceSettings
from services.finance.service import FinanceService

sys.exit(serve(FinanceService, ServiceSettings(service="finance")))
