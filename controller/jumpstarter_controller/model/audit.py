"""What is written down about who did what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """One act. *actor* did *action* ("lease.create", "lease.transfer", ...) to *subject*, a resource's name."""

    at: datetime
    actor: str
    action: str
    subject: str
    detail: str = ""
