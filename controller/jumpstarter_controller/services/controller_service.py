"""ControllerService: exporters, and the clients that dial them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, suppress
from functools import partial
from typing import Final, Protocol

import grpc
from jumpstarter.common.enums import ExporterStatus
from jumpstarter.common.passages import CUT_PREFIX, CUTS_METADATA_KEY, PASSAGE_METADATA_KEY
from jumpstarter.common.registrations import BACK_KEY, REPLACES_KEY, SESSION_KEY
from jumpstarter_protocol import jumpstarter_pb2, jumpstarter_pb2_grpc

from jumpstarter_controller.identity.authenticator import Authenticator, Principal
from jumpstarter_controller.model import (
    Device,
    Exporter,
    InvalidRequest,
    Lease,
    LeaseSpec,
    Role,
    Superseded,
    check_registration,
    resolve_times,
)
from jumpstarter_controller.runtime import boards, leasing
from jumpstarter_controller.runtime.connections import Connections
from jumpstarter_controller.runtime.draft import Draft
from jumpstarter_controller.runtime.lab import Lab
from jumpstarter_controller.runtime.listeners import Call, Cut, Listeners

from .call import Context, Failure, Service, answer, answer_stream, metadata_of, peer_address, refused_as
from .conversions import (
    condition_to_proto,
    device_of,
    duration,
    duration_of,
    selector_from_proto,
    selector_to_proto,
    timestamp,
)
from .dialling import Dialling, unknown

#: Seconds between two looks at an exporter's stream, and hence of its heartbeat.
HEARTBEAT: Final = 10.0


class Routes(Protocol):
    """Chooses a router for a lease."""

    def dial(self, lease: Lease, exporter: Exporter) -> tuple[Call, Call]:
        """Where to meet: for the client, and for the exporter."""
        ...


class ControllerService(Service, jumpstarter_pb2_grpc.ControllerServiceServicer):
    """See the module."""

    def __init__(
        self,
        authenticator: Authenticator,
        lab: Lab,
        listeners: Listeners,
        dialling: Dialling,
        routes: Routes,
        max_tags: int,
    ) -> None:
        super().__init__(authenticator, lab)
        self._listeners = listeners
        self._dialling = dialling
        self._routes = routes
        self._max_tags = max_tags
        self._connections = Connections(lab)
        # What each exporter was told last, also by a stream that broke.
        self._told: dict[str, jumpstarter_pb2.StatusResponse] = {}
        # The drivers of exporters of which a process has said that they go, and that know of no sessions.
        self._left: dict[str, tuple[Device, ...]] = {}

    @answer(Role.EXPORTER, with_context=True)
    async def Register(
        self, request: jumpstarter_pb2.RegisterRequest, caller: Principal, context: Context
    ) -> jumpstarter_pb2.RegisterResponse:
        with refused_as(grpc.StatusCode.INVALID_ARGUMENT):
            check_registration(request.labels, request.reports)
        name, before = caller.name, _session_of(context)
        devices, peer = tuple(map(device_of, request.reports)), peer_address(context)
        replaced = self._connections.where(name) if self._connections.count(name) else None
        register: Callable[..., int] = boards.register
        session = await self.change(
            caller,
            lambda draft: register(
                draft, name, dict(request.labels), devices, before, self._connections.is_alive(name)
            ),
        )
        told = [(SESSION_KEY, str(session)), (BACK_KEY, "1")]
        if session != before and replaced is not None:
            told.append((REPLACES_KEY, replaced or "unknown"))
        self._connections.registered(name, peer)
        context.set_trailing_metadata(tuple(told))
        return jumpstarter_pb2.RegisterResponse(uuid=self._dialling.exporter(name).uid)

    @answer(Role.EXPORTER, with_context=True)
    async def Unregister(
        self, request: jumpstarter_pb2.UnregisterRequest, caller: Principal, context: Context
    ) -> jumpstarter_pb2.UnregisterResponse:
        name, session = caller.name, _session_of(context)
        if session is None and self._connections.count(name) > 1:
            return jumpstarter_pb2.UnregisterResponse()  # another process is there as well
        if (devices := self._dialling.exporter(name).devices) is not None:
            self._left[name] = devices
        with suppress(Superseded):  # an old process goes, which changes nothing
            await self.change(caller, lambda draft: boards.unregister(draft, name, request.reason, session))
        return jumpstarter_pb2.UnregisterResponse()

    @answer(Role.EXPORTER, with_context=True)
    async def ReportStatus(
        self, request: jumpstarter_pb2.ReportStatusRequest, caller: Principal, context: Context
    ) -> jumpstarter_pb2.ReportStatusResponse:
        status, session = ExporterStatus.from_proto(request.status), _session_of(context)
        await self.change(
            caller,
            lambda draft: boards.report(
                draft, caller.name, status, request.message, request.release_lease, str(caller), session
            ),
        )
        self._connections.reported(caller.name)
        return jumpstarter_pb2.ReportStatusResponse()

    @answer_stream(Role.EXPORTER, with_context=True, at_once=True)
    async def Status(
        self, request: jumpstarter_pb2.StatusRequest, caller: Principal, context: Context
    ) -> AsyncIterator[jumpstarter_pb2.StatusResponse]:
        name, session = caller.name, _session_of(context)
        shown: jumpstarter_pb2.StatusResponse | None = None
        with ExitStack() as stack:
            watch = stack.enter_context(self._lab.hub.watch("exporter", name))
            await self._connect(caller, session, context)
            stack.enter_context(self._connections.stream(name, peer_address(context)))
            while not self._lab.closed:
                self.check_again(caller)
                self._require_session(name, session)
                lease = self._lab.holder(name)
                message = _status(lease)
                before = self._told.get(name, message)
                if before.leased and message.leased and before.lease_name != message.lease_name:
                    # Exporters tidy up when they are told that they are free: so they are, between any two leases.
                    yield _status(None)
                self._told[name] = message
                if message != shown:
                    shown = message
                    yield message
                if not await watch.changed(HEARTBEAT):
                    await self._heartbeat(caller, session)
        raise Failure(grpc.StatusCode.UNAVAILABLE, "the controller shuts down; connect again")

    async def _connect(self, caller: Principal, session: int | None, context: Context) -> None:
        if told := metadata_of(context, BACK_KEY):
            await self.change(caller, partial(boards.come_back, name=caller.name, session=session, told=told))
            self._connections.registered(caller.name, peer_address(context))
        else:
            await self.change(caller, partial(boards.connect, name=caller.name, session=session))

    async def _heartbeat(self, caller: Principal, session: int | None) -> None:
        """Nothing has happened for a while, and the exporter's stream is there still."""
        name = caller.name
        if not self._lab.seen(name):
            await self.change(caller, partial(boards.touch, name=name))
        exporter = self._dialling.exporter(name)
        if session is None and exporter.status is ExporterStatus.OFFLINE:
            # It was another process that has said goodbye: this one is there.
            devices = self._left.get(name, ())
            await self.change(caller, lambda draft: boards.revive(draft, name, devices))

    def _require_session(self, name: str, session: int | None) -> None:
        if session is not None and session != self._dialling.exporter(name).session:
            where = self._connections.where(name)
            raise Superseded(f"{boards.superseded(name)}{', at ' + where if where else ''}")

    @answer_stream(Role.EXPORTER, with_context=True)
    async def Listen(
        self, request: jumpstarter_pb2.ListenRequest, caller: Principal, context: Context
    ) -> AsyncIterator[jumpstarter_pb2.ListenResponse]:
        self._require_session(caller.name, _session_of(context))
        lease = await self._dialling.lease(request.lease_name)
        if lease.exporter != caller.name:
            raise unknown(f"permission denied: lease '{lease.name}' is not of exporter '{caller.name}'")
        if lease.ended:
            raise unknown(f"lease not active: lease '{lease.name}' has ended")
        passage, cuts = metadata_of(context, PASSAGE_METADATA_KEY), _number_of(context, CUTS_METADATA_KEY)
        async for call in self._listeners.listen(lease.name, passage, cuts):
            if isinstance(call, Cut):
                yield jumpstarter_pb2.ListenResponse(router_endpoint=f"{CUT_PREFIX}{call.number}")
            else:
                yield jumpstarter_pb2.ListenResponse(
                    router_endpoint=call.endpoint, router_token=call.token, client_name=call.client
                )

    @answer(Role.CLIENT)
    async def Dial(
        self, request: jumpstarter_pb2.DialRequest, caller: Principal
    ) -> jumpstarter_pb2.DialResponse:
        lease, exporter = await self._dialling.ready(request.lease_name, caller)
        self.check_again(caller)
        for_client, for_exporter = self._routes.dial(lease, exporter)
        self._dialling.call(lease, exporter, caller, for_exporter)
        return jumpstarter_pb2.DialResponse(
            router_endpoint=for_client.endpoint, router_token=for_client.token
        )

    @answer(Role.CLIENT)
    async def GetLease(
        self, request: jumpstarter_pb2.GetLeaseRequest, caller: Principal
    ) -> jumpstarter_pb2.GetLeaseResponse:
        lease = await self._dialling.own_lease(request.name, caller)
        response = jumpstarter_pb2.GetLeaseResponse(
            duration=duration(lease.spec.times.duration),
            selector=selector_to_proto(lease.spec.selector),
            conditions=map(condition_to_proto, lease.conditions),
        )
        if lease.begun_at is not None:
            response.begin_time.CopyFrom(timestamp(lease.begun_at))
        if lease.ended_at is not None:
            response.end_time.CopyFrom(timestamp(lease.ended_at))
        exporter = self._lab.records.exporters.get(lease.exporter or "")
        if exporter is not None:
            response.exporter_uuid = exporter.uid
        return response

    @answer(Role.CLIENT)
    async def RequestLease(
        self, request: jumpstarter_pb2.RequestLeaseRequest, caller: Principal
    ) -> jumpstarter_pb2.RequestLeaseResponse:
        spec = LeaseSpec(
            times=resolve_times(None, duration_of(request, "duration"), None),
            selector=selector_from_proto(request.selector),
        )
        name = leasing.new_name()
        await self.change(
            caller, lambda draft: leasing.create(draft, caller.name, name, spec, self._max_tags, str(caller))
        )
        return jumpstarter_pb2.RequestLeaseResponse(name=name)

    @answer(Role.CLIENT)
    async def ListLeases(
        self, request: jumpstarter_pb2.ListLeasesRequest, caller: Principal
    ) -> jumpstarter_pb2.ListLeasesResponse:
        own = [lease.name for lease in self._lab.records.leases.values() if lease.client == caller.name]
        return jumpstarter_pb2.ListLeasesResponse(names=own)

    @answer(Role.CLIENT, Role.EXPORTER, with_context=True)
    async def ReleaseLease(
        self, request: jumpstarter_pb2.ReleaseLeaseRequest, caller: Principal, context: Context
    ) -> jumpstarter_pb2.ReleaseLeaseResponse:
        name, release = request.name, leasing.release_if_active
        if caller.role is Role.CLIENT:
            await self._dialling.own_lease(name, caller)
            await self.change(caller, lambda draft: release(draft, name, str(caller), owner=caller.name))
            return jumpstarter_pb2.ReleaseLeaseResponse()
        message, lease = self._why_released(caller.name), await self._lab.lease(name)
        if lease is None:
            raise Failure(grpc.StatusCode.NOT_FOUND, f"lease '{name}' does not exist", "NotFound")
        with refused_as(grpc.StatusCode.FAILED_PRECONDITION):
            leasing.require_exporter(lease, caller.name)
            session = _session_of(context)

            def operation(draft: Draft) -> None:
                boards.require_session(draft, caller.name, session)
                release(draft, name, str(caller), message, exporter=caller.name)

            await self.change(caller, operation)
        return jumpstarter_pb2.ReleaseLeaseResponse()

    def _why_released(self, exporter: str) -> str:
        """What is told to the client of a lease that its exporter releases."""
        found = self._dialling.exporter(exporter)
        return boards.why_released(found.status, found.status_message)

    @answer(Role.EXPORTER)
    async def GetServiceEndpoints(
        self, request: jumpstarter_pb2.GetServiceEndpointsRequest, caller: Principal
    ) -> jumpstarter_pb2.GetServiceEndpointsResponse:
        return jumpstarter_pb2.GetServiceEndpointsResponse()


def _session_of(context: Context) -> int | None:
    """The number of the caller's registration; None for a peer that knows of none."""
    return _number_of(context, SESSION_KEY)


def _number_of(context: Context, key: str) -> int | None:
    """The number that the controller gave to the caller as *key*; None for a peer that knows of none."""
    text = metadata_of(context, key)
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise InvalidRequest(f"{key} is {text!r}, expected the number that the controller gave")
    return int(text)


def _status(lease: Lease | None) -> jumpstarter_pb2.StatusResponse:
    if lease is None:
        return jumpstarter_pb2.StatusResponse(leased=False)
    return jumpstarter_pb2.StatusResponse(
        leased=True, lease_name=lease.name, client_name=lease.client, context=lease.spec.context
    )
