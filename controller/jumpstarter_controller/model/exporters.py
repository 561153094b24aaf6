"""Exporters, as far as leasing them is concerned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from jumpstarter.common.enums import ExporterStatus

from .names import RESERVED_PREFIX

#: An exporter that was not heard of for so long is offline. Stock controllers use the same time.
OFFLINE_AFTER = timedelta(minutes=1)

#: An exporter may be leased in these; one that never reports its status (before 0.8) stays UNSPECIFIED.
READY_STATUSES = frozenset({ExporterStatus.AVAILABLE, ExporterStatus.UNSPECIFIED})

#: An exporter without a lease leaves these by itself soon: it still tidies up after the last one.
PASSING_STATUSES = frozenset(
    {ExporterStatus.BEFORE_LEASE_HOOK, ExporterStatus.LEASE_READY, ExporterStatus.AFTER_LEASE_HOOK}
)


@dataclass(frozen=True)
class Device:
    """A driver instance, as the exporter registered it."""

    uuid: str
    parent_uuid: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Exporter:
    """A board's exporter. *devices* is None until it registers; *last_seen* is when it was last heard of.

    *session* counts its registrations: what an earlier process still has to say does not count any more. *lost_at* is when
    its connection broke, or fell silent; None while it stands, or before there was one. It is not stored.
    """

    name: str
    uid: str
    created_at: datetime
    labels: Mapping[str, str] = field(default_factory=dict)
    username: str | None = None
    enabled: bool = True
    devices: tuple[Device, ...] | None = None
    status: ExporterStatus = ExporterStatus.UNSPECIFIED
    status_message: str = ""
    last_seen: datetime | None = None
    session: int = 0
    lost_at: datetime | None = None

    @property
    def registered(self) -> bool:
        """Whether it has registered and not unregistered; an exporter without drivers counts."""
        return self.devices is not None

    def is_online(self, now: datetime) -> bool:
        """Whether it was heard of less than `OFFLINE_AFTER` ago, is connected, and did not say that it goes."""
        return (
            self.status is not ExporterStatus.OFFLINE
            and self.lost_at is None
            and self.last_seen is not None
            and now - self.last_seen <= OFFLINE_AFTER
        )

    def with_registration(self, labels: Mapping[str, str], devices: tuple[Device, ...]) -> Exporter:
        """After Register: its reserved labels are replaced by those of *labels*, others of *labels* are ignored."""
        mine = {key: value for key, value in labels.items() if key.startswith(RESERVED_PREFIX)}
        kept = {key: value for key, value in self.labels.items() if not key.startswith(RESERVED_PREFIX)}
        return replace(self, labels={**kept, **mine}, devices=devices)

    def without_registration(self, reason: str) -> Exporter:
        """After Unregister."""
        return replace(self, devices=None, status=ExporterStatus.OFFLINE, status_message=reason)
