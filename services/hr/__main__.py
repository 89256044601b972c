"""python -m services.hr"""

from __future__ import annotations

import sys

from chassis.container import serve
from services.hr.service import HrService
from services.hr.settings import HrSettings

sys.exit(serve(HrService, HrSettings()))
