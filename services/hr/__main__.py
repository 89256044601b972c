"""python -m services.hr"""

from __future__ import annotations

import sys

from chassis.container import serve
from chassis.settings import ServiceSettings
from services.hr.service import HrService

sys.exit(serve(HrService, ServiceSettings(service="hr")))
