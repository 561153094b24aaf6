"""What is known of one lease, for programs that run leases and hooks themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from anyio import Event
from jumpstarter.common.enums import ExporterStatus

if TYPE_CHECKING:
    from jumpstarter.session import Session


@dataclass
class LeaseContext:
    """One lease: its name, its client, its session with the paths of the two sockets, and how far it has come.

    *before_lease_hook* is set when the drivers may be used, *end_session_requested* when the client says that it is done,
    *after_lease_hook_started* and *after_lease_hook_done* around the clean-up, *lease_ended* when the lease is over. The events
    belong to the loop that the program runs.

    Raises AssertionError without a name or a *before_lease_hook*.
    """

    lease_name: str
    before_lease_hook: Event
    end_session_requested: Event = field(default_factory=Event)
    after_lease_hook_started: Event = field(default_factory=Event)
    after_lease_hook_done: Event = field(default_factory=Event)
    lease_ended: Event = field(default_factory=Event)
    session: Session | None = None
    socket_path: str | Path = ""
    hook_socket_path: str | Path = ""
    client_name: str = ""
    current_status: ExporterStatus = ExporterStatus.AVAILABLE
    status_message: str = ""
    skip_after_lease_hook: bool = False

    def __post_init__(self) -> None:
        assert self.lease_name, "a lease has a name"
        assert self.before_lease_hook is not None, (
            "a lease has an event that is set when the drivers may be used"
        )

    def is_ready(self) -> bool:
        """Whether the session is served."""
        return self.session is not None and bool(self.socket_path)

    def is_active(self) -> bool:
        """Whether there is a lease; always so."""
        return bool(self.lease_name)

    def has_client(self) -> bool:
        """Whether the client is known."""
        return bool(self.client_name)

    def update_client(self, client_name: str) -> None:
        """The lease is *client_name*'s now."""
        self.client_name = client_name

    def clear_client(self) -> None:
        """The lease is nobody's any more."""
        self.client_name = ""

    def update_status(self, status: ExporterStatus, message: str = "") -> None:
        """Remember *status*, and have the session's clients see it."""
        self.current_status, self.status_message = status, message
        if self.session is not None:
            self.session.update_status(status, message)

    def drivers_ready(self) -> bool:
        """Whether the drivers may be used: the beforeLease hook is over."""
        return self.before_lease_hook.is_set()

    async def wait_for_drivers(self) -> None:
        """Wait until the drivers may be used."""
        await self.before_lease_hook.wait()
