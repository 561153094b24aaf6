"""Boards as their users see them: which are free, who has the others, and until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from jumpstarter.common.enums import ExporterStatus

from .leases import time_text

if TYPE_CHECKING:
    from jumpstarter.client.lab import Exporter, Lease

HEADINGS: Final = ("NAME", "STATUS", "HOLDER", "UNTIL", "LABELS")

#: What an exporter does, in the words of every table. The same word stands for the same state of a lease.
_STATUS: Final = {
    ExporterStatus.OFFLINE: "Offline",
    ExporterStatus.AVAILABLE: "Available",
    ExporterStatus.BEFORE_LEASE_HOOK: "Preparing",
    ExporterStatus.LEASE_READY: "In-Use",
    ExporterStatus.AFTER_LEASE_HOOK: "Cleaning",
    ExporterStatus.BEFORE_LEASE_HOOK_FAILED: "Failed",
    ExporterStatus.AFTER_LEASE_HOOK_FAILED: "Failed",
}


@dataclass(frozen=True)
class Board:
    """An exporter, and the lease that has it."""

    exporter: Exporter
    lease: Lease | None

    @property
    def status(self) -> str:
        """Available, In-Use, Preparing, Cleaning, Failed, Offline or Disabled."""
        if not self.exporter.online:
            return "Offline"
        if self.lease is not None:
            told = _STATUS.get(self.exporter.status, "In-Use")
            return "In-Use" if told == "Available" else told
        if self.exporter.enabled is False:
            return "Disabled"
        return _STATUS.get(self.exporter.status, "Available")

    @property
    def row(self) -> tuple[str, ...]:
        """The columns of `HEADINGS`."""
        labels = ",".join(f"{key}={value}" for key, value in sorted(self.exporter.labels.items()))
        holder, until = (
            ("", "") if self.lease is None else (self.lease.client, until_text(self.lease.ends_at))
        )
        return (self.exporter.name, self.status, holder, until, labels)

    @property
    def data(self) -> dict[str, Any]:
        """The same for machines."""
        lease = self.lease
        return {
            "state": self.status,
            "holder": None if lease is None else lease.client,
            "until": None if lease is None else time_text(lease.ends_at),
        }


def until_text(moment: datetime | None) -> str:
    """A time for people: local, with the day where it is not today."""
    if moment is None:
        return ""
    local, today = moment.astimezone(), datetime.now().astimezone().date()
    return f"{local:%H:%M:%S}" if local.date() == today else f"{local:%Y-%m-%d %H:%M}"
