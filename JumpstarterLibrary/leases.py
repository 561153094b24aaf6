"""Keywords about leases, apart from connecting to what is leased."""

from __future__ import annotations

import atexit
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from jumpstarter.common.exceptions import LeaseError
from robot.api import logger
from robot.api.deco import keyword

from ._connection import client_configuration, lease_request, to_console
from .selection import Request


@dataclass(frozen=True)
class LeaseInfo:
    """What `Get Lease` returns: *status* is In-Use, Waiting, or why the lease has ended; times are local."""

    name: str
    exporter: str
    client: str
    selector: str
    status: str
    duration: timedelta
    begin: datetime | None
    end: datetime | None
    tags: dict[str, str] = field(default_factory=dict)


@dataclass
class _Held:
    kept: Any
    stack: ExitStack


class LeaseKeywords:
    """Holds the leases that `Create Lease` makes, extended, until they are released or the run ends."""

    def __init__(self) -> None:
        self._held: dict[str, _Held] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The leases that are held, oldest first."""
        return tuple(self._held)

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

        `Connect To Exporter` with ``lease`` connects to it; several leases are several boards. A line on the
        console says what is waited for.

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
        with ExitStack() as stack:
            keeping = keep_lease(
                client_configuration(client),
                lease_request(request, None),
                progress=to_console,
                notify=to_console,
            )
            kept = stack.enter_context(keeping)
            lease = kept.keeper.lease
            self._held[lease.name] = _Held(kept, stack.pop_all())
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
            self._held.pop(name).stack.close()

    @keyword(name="Get Lease")
    def get_lease(self, lease: str | None = None, *, client: str | None = None) -> LeaseInfo:
        """Return a lease: ``name``, ``exporter``, ``client``, ``selector``, ``status``, ``duration``, ``begin``, ``end``.

        Args:
            lease: Name of the lease; without it, the one that `Create Lease` made last, else the one that
                JMP_LEASE names.
            client: Name of the client configuration to ask with; without it, the current one.
        """
        from jumpstarter.connection.controller import controller
        from jumpstarter.utils.env import lease_of_environment

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
        )
        return info

    def close(self) -> None:
        """Release all leases."""
        atexit.unregister(self.close)
        self.release_lease()


def _info(lease: Any) -> LeaseInfo:
    if lease.failure is not None:
        status = lease.failure
    else:
        status = "In-Use" if lease.ready else "Waiting"
    return LeaseInfo(
        name=lease.name,
        exporter=lease.exporter,
        client=lease.client,
        selector=lease.selector,
        status=status,
        duration=lease.duration,
        begin=_local(lease.effective_begin_time or lease.begin_time),
        end=_local(lease.ends_at),
        tags=dict(lease.tags),
    )


def _local(value: datetime | None) -> datetime | None:
    return None if value is None else value.astimezone()


def _one_of(names: tuple[str, ...]) -> str:
    return f"one of {', '.join(names)}" if names else "nothing: there is none"
