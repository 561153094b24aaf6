"""The exporter's line to its controller: one channel, kept for the life of the process.

A call that finds no controller is tried again until there is one, however long that takes: an outage is no reason to give up
a board. What the controller refuses is raised.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import grpc
from jumpstarter.common.enums import ExporterStatus
from jumpstarter.common.grpc import (
    DATA_ALIVE,
    aio_secure_channel,
    ssl_channel_credentials,
    with_call_credentials,
)
from jumpstarter.common.passages import CUTS_METADATA_KEY, PASSAGE_METADATA_KEY
from jumpstarter.common.registrations import BACK_KEY, REPLACES_KEY, SESSION_KEY
from jumpstarter.config.tls import TLSConfigV1Alpha1
from jumpstarter_protocol import jumpstarter_pb2 as pb
from jumpstarter_protocol import jumpstarter_pb2_grpc, lab_pb2, lab_pb2_grpc

from .passage import reachable
from .setup import Setup

logger = logging.getLogger(__name__)

#: Seconds that one attempt of a call may take.
CALL_TIMEOUT: Final = 30.0
#: Seconds between attempts: the first wait, and the longest. A controller that is not there costs nothing to ask, and one that is
#: back should have its boards at once.
BACKOFF: Final = (0.25, 2.0)

#: Seconds between two lines of the log that tell of the same outage.
TELL_INTERVAL: Final = 60.0

#: Options of channels to controllers and routers: they are known to be broken within 20 s, and tried again every 2 s or so.
#: gRPC adds chance to its waits. An attempt may take ten seconds: where thousands come back at once the controller needs some for
#: all their handshakes, and who gave up early and began anew would make it more. TCP tries a lost packet again within five.
RECONNECTING: Final = {
    "grpc.keepalive_time_ms": 10_000,
    "grpc.keepalive_timeout_ms": 10_000,
    "grpc.http2.ping_timeout_ms": 10_000,
    "grpc.initial_reconnect_backoff_ms": 200,
    "grpc.min_reconnect_backoff_ms": 10_000,
    "grpc.max_reconnect_backoff_ms": 2_000,
}

#: Seconds for which a joint that could not be reached is not tried again.
UNREACHABLE: Final = 600.0

#: The controller is not there, or not yet; everything else is an answer.
TRANSIENT: Final = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.INTERNAL,
)


class Backoff:
    """Waits that double, with half of chance in them so that a lab's exporters do not all come back at once."""

    def __init__(self) -> None:
        self._next = BACKOFF[0]

    def reset(self) -> None:
        """Start again with the shortest wait."""
        self._next = BACKOFF[0]

    def next(self) -> float:
        """Seconds to wait now."""
        wait, self._next = self._next, min(self._next * 2, BACKOFF[1])
        return wait * random.uniform(0.5, 1.0)


class ControllerLink:
    """Calls of ControllerService as the exporter that *setup* describes."""

    def __init__(self, channel: grpc.aio.Channel, setup: Setup) -> None:
        self._setup = setup
        self._stub: Any = jumpstarter_pb2_grpc.ControllerServiceStub(channel)  # type: ignore[no-untyped-call]
        self._lab: Any = lab_pb2_grpc.LabServiceStub(channel)  # type: ignore[no-untyped-call]
        self._identity = setup.identity
        self._session = ""
        #: Whether the controller takes the exporter back without a registration, when the line breaks.
        self.takes_back = False
        #: Where the process was that the last registration has replaced, None if there was none.
        self.replaced: str | None = None
        self._routers: dict[str, grpc.aio.Channel] = {}
        self._no_passage_until = 0.0

    @property
    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return (*self._identity, (SESSION_KEY, self._session)) if self._session else tuple(self._identity)

    async def register(self, reports: Iterable[pb.DriverInstanceReport]) -> str:
        """Make the exporter and its drivers known; gives its uuid. Refused as SUPERSEDED while a newer process is there."""
        request = pb.RegisterRequest(labels=self._setup.labels, reports=list(reports))
        return str((await self._call(self._register, request)).uuid)

    async def _register(self, request: pb.RegisterRequest, **options: Any) -> pb.RegisterResponse:
        call = self._stub.Register(request, **options)
        response: pb.RegisterResponse = await call
        told = {key: str(value) for key, value in await call.trailing_metadata() or ()}
        self._session = told.get(SESSION_KEY, "")
        self.replaced = told.get(REPLACES_KEY)
        self.takes_back = BACK_KEY in told
        return response

    async def unregister(self, reason: str) -> None:
        """Leave. One attempt: whoever stops does not wait for a controller."""
        await self._once(self._stub.Unregister, pb.UnregisterRequest(reason=reason), timeout=5)

    async def report(self, status: ExporterStatus, message: str) -> None:
        """Tell the status."""
        await self._call(self._stub.ReportStatus, _status_request(status, message))

    async def report_once(self, status: ExporterStatus, message: str) -> None:
        """Tell the status if the controller is there."""
        await self._once(self._stub.ReportStatus, _status_request(status, message), timeout=5)

    async def release(self, lease: str, status: ExporterStatus) -> None:
        """Ask for the end of *lease*. Older controllers do not know the call; they take the wish with a status."""
        try:
            await self._call(self._stub.ReleaseLease, pb.ReleaseLeaseRequest(name=lease))
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return
            logger.debug("ReleaseLease was refused (%s): asking with the status", error.details())
            # To an older controller AVAILABLE would mean that there is nothing to release.
            told = ExporterStatus.AFTER_LEASE_HOOK if status is ExporterStatus.AVAILABLE else status
            request = _status_request(told, "")
            request.release_lease = True
            await self._call(self._stub.ReportStatus, request)

    def status(self, back: ExporterStatus | None = None) -> AsyncIterator[pb.StatusResponse]:
        """The exporter's lease, now and at every change; an exporter that is *back* tells the status that it told last.

        Raises AioRpcError when the stream ends badly, with the kind UNREGISTERED for one that has to register.
        """
        told = () if back is None else ((BACK_KEY, back.name),)
        return self._stub.Status(pb.StatusRequest(), metadata=(*self._metadata, *told))  # type: ignore[no-any-return]

    async def open_passage(self, lease: str) -> lab_pb2.Passage | None:
        """The exporter's side of a passage for the client of *lease*; None where there is none, or it cannot be reached."""
        if time.monotonic() < self._no_passage_until:
            return None
        try:
            request = lab_pb2.OpenPassageRequest(lease_name=lease)
            found: lab_pb2.Passage = await self._once(self._lab.OpenPassage, request, timeout=5)
        except grpc.aio.AioRpcError as error:
            logger.debug("no passage for lease %s: %s", lease, error.details())
            return None
        if await reachable(found.endpoint):
            return found
        # Finding out takes time, and clients wait meanwhile.
        self._no_passage_until = time.monotonic() + UNREACHABLE
        return None

    def listen(self, lease: str, passage: str, cuts: int) -> Any:
        """One answer for every client that dials, and for every cut; *cuts* have been heard of.

        *passage* is the client that a passage is open for, or "".
        """
        told = ((PASSAGE_METADATA_KEY, passage),) if passage else ()
        metadata = (*self._metadata, *told, (CUTS_METADATA_KEY, str(cuts)))
        return self._stub.Listen(pb.ListenRequest(lease_name=lease), metadata=metadata)

    async def router(self, endpoint: str) -> grpc.aio.Channel:
        """The channel to the router at *endpoint*; one for all of its streams."""
        channel = self._routers.get(endpoint)
        if channel is None:
            options = {**DATA_ALIVE, **self._setup.grpc_options}
            channel = await secure_channel(endpoint, self._setup.tls, options)
            self._routers[endpoint] = channel
        return channel

    async def close_routers(self) -> None:
        """Close the channels to routers."""
        for channel in self._routers.values():
            await channel.close()
        self._routers.clear()

    async def _once(self, method: Any, request: Any, *, timeout: float) -> Any:
        return await method(request, metadata=self._metadata, timeout=timeout)

    async def _call(self, method: Any, request: Any) -> Any:
        backoff, tell_at = Backoff(), 0.0
        while True:
            try:
                return await self._once(method, request, timeout=CALL_TIMEOUT)
            except grpc.aio.AioRpcError as error:
                if error.code() not in TRANSIENT:
                    raise
                if (now := time.monotonic()) >= tell_at:
                    logger.warning(
                        "the controller is not there (%s): trying again until it is", error.details()
                    )
                    tell_at = now + TELL_INTERVAL
                await asyncio.sleep(backoff.next())


def _status_request(status: ExporterStatus, message: str) -> pb.ReportStatusRequest:
    return pb.ReportStatusRequest(status=status.to_proto(), message=message)  # type: ignore[arg-type]


async def secure_channel(
    endpoint: str,
    tls: TLSConfigV1Alpha1,
    grpc_options: Mapping[str, Any],
    calls: grpc.CallCredentials | None = None,
) -> grpc.aio.Channel:
    """A channel to a controller or router of a lab; *calls* go with every call."""
    credentials = await ssl_channel_credentials(endpoint, tls)
    if calls is not None:
        credentials = with_call_credentials(credentials, calls)
    options = {**RECONNECTING, **grpc_options}
    return aio_secure_channel(endpoint, credentials, options)


@asynccontextmanager
async def controller_link(setup: Setup) -> AsyncIterator[ControllerLink]:
    """The line to the controller of *setup*. Raises what connecting raises."""
    async with await setup.connect() as channel:
        link = ControllerLink(channel, setup)
        try:
            yield link
        finally:
            await link.close_routers()
