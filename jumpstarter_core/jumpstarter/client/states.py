"""What exporters and leases do, in the words that people are told: one word for one state, in every table and keyword.

JSON and the wire have the names of the protocol beside them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from jumpstarter.common.enums import ExporterStatus

if TYPE_CHECKING:
    from .lab import Lease

AVAILABLE: Final = "Available"
PREPARING: Final = "Preparing"
IN_USE: Final = "In-Use"
CLEANING: Final = "Cleaning"
FAILED: Final = "Failed"
OFFLINE: Final = "Offline"
DISABLED: Final = "Disabled"

WAITING: Final = "Waiting"
SCHEDULED: Final = "Scheduled"
ENDED: Final = "Ended"

_WORDS: Final = {
    ExporterStatus.OFFLINE: OFFLINE,
    ExporterStatus.AVAILABLE: AVAILABLE,
    ExporterStatus.BEFORE_LEASE_HOOK: PREPARING,
    ExporterStatus.LEASE_READY: IN_USE,
    ExporterStatus.AFTER_LEASE_HOOK: CLEANING,
    ExporterStatus.BEFORE_LEASE_HOOK_FAILED: FAILED,
    ExporterStatus.AFTER_LEASE_HOOK_FAILED: FAILED,
}


def exporter_state(status: ExporterStatus, *, online: bool, enabled: bool | None, leased: bool) -> str:
    """Available, Preparing, In-Use, Cleaning, Failed, Offline or Disabled.

    *leased* is whether a lease has it; what it says of itself may be older than the lease. *enabled* is None where the
    controller does not tell.
    """
    if not online:
        return OFFLINE
    word = _WORDS.get(status, AVAILABLE)
    if leased:
        return IN_USE if word == AVAILABLE else word
    return DISABLED if enabled is False and word == AVAILABLE else word


def with_disabled(state: str, enabled: bool | None) -> str:
    """*state*, and that the exporter is disabled where the word does not say so."""
    return state if enabled is not False or state == DISABLED else f"{state} (disabled)"


def lease_state(lease: Lease) -> str:
    """Waiting, Scheduled (it begins later), In-Use or Ended."""
    if lease.failure is not None:
        return ENDED
    if lease.ready:
        return IN_USE
    later = lease.begin_time is not None and lease.begin_time > datetime.now(UTC)
    return SCHEDULED if later else WAITING


def lease_cause(lease: Lease) -> str:
    """Why it waits or has ended, as the one word of the protocol; "" for one that does neither, or where nothing is known."""
    state = lease_state(lease)
    kinds = {
        WAITING: ("Pending",),
        SCHEDULED: ("Pending",),
        ENDED: ("Unsatisfiable", "Invalid", "Ready", "Pending"),
    }
    for kind in kinds.get(state, ()):
        condition = lease.condition(kind)
        if condition is not None and (condition.status == "True" or kind in ("Ready", "Pending")):
            return condition.reason
    return ""


def lease_reason(lease: Lease) -> str:
    """Why it waits or has ended, in the words of every message about it; "" for one that does neither."""
    if lease.failure is not None:
        return lease.failure
    pending = lease.condition("Pending")
    return "" if lease.ready or pending is None else pending.message


def shown_lease_state(lease: Lease) -> str:
    """The state, with the cause where there is one: ``Ended (Expired)``."""
    state, cause = lease_state(lease), lease_cause(lease)
    return f"{state} ({cause})" if cause else state
