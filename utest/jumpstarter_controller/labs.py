"""Values of a lab for tests, with everything filled in that a test does not care for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from jumpstarter.common.enums import ExporterStatus
from jumpstarter.common.selectors import Selector
from jumpstarter_controller.model import (
    AccessPolicy,
    Client,
    Exporter,
    Lease,
    LeaseSpec,
    PolicyRule,
    resolve_times,
)
from jumpstarter_controller.store import Transaction

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def exporter(name: str, labels: dict[str, str] | None = None, **kw: Any) -> Exporter:
    """An exporter that is online and ready at NOW."""
    values: dict[str, Any] = {
        "uid": f"uid-{name}",
        "created_at": NOW,
        "devices": (),
        "status": ExporterStatus.AVAILABLE,
        "last_seen": NOW,
    }
    return Exporter(name=name, labels=labels or {}, **{**values, **kw})


def client(name: str, **labels: str) -> Client:
    return Client(name=name, uid=f"uid-{name}", created_at=NOW, labels=labels)


def lease(
    name: str,
    owner: str = "anna",
    selector: str = "",
    pin: str | None = None,
    *,
    age: timedelta = timedelta(0),
    duration: timedelta | None = HOUR,
    begin: datetime | None = None,
    end: datetime | None = None,
    allow_disabled: bool = False,
) -> Lease:
    """A lease that waits since NOW - *age*."""
    spec = LeaseSpec(
        times=resolve_times(begin, duration, end),
        selector=Selector.parse(selector),
        exporter_name=pin,
        allow_disabled=allow_disabled,
    )
    return Lease(name=name, client=owner, created_at=NOW - age, spec=spec)


def policy(name: str, exporters: str = "", *rules: PolicyRule) -> AccessPolicy:
    return AccessPolicy(name=name, exporters=Selector.parse(exporters), rules=rules)


def rule(clients: str = "", **kw: Any) -> PolicyRule:
    return PolicyRule(clients=(Selector.parse(clients),), **kw)


def add_lease(record: Lease) -> Callable[[Transaction], None]:
    """Work for a store."""
    return lambda transaction: transaction.leases.add(record)


def save_lease(record: Lease) -> Callable[[Transaction], None]:
    return lambda transaction: transaction.leases.save(record)
