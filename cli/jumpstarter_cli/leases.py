"""How leases and exporters of a lab are shown to their users."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from jumpstarter.client.states import lease_reason, lease_state, shown_lease_state
from jumpstarter.common.durations import format_duration

if TYPE_CHECKING:
    from jumpstarter.client.lab import Exporter, Lease


def lease_data(lease: Lease) -> dict[str, Any]:
    """A lease as plain data."""
    return {
        "namespace": lease.namespace,
        "name": lease.name,
        "selector": lease.selector,
        "exporter_name": lease.exporter_name or None,
        "duration": lease.duration.total_seconds(),
        "effective_duration": lease.effective_duration.total_seconds(),
        "begin_time": time_text(lease.begin_time),
        "effective_begin_time": time_text(lease.effective_begin_time),
        "end_time": time_text(lease.end_time),
        "effective_end_time": time_text(lease.effective_end_time),
        "expires_at": time_text(lease.ends_at),
        "status": lease_state(lease),
        "reason": lease_reason(lease) or None,
        "client": lease.client,
        "exporter": lease.exporter,
        "conditions": [
            {"type": c.type, "status": c.status, "reason": c.reason, "message": c.message}
            for c in lease.conditions
        ],
        "tags": dict(sorted(lease.tags.items())),
        "context": dict(sorted(lease.context.items())),
        "deprecated_labels": dict(sorted(lease.deprecated_labels.items())),
    }


def exporter_data(exporter: Exporter) -> dict[str, Any]:
    """An exporter as plain data."""
    return {
        "namespace": exporter.namespace,
        "name": exporter.name,
        "labels": dict(sorted(exporter.labels.items())),
        "online": exporter.online,
        "status": str(exporter.status),
        "status_message": exporter.message,
        "enabled": exporter.enabled,
        "deprecated_labels": dict(sorted(exporter.deprecated_labels.items())),
    }


def time_text(value: datetime | None) -> str | None:
    """A time for machines: ISO 8601 in UTC."""
    return None if value is None else f"{value:%Y-%m-%dT%H:%M:%SZ}"


def local_text(value: datetime | None) -> str:
    """A time for people: local, to the second."""
    return "" if value is None else f"{value.astimezone():%Y-%m-%d %H:%M:%S}"


def remaining_text(lease: Lease) -> str:
    """For how long a lease still lasts."""
    from datetime import UTC, timedelta

    if lease.failure is not None or lease.ends_at is None:
        return ""
    left = lease.ends_at - datetime.now(UTC)
    return format_duration(timedelta(seconds=max(round(left.total_seconds()), 0)))


#: What is shown of a lease by default: a name of 36 characters leaves no room for more.
SHORT_HEADINGS = ("NAME", "CLIENT", "EXPORTER", "SELECTOR", "STATUS", "UNTIL")


def short_row(lease: Lease) -> tuple[str, ...]:
    """The columns of `SHORT_HEADINGS`."""
    from .boards import until_text

    return (*lease_row(lease)[:5], until_text(lease.ends_at))


LEASE_HEADINGS = (
    "NAME",
    "CLIENT",
    "EXPORTER",
    "SELECTOR",
    "STATUS",
    "DURATION",
    "BEGIN",
    "EXPIRES AT",
    "REMAINING",
)


def lease_row(lease: Lease) -> tuple[str, ...]:
    """The columns of `LEASE_HEADINGS`."""
    return (
        lease.name,
        lease.client,
        lease.exporter or lease.exporter_name,
        "" if lease.selector == "<none>" else lease.selector,
        shown_lease_state(lease),
        format_duration(lease.duration),
        local_text(lease.effective_begin_time or lease.begin_time),
        local_text(lease.ends_at),
        remaining_text(lease),
    )
