"""Facts of attachments, before they become messages (wire.py)."""

from __future__ import annotations

from dataclasses import dataclass

from services.finance.attachments.domain import Attachment


@dataclass(frozen=True)
class AttachmentAdded:
    """A file was attached to a document."""

    attachment: Attachment
