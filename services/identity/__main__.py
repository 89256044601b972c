"""python -m services.identity"""

from __future__ import annotations

import sys

from chassis.container import serve
from services.identity.service import IdentityService
from services.identity.settings import IdentitySettings

sys.exit(serve(IdentityService, IdentitySettings()))
