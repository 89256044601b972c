"""What HR must be told beyond what every service is (environment, prefix `KELOLA_`)."""

from __future__ import annotations

from pydantic import Field

from chassis.settings import ServiceSettings


class HrSettings(ServiceSettings):
    """Which country's law pays."""

    service: str = "hr"

    # The folder below data/ that holds the pay rules and tables.
    country_pack: str = Field(default="id", pattern=r"^[a-z]{2}$")
