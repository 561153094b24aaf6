"""Keywords about leases, apart from connecting to what is leased."""

from __future__ import annotations

import atexit
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from jumpstarter.common.choices import refuse_empty
from jumpstarter.common.exceptions import JumpstarterException, LeaseError
from jumpstarter.common.interrupts import Shield
from robot.api import logger
from robot.api.deco import keyword

from ._connection import (
    client_configuration,
    client_identity,
    lease_request,
    refuse_waiting_for_oneself,
    to_console,
)
from .aliases import Aliases
from .selection import Created, Request


@dataclass(frozen=True)
class LeaseInfo:
    """What `Get Lease` returns: *status* is Waiting, Scheduled, In-Use or Ended; times are local.

    *reason* is why it waits or has ended, in the words of every message about it; empty for one that is in use.
    """

    name: str
    exporter: str
    client: str
    selector: str
    status: str
    duration: timedelta
    begin: datetime | None
    end: datetime | None
    tags: dict[str, str] = field(default_factory=dict)
    reason: str = ""


@dataclass
class _Held:
    kept: Any
    request: Request
    client: tuple[str, ...] | None
    labels: dict[str, str]
    stack: ExitStack

    def busy(self, alias: str | None) -> str:
        """Why it is not free, where *alias* is that of the connection that uses it; "" while it is."""
        if self.kept.keeper.ended is not None:
            return str(self.kept.keeper.ended)
        return "" if alias is None else _connected(alias)


class LeaseKeywords:
    """Holds the leases that `Create Lease` makes, extended, until they are released or the run ends."""

    def __init__(self, sessions: Aliases) -> None:
        self._held: dict[str, _Held] = {}
        self._sessions = sessions

    @property
    def names(self) -> tuple[str, ...]:
        """The leases that are held, oldest first."""
        return tuple(self._held)

    def created(self, client: str | None, alias: str) -> list[Created]:
        """The leases that are held, oldest first, as a connection of *client* under *alias* sees them.

        The connection that has the alias now does not keep its lease from the new one: it is closed before.
        """
        if not self._held:
            return []
        identity, used = client_identity(client), self._sessions.leases(beside=alias)
        return [
            Created(
                name,
                held.request,
                held.kept.keeper.lease.exporter,
                held.labels,
                same_client=held.client == identity,
                busy=held.busy(used.get(name)),
            )
            for name, held in self._held.items()
        ]

    def all_held(self) -> dict[str, str]:
        """The leases of `Create Lease` and of connections, with how each is held."""
        connected = {lease: _connected(alias) for lease, alias in self._sessions.leases().items()}
        return dict.fromkeys(self._held, "kept by `Create Lease`") | connected

    @keyword(name="Create Lease")
    def create_lease(
        self,
        *,
        selector: str | None = None,
        name: str | None = None,
        client: str | None = None,
        duration: timedelta | None = None,
    ) -> str:
        """Lease an exporter, and keep it until `Release Lease` or the end of the run, however it ends.

        `Connect To Exporter` takes it for the same ``selector`` or ``name``, or with no arguments, and with
        ``lease`` always; several leases are several boards. A line on the console says what is waited for.

        Args:
            selector: Labels that the exporter must have, such as ``vendor=acme,model=widget-v2``.
            name: Name of the exporter to lease.
            client: Name of the client configuration; without it, the current one.
            duration: How long to lease for; the lease is extended while it is kept.

        Returns:
            The name of the lease.
        """
        from jumpstarter.connection.lease import keep_lease

        request = Request(selector=selector, name=name, client=client, duration=duration)
        config, wanted = client_configuration(client), lease_request(request, None)
        refuse_waiting_for_oneself(config, request, self.all_held())
        with ExitStack() as stack:
            kept = stack.enter_context(keep_lease(config, wanted, progress=to_console, notify=to_console))
            lease = kept.keeper.lease
            labels, identity = _labels(kept.lab, lease.exporter), client_identity(client)
            with Shield():
                self._held[lease.name] = _Held(kept, request, identity, labels, stack.pop_all())
        atexit.register(self.close)
        logger.info(f"Lease {lease.name}: exporter {lease.exporter}")
        return str(lease.name)

    @keyword(name="Release Lease")
    def release_lease(self, lease: str | None = None) -> None:
        """End a lease of `Create Lease`; disconnect from its exporter before.

        Args:
            lease: Name of the lease; without it, all of them are released.
        """
        if lease is not None and lease not in self._held:
            raise LeaseError(f"lease {lease} is none of `Create Lease`, expected {_one_of(self.names)}")
        for name in [lease] if lease is not None else list(self._held):
            with Shield():
                self._held.pop(name).stack.close()

    @keyword(name="Get Lease")
    def get_lease(self, lease: str | None = None, *, client: str | None = None) -> LeaseInfo:
        """Return what a lease is, and what it does.

        It has ``name``, ``exporter``, ``client``, ``selector``, ``status``, ``reason``, ``duration``, ``begin``, ``end``
        and ``tags``. The status is Waiting, Scheduled, In-Use or Ended; the reason says why it waits or has ended.

        Args:
            lease: Name of the lease; without it, the one that `Create Lease` made last, else the one that
                JMP_LEASE names.
            client: Name of the client configuration to ask with; without it, the current one.
        """
        from jumpstarter.connection.controller import controller
        from jumpstarter.utils.env import lease_of_environment

        refuse_empty({"lease=": lease, "client=": client})
        name = lease or (self.names[-1] if self._held else lease_of_environment())
        if not name:
            raise LeaseError("which lease? There is none of `Create Lease`, and JMP_LEASE is not set")
        if client is None and name in self._held:
            found = self._held[name].kept.lab.get_lease(name)
        else:
            with controller(client_configuration(client)) as lab:
                found = lab.get_lease(name)
        info = _info(found)
        logger.info(
            f"Lease {info.name} of {info.client}: {info.status}, exporter {info.exporter or 'none yet'}"
            + (f" ({info.reason})" if info.reason else "")
        )
        return info

    def close(self) -> None:
        """Release all leases."""
        atexit.unregister(self.close)
        self.release_lease()


def _info(lease: Any) -> LeaseInfo:
    from jumpstarter.client.states import lease_reason, lease_state

    return LeaseInfo(
        name=lease.name,
        exporter=lease.exporter,
        client=lease.client,
        selector=lease.selector,
        status=lease_state(lease),
        reason=lease_reason(lease),
        duration=lease.duration,
        begin=_local(lease.effective_begin_time or lease.begin_time),
        end=_local(lease.ends_at),
        tags=dict(lease.tags),
    )


def _connected(alias: str) -> str:
    return f"connected as {alias!r}" if alias else "connected without an alias"


def _labels(lab: Any, exporter: str) -> dict[str, str]:
    """The labels of an exporter; none if the controller does not tell them."""
    try:
        return dict(lab.get_exporter(exporter).labels)
    except JumpstarterException:
        return {}


def _local(value: datetime | None) -> datetime | None:
    return None if value is None else value.astimezone()


def _one_of(names: tuple[str, ...]) -> str:
    return f"one of {', '.join(names)}" if names else "nothing: there is none"
