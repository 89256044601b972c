"""What finance must be told beyond what every service is (environment, prefix `KELOLA_`)."""

from __future__ import annotations

from pydantic import Field

from chassis.settings import ServiceSettings

_MEBIBYTE = 1024 * 1024


class FinanceSettings(ServiceSettings):
    """How much of files the service takes."""

    service: str = "finance"

    # One attached file, in bytes. What is under way is held in memory: at most this times `attachment_uploads_max`.
    attachment_bytes_max: int = Field(default=10 * _MEBIBYTE, ge=1, le=64 * _MEBIBYTE)
    # Uploads at once in a process; more are refused with RESOURCE_EXHAUSTED and RetryInfo.
    attachment_uploads_max: int = Field(default=8, ge=1)
