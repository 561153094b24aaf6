"""LabService: what clients and exporters of ours have beyond the stock services."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack

import grpc
from google.protobuf.empty_pb2 import Empty
from jumpstarter_protocol import lab_pb2, lab_pb2_grpc

from jumpstarter_controller.identity.authenticator import Authenticator, Principal
from jumpstarter_controller.model import Claimed, Lease, NotFound, Role, check_claim
from jumpstarter_controller.runtime import leasing
from jumpstarter_controller.runtime.claims import LAPSE, Claims
from jumpstarter_controller.runtime.hub import Watch
from jumpstarter_controller.runtime.lab import Lab
from jumpstarter_controller.scheduling import Outlook

from .call import Failure, Service, answer, answer_stream, refused_as
from .conversions import Labels, duration, lease_to_proto, name_of, timestamp
from .passages import Passages


class LabService(Service, lab_pb2_grpc.LabServiceServicer):
    """See the module."""

    def __init__(
        self,
        authenticator: Authenticator,
        lab: Lab,
        claims: Claims,
        passages: Passages,
        namespace: str,
        labels: Labels,
    ) -> None:
        super().__init__(authenticator, lab)
        self._claims = claims
        self._passages = passages
        self._namespace = namespace
        self._labels = labels

    @answer_stream(Role.CLIENT)
    async def WatchLease(
        self, request: lab_pb2.WatchLeaseRequest, caller: Principal
    ) -> AsyncIterator[lab_pb2.LeaseEvent]:
        with refused_as(grpc.StatusCode.INVALID_ARGUMENT):
            name = name_of(request.name, self._namespace, "leases")
        shown = None
        with ExitStack() as stack:
            watch = stack.enter_context(self._lab.hub.watch("lease", name))
            lease = await self._lab.lease(name)
            if request.claim and lease is not None and not lease.ended:
                await self._claim(lease, request, caller, watch)
                stack.enter_context(self._claims.stream(name, request.claim))
            while not self._lab.closed:
                lease = await self._lab.lease(name)
                if lease is None:
                    raise NotFound(f"lease '{name}' not found; see 'jmp get leases --all'")
                outlook = self._lab.outlooks.get(name)
                if (lease, outlook) != shown:
                    shown = (lease, outlook)
                    yield self._event(lease, outlook)
                if lease.ended:
                    return
                await watch.changed()
        raise Failure(grpc.StatusCode.UNAVAILABLE, "the controller shuts down; watch again")

    async def _claim(
        self, lease: Lease, request: lab_pb2.WatchLeaseRequest, caller: Principal, watch: Watch
    ) -> None:
        """Claim the lease. Raises Claimed; claims that are about to lapse are waited for."""
        with refused_as(grpc.StatusCode.INVALID_ARGUMENT):
            check_claim(request.claim)
        name, claim = lease.name, request.claim
        deadline = asyncio.get_running_loop().time() + LAPSE + 1
        while True:
            try:
                return await self.change(
                    caller,
                    lambda draft: leasing.claim(draft, name, claim, caller.name, exclusive=request.exclusive),
                )
            except Claimed:
                others = self._lab.records.leases[name].claims - {claim}
                left = deadline - asyncio.get_running_loop().time()
                if any(self._claims.has_stream(name, other) for other in others) or left <= 0:
                    raise
            await watch.changed(min(left, 1.0))

    @answer(Role.CLIENT)
    async def ReleaseClaim(self, request: lab_pb2.ReleaseClaimRequest, caller: Principal) -> Empty:
        with refused_as(grpc.StatusCode.INVALID_ARGUMENT):
            name = name_of(request.name, self._namespace, "leases")
        await self.change(caller, lambda draft: leasing.unclaim(draft, name, request.claim, caller.name))
        return Empty()

    @answer(Role.CLIENT, Role.EXPORTER)
    async def OpenPassage(self, request: lab_pb2.OpenPassageRequest, caller: Principal) -> lab_pb2.Passage:
        passage = await self._passages.open(request.lease_name, caller)
        self.check_again(caller)  # who was revoked while the exporter was waited for gets no keys
        return passage

    def _event(self, lease: Lease, outlook: Outlook | None) -> lab_pb2.LeaseEvent:
        event = lab_pb2.LeaseEvent(
            lease=lease_to_proto(lease, self._namespace, self._labels, self._lab.now()),
            notice=_notice(lease),
            claims=len(lease.claims),
        )
        if outlook is not None and not lease.ended:
            event.waiting.position = outlook.position
            event.waiting.reason = outlook.message
            if outlook.estimate is not None:
                event.waiting.estimate.CopyFrom(timestamp(outlook.estimate))
            if outlook.longest_free is not None:
                event.waiting.longest_slot.CopyFrom(duration(outlook.longest_free))
        return event


def _notice(lease: Lease) -> str:
    if lease.ended or lease.notice_at is None:
        return ""
    return (
        f"exporter {lease.exporter} is needed for a regular lease: yours ends at {lease.notice_at:%H:%M:%S} UTC; "
        "save what you need"
    )
