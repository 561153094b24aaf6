"""What the scheduler is given and what it decides."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from jumpstarter.common.durations import format_duration

from jumpstarter_controller.model import AccessPolicy, Client, Exporter, Lease, Reason

from .fleet import Fleet


@dataclass(frozen=True)
class Rules:
    """How the lab wants to be scheduled.

    Attributes:
        spot_notice: how long the holder of a spot lease keeps the exporter after it was told that it is needed.
        patience: a waiter that has waited for so long goes before all others, whatever their priority.
    """

    spot_notice: timedelta = timedelta(minutes=1)
    patience: timedelta = timedelta(hours=24)


class Clients(Protocol):
    """Finds clients by name."""

    def get(self, name: str, /) -> Client | None: ...


@dataclass(frozen=True)
class LabState:
    """All that a decision depends on; *leases* are those that have not ended.

    A *fleet* that was kept from the decision before stands for *exporters*, which are not looked at then.
    """

    exporters: Collection[Exporter]
    clients: Clients
    leases: Collection[Lease]
    policies: Sequence[AccessPolicy] = ()
    rules: Rules = field(default_factory=Rules)
    fleet: Fleet | None = None


@dataclass(frozen=True)
class Grant:
    """The lease gets the exporter now."""

    lease: str
    exporter: str
    priority: int
    spot: bool


@dataclass(frozen=True)
class Refusal:
    """Nobody can ever serve the lease as the lab is: it ends."""

    lease: str
    reason: Reason
    message: str


@dataclass(frozen=True)
class Notice:
    """Spot access is taken back from the lease: it ends at *at*, for the sake of the lease *wanted_by*."""

    lease: str
    at: datetime
    wanted_by: str


@dataclass(frozen=True)
class Outlook:
    """What a waiter can be told.

    Attributes:
        reason: why it waits, None for one that begins later.
        message: the same for people.
        position: its place among those who wait for the same exporters; 1 is next, 0 is one that begins later.
        estimate: when it begins at the latest if everyone keeps their exporters to the end; None when that is unknown.
        longest_free: the longest duration for which it could have an exporter at once; None when none is free.
    """

    reason: Reason | None
    message: str
    position: int = 0
    estimate: datetime | None = None
    longest_free: timedelta | None = None

    def describe(self, now: datetime) -> str:
        """All of it in one line, for a progress message."""
        parts = [self.message]
        if self.position:
            parts.append(f"number {self.position} in the queue")
        if self.estimate is not None and self.estimate > now:
            wait = timedelta(seconds=round((self.estimate - now).total_seconds()))
            parts.append(f"expected in {format_duration(wait)} at the latest")
        if self.longest_free is not None:
            parts.append(f"free at once for {format_duration(self.longest_free)}")
        return ", ".join(parts)


@dataclass(frozen=True)
class Decisions:
    """What to do now.

    Attributes:
        expired: leases whose time is over.
        outlooks: of every lease that still waits, by its name.
        wake_at: when time alone changes the decisions; None when it does not.
    """

    expired: tuple[str, ...]
    refusals: tuple[Refusal, ...]
    grants: tuple[Grant, ...]
    notices: tuple[Notice, ...]
    outlooks: Mapping[str, Outlook]
    wake_at: datetime | None


def apply_decisions(state: LabState, decisions: Decisions, now: datetime) -> tuple[Lease, ...]:
    """The leases that change, as they are after *decisions*, those that free an exporter first."""
    leases = {lease.name: lease for lease in state.leases}
    changed = [leases[name].expired(now) for name in decisions.expired]
    changed += [leases[r.lease].refused(now, r.reason, r.message) for r in decisions.refusals]
    changed += [leases[n.lease].warned(n.at) for n in decisions.notices]
    changed += [leases[g.lease].granted(now, g.exporter, g.priority, g.spot) for g in decisions.grants]
    for name, outlook in decisions.outlooks.items():
        lease = leases[name]
        if outlook.reason is not None and not _says(lease, outlook):
            changed.append(lease.waiting(now, outlook.reason, outlook.message))
    return tuple(changed)


def _says(lease: Lease, outlook: Outlook) -> bool:
    """Whether the lease's conditions tell the reason already; the message alone is not worth a write."""
    return any(c.reason is outlook.reason and c.status for c in lease.conditions)
