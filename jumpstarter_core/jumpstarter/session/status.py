"""The status of a session, and which changes of it there are."""

from __future__ import annotations

import threading
from typing import Final

from jumpstarter.common.enums import OPEN_STATUSES, ExporterStatus
from jumpstarter.common.exceptions import ExporterNotReady

S = ExporterStatus

#: From each status, those that may follow. Staying is always allowed (the message changes), and so is going OFFLINE.
TRANSITIONS: Final[dict[ExporterStatus, frozenset[ExporterStatus]]] = {
    S.UNSPECIFIED: frozenset({S.AVAILABLE}),
    S.OFFLINE: frozenset({S.AVAILABLE}),
    # AFTER_LEASE_HOOK: a lease whose exporter died is finished by the next one.
    S.AVAILABLE: frozenset({S.BEFORE_LEASE_HOOK, S.LEASE_READY, S.AFTER_LEASE_HOOK}),
    S.BEFORE_LEASE_HOOK: frozenset(
        {S.LEASE_READY, S.BEFORE_LEASE_HOOK_FAILED, S.AFTER_LEASE_HOOK, S.AVAILABLE}
    ),
    S.BEFORE_LEASE_HOOK_FAILED: frozenset({S.AVAILABLE}),
    S.LEASE_READY: frozenset({S.AFTER_LEASE_HOOK, S.AVAILABLE}),
    S.AFTER_LEASE_HOOK: frozenset({S.AFTER_LEASE_HOOK_FAILED, S.AVAILABLE}),
    S.AFTER_LEASE_HOOK_FAILED: frozenset({S.AVAILABLE}),
}


class SessionStatus:
    """The current status with its message; a version that grows with every update; the one before."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.status = S.AVAILABLE
        self.message = ""
        self.version = 0
        self.previous: ExporterStatus | None = None

    def update(self, status: int | ExporterStatus, message: str = "", *, checked: bool = True) -> None:
        """Go to *status*. Raises ValueError for what is no status and, if *checked*, for a change that is not in the table."""
        status = ExporterStatus(status)
        with self._lock:
            known = status in (self.status, S.OFFLINE) or status in TRANSITIONS[self.status]
            if checked and not known:
                raise ValueError(f"an exporter does not go from {self.status} to {status}")
            self.previous, self.status, self.message = self.status, status, message
            self.version += 1

    def check_open(self) -> None:
        """Raise ExporterNotReady unless drivers may be used now."""
        if self.status not in OPEN_STATUSES:
            detail = f": {self.message}" if self.message else ""
            raise ExporterNotReady(f"Exporter not ready for driver calls (status: {self.status}){detail}")

    def snapshot(self) -> tuple[ExporterStatus, str, int, ExporterStatus | None]:
        """Status, message, version and previous status, of one moment."""
        with self._lock:
            return self.status, self.message, self.version, self.previous
