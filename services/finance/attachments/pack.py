"""The country pack's media types: what may be attached."""

from __future__ import annotations

from datetime import date

from chassis.country_pack import holding
from services.finance.attachments.domain import MediaType


def media_types(on: date) -> list[MediaType]:
    """The media types that files may have on a day, in the table's order."""
    return [
        MediaType(row["media_type"], bytes.fromhex(row["signature_hex"]))
        for row in holding("attachment_media_types.csv", on)
    ]
