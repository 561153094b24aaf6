"""Following a lease: the controller tells of every change; one that cannot is asked again and again."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import grpc
from jumpstarter_protocol import lab_pb2

from jumpstarter.common.interrupts import Flag
from jumpstarter.common.printable import printable_line

from .lab import Lease, LeaseEvent, controller_error, time_of
from .rpc import StreamCall

if TYPE_CHECKING:
    from .lab import Lab

#: Seconds between two looks at a lease, where the controller cannot tell of changes.
POLL_INTERVAL: Final = 5.0


class LeaseWatch:
    """Iterates the events of one lease until it has ended. `cancel`, from any thread, ends the iteration.

    Iterating raises TimeoutError when the time is over, ControllerUnreachable when the controller goes away, and what
    else `Lab`'s calls raise. A *patient* one waits for a controller that cannot be reached when it begins.
    """

    def __init__(
        self,
        lab: Lab,
        channel: grpc.Channel,
        metadata: tuple[tuple[str, str], ...],
        name: str,
        timeout: float | None,
        claim: str = "",
        exclusive: bool = False,
        patient: bool = False,
    ) -> None:
        self._lab = lab
        self._channel = channel
        self._metadata = metadata
        self._name = name
        self._claim = claim
        self._exclusive = exclusive
        self._patient = patient
        self._deadline = None if timeout is None else monotonic() + timeout
        self._cancelled = Flag()
        self._call: Any = None

    def cancel(self) -> None:
        """End the iteration, now or as soon as it begins."""
        self._cancelled.set()
        call = self._call
        if call is not None:
            call.cancel()

    def __iter__(self) -> Iterator[LeaseEvent]:
        from jumpstarter_protocol import lab_pb2_grpc

        stub: Any = lab_pb2_grpc.LabServiceStub(self._channel)  # type: ignore[no-untyped-call]
        request = lab_pb2.WatchLeaseRequest(
            name=self._lab.resource("leases", self._name), claim=self._claim, exclusive=self._exclusive
        )
        left = self._left()
        self._call = call = StreamCall(
            lambda: stub.WatchLease(
                request, metadata=self._metadata, timeout=left, wait_for_ready=self._patient
            )
        )
        try:
            if self._cancelled.is_set():
                return
            for event in call:
                yield lease_event(event)
            return
        except grpc.RpcError as error:
            if self._cancelled.is_set():
                return
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED and self._is_over():
                raise TimeoutError from None
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                raise controller_error(error, self._lab.endpoint) from None
        finally:
            call.cancel()
        yield from self._poll()

    def _poll(self) -> Iterator[LeaseEvent]:
        while not self._cancelled.is_set():
            lease = self._lab.get_lease(self._name)
            pending = lease.condition("Pending")
            yield LeaseEvent(lease=lease, reason=pending.message if pending else "")
            if lease.failure is not None:
                return
            left = self._left()
            if left is not None and left <= 0:
                raise TimeoutError
            self._cancelled.wait(POLL_INTERVAL if left is None else min(left, POLL_INTERVAL))

    def _is_over(self) -> bool:
        left = self._left()
        # gRPC's clock may be ahead of ours.
        return left is not None and left < 0.5

    def _left(self) -> float | None:
        return None if self._deadline is None else max(self._deadline - monotonic(), 0)


def lease_event(message: Any) -> LeaseEvent:
    """The event of a LeaseEvent message."""
    lease = Lease.from_proto(message.lease)
    if not message.HasField("waiting"):
        return LeaseEvent(lease=lease, notice=message.notice, claims=message.claims)
    waiting = message.waiting
    slot = waiting.longest_slot.ToTimedelta() if waiting.HasField("longest_slot") else None
    return LeaseEvent(
        lease=lease,
        position=waiting.position,
        reason=printable_line(waiting.reason),
        estimate=time_of(waiting, "estimate"),
        longest_slot=slot,
        notice=message.notice,
        claims=message.claims,
    )
