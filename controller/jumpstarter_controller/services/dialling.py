"""Dialling: from a client that wants to reach the exporter of its lease to a call that the exporter takes."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final

import grpc
from jumpstarter.common.enums import OPEN_STATUSES, ExporterStatus

from jumpstarter_controller.identity.authenticator import Principal
from jumpstarter_controller.model import Exporter, Lease, LeaseState
from jumpstarter_controller.runtime import leasing
from jumpstarter_controller.runtime.lab import Lab
from jumpstarter_controller.runtime.listeners import Busy, Call, Listeners

from .call import Failure

#: Seconds that Dial waits for an exporter that is about to be ready, and for one to listen.
READY_TIMEOUT: Final = 30.0
LISTEN_TIMEOUT: Final = 5.0
#: After a start of the controller, exporters have so long to come back before they count as offline for Dial.
START_GRACE: Final = timedelta(seconds=60)
#: An exporter whose connection broke has so long to come back, too.
LOST_GRACE: Final = timedelta(seconds=10)

#: Their boards are of no use to anybody.
FAILED: Final = {
    ExporterStatus.BEFORE_LEASE_HOOK_FAILED: "exporter beforeLease hook failed",
    ExporterStatus.AFTER_LEASE_HOOK_FAILED: "exporter afterLease hook failed",
}


class Dialling:
    """What `Dial`, passages and their joint have in common."""

    def __init__(self, lab: Lab, listeners: Listeners) -> None:
        self._lab = lab
        self._listeners = listeners
        self._started = lab.now()

    async def ready(self, name: str, caller: Principal) -> tuple[Lease, Exporter]:
        """*caller*'s lease and its exporter, when that takes clients. Raises Failure, or Refused when it is another's.

        It is *caller*'s as it returns, not only as it was asked for: until the next wait nobody else can have it.
        """
        lease, _ = await self._until_ready(await self.own_lease(name, caller), caller)
        if not await self._listeners.wait_for(lease.name, LISTEN_TIMEOUT):
            raise _not_listening(lease)
        return self.as_it_is_now(lease, caller)

    def as_it_is_now(self, lease: Lease, caller: Principal) -> tuple[Lease, Exporter]:
        """*lease*, which is active and *caller*'s still, and its exporter. Raises Failure, or Refused."""
        now = self._lab.records.leases.get(lease.name)
        if now is None or now.state is not LeaseState.READY:
            raise _not_active(lease.name, "over" if now is None else now.state.value)
        leasing.require_owner(now, caller.name)
        return now, self.exporter(now.exporter or "")

    def call(self, lease: Lease, exporter: Exporter, caller: Principal, call: Call) -> None:
        """Have *exporter* meet *caller*. Raises Failure."""
        try:
            told = self._listeners.call(lease.name, call)
        except Busy:
            raise Failure(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"exporter '{exporter.name}' has too many connections waiting; try again in a moment",
            ) from None
        if not told:
            raise _not_listening(lease)
        self._lab.note(str(caller), "lease.dial", f"leases/{lease.name}", f"exporters/{exporter.name}")

    async def _until_ready(self, lease: Lease, caller: Principal) -> tuple[Lease, Exporter]:
        """Wait for the exporter of *lease* while it is about to be ready. Raises Failure when it is not or will not be."""
        name, exporter = lease.name, lease.exporter or ""
        deadline = asyncio.get_running_loop().time() + READY_TIMEOUT
        with self._lab.hub.watch("exporter", exporter) as watch:
            while True:
                lease = await self.own_lease(name, caller)
                if lease.state is not LeaseState.READY:
                    raise _not_active(name, lease.state.value)
                found = self.exporter(exporter)
                failure = self._obstacle(found, self._listeners.has(name))
                if failure is None:
                    return lease, found
                left = deadline - asyncio.get_running_loop().time()
                if not failure.waits or left <= 0:
                    raise failure
                await watch.changed(min(left, 1.0))

    def _obstacle(self, exporter: Exporter, listens: bool) -> _NotReady | None:
        """Why nobody can dial *exporter* now; None if somebody can. *listens*: whether it takes clients of the lease."""
        now = self._lab.now()
        if exporter.status in FAILED:
            if listens:
                return None  # it stays a moment, so that its client can be told what the hook said
            return _NotReady(FAILED[exporter.status])
        if exporter.status is ExporterStatus.OFFLINE:
            return _NotReady("exporter is offline")
        if not exporter.is_online(now):
            lost = exporter.lost_at
            if now - self._started < START_GRACE or (lost is not None and now - lost < LOST_GRACE):
                return _NotReady("exporter is not ready (it has not come back yet)", waits=True)
            return _NotReady("exporter is offline")
        if exporter.status in OPEN_STATUSES or exporter.status is ExporterStatus.UNSPECIFIED:
            return None
        return _NotReady("exporter is not ready (status: Available)", waits=True)

    async def lease(self, name: str) -> Lease:
        """A lease, ended or not. Raises Failure when there is none."""
        lease = await self._lab.lease(name) if name else None
        if lease is None:
            raise unknown(f"lease '{name}' does not exist; see 'jmp get leases --all'")
        return lease

    async def own_lease(self, name: str, caller: Principal) -> Lease:
        """As `lease`. Raises NotPermitted when it is another client's."""
        lease = await self.lease(name)
        leasing.require_owner(lease, caller.name)
        return lease

    def exporter(self, name: str) -> Exporter:
        """Raises Failure when there is none."""
        exporter = self._lab.records.exporters.get(name)
        if exporter is None:
            raise unknown(f"exporter '{name}' does not exist; an administrator may have deleted it")
        return exporter


class _NotReady(Failure):
    def __init__(self, message: str, *, waits: bool = False) -> None:
        super().__init__(grpc.StatusCode.FAILED_PRECONDITION, message)
        self.waits = waits


def unknown(message: str) -> Failure:
    """What a user can do something about: see `call`."""
    return Failure(grpc.StatusCode.UNKNOWN, message)


def _not_active(name: str, state: str) -> Failure:
    return unknown(f"lease not active: lease '{name}' is {state}")


def _not_listening(lease: Lease) -> Failure:
    return Failure(grpc.StatusCode.UNAVAILABLE, f"exporter is not listening on lease {lease.name}")
