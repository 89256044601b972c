"""python -m services.logistics"""

from __future__ import annotations

import sys

from chassis.container import serve
from chassis.settings import ServiceSettings
from services.logistics.service import LogisticsService

sys.exit(serve(LogisticsService, ServiceSettings(service="logistics")))
