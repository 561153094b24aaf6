"""Boards as their users see them: which are free, who has the others, and until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from jumpstarter.client.states import exporter_state, with_disabled

from .leases import time_text

if TYPE_CHECKING:
    from jumpstarter.client.lab import Exporter, Lease

HEADINGS: Final = ("NAME", "STATUS", "HOLDER", "UNTIL", "LABELS")


@dataclass(frozen=True)
class Board:
    """An exporter, and the lease that has it."""

    exporter: Exporter
    lease: Lease | None

    @property
    def state(self) -> str:
        """What it does, in one word of `jumpstarter.client.states`."""
        each = self.exporter
        return exporter_state(
            each.status, online=each.online, enabled=each.enabled, leased=self.lease is not None
        )

    @property
    def status(self) -> str:
        """The same for a column of a table, which tells of one that is disabled, too."""
        return with_disabled(self.state, self.exporter.enabled)

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
            "state": self.state,
            "holder": None if lease is None else lease.client,
            "until": None if lease is None else time_text(lease.ends_at),
        }


def until_text(moment: datetime | None) -> str:
    """A time for people: local, with the day where it is not today."""
    if moment is None:
        return ""
    local, today = moment.astimezone(), datetime.now().astimezone().date()
    return f"{local:%H:%M:%S}" if local.date() == today else f"{local:%Y-%m-%d %H:%M}"
