"""Clients of a lab that lease boards, and do nothing with them."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import grpc
from jumpstarter.client.lab import Lab, Lease, LeaseEvent
from jumpstarter.common.enums import ExporterStatus
from jumpstarter.config.grpc import identity
from jumpstarter_protocol import client_pb2, client_pb2_grpc, lab_pb2

from .answering import answer
from .lab_access import NAMESPACE, Access, Metadata
from .lab_boards import KIND
from .timing import percentile

DURATION = timedelta(minutes=10)
WAIT = 30.0
#: The exporter, and its label, that is passed from one client to the other.
HANDED_OVER = "handover"


def ready(lab: Lab, lease: Lease) -> None:
    """Wait until the controller tells that *lease* has its board."""
    for event in lab.watch_lease(lease.name, WAIT):
        if event.lease.ready:
            return
    raise ValueError(f"lease {lease.name} ended without a board")


def granted(lab: Lab, count: int, percent: float) -> float:
    """Milliseconds from asking for one of many free boards until it is told that the lease is granted."""
    durations = []
    for _ in range(count):
        started = time.perf_counter()
        lease = lab.create_lease(selector=f"kind={KIND}", duration=DURATION)
        ready(lab, lease)
        durations.append(time.perf_counter() - started)
        lab.delete_lease(lease.name)
    return percentile(durations, percent) * 1000


def in_use(lab: Lab, exporter: str) -> None:
    """Wait until *exporter* serves the one that leases it; until then its release would cost it nothing."""
    deadline = time.monotonic() + WAIT
    while lab.get_exporter(exporter).status is not ExporterStatus.LEASE_READY:
        if time.monotonic() > deadline:
            raise ValueError(f"exporter {exporter} does not get ready")


class Waiter:
    """A client that waits for a board on a thread; `events` has what it was told and when."""

    def __init__(self, lab: Lab, lease: Lease) -> None:
        self.events: SimpleQueue[tuple[float, LeaseEvent | None]] = SimpleQueue()
        self.lease = lease
        self._lab = lab
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        for event in self._lab.watch_lease(self.lease.name, WAIT):
            self.events.put((time.perf_counter(), event))
            if event.lease.ready:
                return
        self.events.put((time.perf_counter(), None))

    def ready_at(self) -> float:
        """When it was told that its lease is granted."""
        while True:
            when, event = self.events.get(timeout=WAIT)
            if event is None:
                raise ValueError(f"lease {self.lease.name} ended without a board")
            if event.lease.ready:
                return when


def handed_over(labs: tuple[Lab, Lab], count: int, percent: float) -> float:
    """Milliseconds from the release of the only board until the client that waits is told that it has it."""
    lab, other = labs
    lease = lab.create_lease(selector=f"kind={HANDED_OVER}", duration=DURATION)
    ready(lab, lease)
    durations = []
    for _ in range(count):
        waiter = Waiter(other, other.create_lease(selector=f"kind={HANDED_OVER}", duration=DURATION))
        waiter.events.get(timeout=WAIT)  # it is told that it waits
        in_use(lab, HANDED_OVER)
        started = time.perf_counter()
        lab.delete_lease(lease.name)
        durations.append(waiter.ready_at() - started)
        lab, other, lease = other, lab, waiter.lease
    lab.delete_lease(lease.name)
    return percentile(durations, percent) * 1000


async def turn_over(access: Access, tokens: list[str], count: int) -> float:
    """Leases per second that are created and released, *count* in all, by as many clients as there are *tokens*."""
    left = iter(range(count))

    async def work(stub: Any, metadata: Metadata) -> None:
        lease = client_pb2.Lease(selector=f"kind={KIND}")
        lease.duration.FromTimedelta(DURATION)
        request = client_pb2.CreateLeaseRequest(parent=f"namespaces/{NAMESPACE}", lease=lease)
        while next(left, None) is not None:
            made = await stub.CreateLease(request, metadata=metadata)
            await stub.DeleteLease(client_pb2.DeleteLeaseRequest(name=made.name), metadata=metadata)

    channels = [access.channel() for _ in tokens]
    stubs: list[Any] = [client_pb2_grpc.ClientServiceStub(channel) for channel in channels]  # type: ignore[no-untyped-call]
    people = [identity("Client", NAMESPACE, f"client-{number}", token) for number, token in enumerate(tokens)]
    for stub, metadata in zip(stubs, people, strict=True):
        parent = client_pb2.ListLeasesRequest(parent=f"namespaces/{NAMESPACE}")
        await stub.ListLeases(parent, metadata=metadata)  # connected, and known
    started = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for stub, metadata in zip(stubs, people, strict=True):
            tasks.create_task(work(stub, metadata))
    rate = count / (time.perf_counter() - started)
    for channel in channels:
        await channel.close()
    return rate


@contextmanager
def clients(access: Access, tokens: list[str]) -> Iterator[tuple[Lab, Lab]]:
    """Two of them, with a connection each."""
    options = (("grpc.use_local_subchannel_pool", 1),)
    with (
        grpc.secure_channel(access.endpoint, access.credentials, options) as one,
        grpc.secure_channel(access.endpoint, access.credentials, options) as other,
    ):
        yield (
            Lab(one, NAMESPACE, "client-0", tokens[0]),
            Lab(other, NAMESPACE, "client-1", tokens[1]),
        )


def main(data: str, count: str) -> None:
    """Answer until standard input ends."""
    access = Access(Path(data))
    names = [f"client-{number}" for number in range(int(count))]
    tokens = access.tokens(lab_pb2.ROLE_CLIENT, names, {})
    with clients(access, tokens) as labs:
        measures: dict[str, Callable[..., float]] = {
            "granted": lambda count, percent: granted(labs[0], count, percent),
            "handed_over": lambda count, percent: handed_over(labs, count, percent),
            "turn_over": lambda count: asyncio.run(turn_over(access, tokens, count)),
        }
        answer(measures, {})


if __name__ == "__main__":
    main(*sys.argv[1:])
