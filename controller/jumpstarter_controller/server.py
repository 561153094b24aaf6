"""The lab in one process: store, scheduler, services, router and login service."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import grpc
from jumpstarter.common.addresses import join_address, split_address
from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.common.fingerprints import fingerprint
from jumpstarter.common.memory import keep_giving_back
from jumpstarter.config.files import write_atomically
from jumpstarter_protocol import client_pb2_grpc, jumpstarter_pb2_grpc, lab_pb2_grpc
from jumpstarter_router.service import RouterService
from jumpstarter_router.tokens import TokenAuthority

from .data import DataDirectory
from .data_plane.local import LocalPlane
from .data_plane.ports import SERVER_OPTIONS, bind
from .data_plane.remote import RemotePlane
from .data_plane.settings import PlaneSettings, certificate_hosts
from .identity.authenticator import TokenAuthenticator
from .identity.authority import Authority, primary_address
from .identity.certificates import CertificateFiles, CertificateSource, OwnCertificate, server_credentials
from .identity.keys import KeyRing
from .identity.passages import PassageAuthority
from .identity.tokens import TokenRefused, TokenService
from .login import LabInfo, LoginServer, short_loop_errors
from .model import Lease, Role
from .runtime import identities
from .runtime.claims import Claims
from .runtime.directory import lab_directory
from .runtime.lab import Journal, Lab
from .runtime.listeners import Listeners
from .runtime.routes import Router, RouterChoice
from .scheduling import Rules
from .services.admin_service import Address, AdminService
from .services.client_service import ClientService
from .services.controller_service import ControllerService
from .services.conversions import Labels
from .services.dialling import Dialling
from .services.lab_service import LabService
from .services.passages import Passages
from .services.requests import Handlers
from .settings import ControllerSettings

logger = logging.getLogger("jumpstarter.controller")

#: Seconds that calls may take to end when the controller stops.
GRACE: Final = 2.0
ADMINISTRATOR: Final = "admin"

#: The controller finds within ten seconds whoever vanished, or was stopped: the board would be offered, the waiter served.
CONTROLLER_OPTIONS: Final[Sequence[tuple[str, Any]]] = tuple(
    {
        **dict(SERVER_OPTIONS),
        "grpc.keepalive_time_ms": 4_000,
        "grpc.keepalive_timeout_ms": 6_000,
        # It is this one that ends the connection (gRPC 1.85), and it is a minute by default.
        "grpc.http2.ping_timeout_ms": 6_000,
        "grpc.http2.max_pings_without_data": 0,
    }.items()
)


@dataclass
class _Told:
    """Who hears that a lease's streams must end, and that a lease has an exporter, or other times."""

    cut: list[Callable[[str], object]] = field(default_factory=list)
    changed: list[Callable[[Lease], object]] = field(default_factory=list)


@dataclass(frozen=True)
class RunningLab:
    """Where a lab that runs can be reached."""

    settings: ControllerSettings
    data: DataDirectory
    endpoint: str
    port: int
    router_endpoint: str
    login_port: int | None
    authority: Callable[[], bytes]
    lab: Lab
    tokens: TokenService
    router: RouterService | None


@asynccontextmanager
async def serve(
    settings: ControllerSettings, open_journal: Callable[[DataDirectory], Any], *, apart: bool = False
) -> AsyncIterator[RunningLab]:
    """Run a lab as long as the block does; *apart*: with its data plane in a process of its own, which outlives a crash.

    *open_journal* opens the store of a data directory, as an async context manager that gives a `Journal`.
    Raises ConfigurationError, FileAccessError when it cannot start.
    """
    settings.check()
    data = DataDirectory(settings.dataDirectory)
    async with AsyncExitStack() as stack:
        stack.enter_context(short_loop_errors())
        stack.enter_context(data.exclusive())
        source = _certificates(settings, data)
        tokens = _tokens(settings, data, source)
        journal: Journal = await stack.enter_async_context(open_journal(data))
        told = _Told()
        lab = Lab(
            journal,
            Rules(spot_notice=settings.leasePolicy.spotNotice),
            on_cut=lambda name: [cut(name) for cut in told.cut],
            on_lease=lambda lease: [changed(lease) for changed in told.changed],
        )
        await stack.enter_async_context(lab)
        await _ensure_administrator(lab, tokens, settings.namespace, data)
        authenticator = TokenAuthenticator(tokens, lab_directory(lab), settings.namespace)
        ways = await _start_ways(stack, settings, data, lab, authenticator, told, apart=apart)
        server = grpc.aio.server(options=CONTROLLER_OPTIONS)
        # The port is needed for the endpoint, the endpoint for the services: so the port first.
        port = bind(server, settings.listen, server_credentials(source), "listen, --listen")
        endpoint = settings.endpoints[0] if settings.endpoints else _public(settings, port)
        address = Address(settings.namespace, endpoint, lambda: source.current().authority)
        labels = Labels(frozenset(settings.hiddenLabels.keys), dict(settings.deprecatedLabels.keys))
        max_tags = settings.leasePolicy.maxTags
        claims = Claims(lab, settings.leasePolicy.waiterGrace)
        _add_services(
            server,
            ControllerService(authenticator, lab, ways.listeners, ways.dialling, ways.routes, max_tags),
            ClientService(authenticator, lab, claims, tokens, settings.namespace, labels, max_tags),
            LabService(authenticator, lab, claims, ways.passages, settings.namespace, labels),
            AdminService(authenticator, lab, tokens, address, labels),
            reflection=settings.reflection,
        )
        await server.start()
        write_atomically(data.endpoint, endpoint + "\n")
        write_atomically(data.trusted, source.current().authority.decode())
        stack.push_async_callback(_stop, server, lab, ways.listeners)
        login_port = await _start_login(stack, settings, address, ways.router_endpoint)
        janitor = asyncio.create_task(_forget_old_leases(lab, settings.leasePolicy.keepEnded))
        stack.callback(janitor.cancel)
        trimmer = asyncio.create_task(keep_giving_back())
        stack.callback(trimmer.cancel)
        yield RunningLab(
            settings,
            data,
            endpoint,
            port,
            ways.router_endpoint,
            login_port,
            address.authority,
            lab,
            tokens,
            ways.router,
        )


async def _stop(server: grpc.aio.Server, lab: Lab, listeners: Listeners) -> None:
    """Streams end by themselves once the lab is closed."""
    await lab.close()
    listeners.close()
    await server.stop(GRACE)


def _add_services(
    server: grpc.aio.Server,
    controller: ControllerService,
    client: ClientService,
    lab: LabService,
    admin: AdminService,
    *,
    reflection: bool,
) -> None:
    handlers: Any = Handlers(server)
    jumpstarter_pb2_grpc.add_ControllerServiceServicer_to_server(controller, handlers)
    client_pb2_grpc.add_ClientServiceServicer_to_server(client, handlers)
    lab_pb2_grpc.add_LabServiceServicer_to_server(lab, handlers)
    lab_pb2_grpc.add_AdminServiceServicer_to_server(admin, handlers)
    add_health(server)
    if reflection:
        add_reflection(server)


def add_health(server: grpc.aio.Server) -> None:
    """``grpc.health.v1.Health``, which anybody may ask."""
    from grpc_health.v1 import health_pb2, health_pb2_grpc
    from grpc_health.v1._async import HealthServicer

    handlers: Any = Handlers(server, health_pb2.HealthCheckRequest)
    health_pb2_grpc.add_HealthServicer_to_server(HealthServicer(), handlers)
    assert health_pb2.HealthCheckResponse.SERVING  # what the service '' is from the start


def add_reflection(server: grpc.aio.Server) -> None:
    """Reflection: the services and messages, for tools such as grpcurl."""
    from grpc_reflection.v1alpha import reflection

    names = (
        "jumpstarter.v1.ControllerService",
        "jumpstarter.client.v1.ClientService",
        "jumpstarter.lab.v1.LabService",
        "jumpstarter.lab.v1.AdminService",
        "grpc.health.v1.Health",
        reflection.SERVICE_NAME,
    )
    reflection.enable_server_reflection(names, server)


def _certificates(settings: ControllerSettings, data: DataDirectory) -> CertificateSource:
    tls = settings.tls
    if tls.certificate is not None and tls.key is not None:
        return CertificateFiles(tls.certificate, tls.key, tls.ca)
    return OwnCertificate(Authority.open(data.authority), frozenset(certificate_hosts(settings)))


def _tokens(settings: ControllerSettings, data: DataDirectory, source: CertificateSource) -> TokenService:
    upstream = settings.authentication.upstream
    key = upstream.controllerKey.encode() if upstream.controllerKey is not None else None
    if upstream.controllerKeyFile is not None:
        try:
            key = upstream.controllerKeyFile.read_bytes().rstrip(b"\r\n")
        except OSError as error:
            raise ConfigurationError(
                f"authentication.upstream.controllerKeyFile: {upstream.controllerKeyFile}: {error.strerror}"
            ) from None
    foreign = None
    if key is not None:
        from .identity.upstream import upstream_key

        if not key:
            raise ConfigurationError("authentication.upstream: the controller key is empty")
        foreign = upstream_key(key)
    lasts = settings.tls.certificate is None or settings.tls.ca is not None

    def authority() -> str:
        # A certificate that no authority is named for is its own, and is another one after a renewal.
        return fingerprint(source.current().authority.decode()) if lasts else ""

    lifetime = settings.authentication.internal.tokenLifetime
    return TokenService(KeyRing.open(data.keys), lifetime, foreign, authority=authority)


async def _ensure_administrator(lab: Lab, tokens: TokenService, namespace: str, data: DataDirectory) -> None:
    """An administrator's token in the data directory; where there is none that is valid, a new one in place of all others."""
    try:
        claims = tokens.verify(data.admin_token.read_text().strip())
        record = lab.records.tokens.get(claims.token_id)
        if claims.namespace == namespace and record is not None and record.is_valid(lab.now()):
            return
    except (OSError, TokenRefused):
        pass
    token = await lab.change(
        lambda draft: identities.issue_only(draft, tokens, namespace, Role.ADMINISTRATOR, ADMINISTRATOR)
    )
    write_atomically(data.admin_token, token.text + "\n")


def _public(settings: ControllerSettings, port: int) -> str:
    """The address under which others reach *port*, as far as this machine can tell."""
    if settings.endpoints:
        return join_address(split_address(settings.endpoints[0])[0], port)
    host = split_address(settings.listen)[0]
    if host in ("::", "0.0.0.0"):
        host = primary_address() or "localhost"
    return join_address(host, port)


@dataclass(frozen=True)
class _Ways:
    """How clients reach boards."""

    listeners: Listeners
    dialling: Dialling
    routes: RouterChoice
    passages: Passages
    router: RouterService | None
    router_endpoint: str


async def _start_ways(
    stack: AsyncExitStack,
    settings: ControllerSettings,
    data: DataDirectory,
    lab: Lab,
    authenticator: TokenAuthenticator,
    told: _Told,
    *,
    apart: bool,
) -> _Ways:
    """Have a data plane, unless the lab's routers are all others; *told* is what hears of leases."""
    tokens = TokenAuthority(data.router_key())
    routers = [Router(other.endpoint, other.labels) for other in settings.router.others.values()]
    listeners = Listeners()
    told.cut.append(listeners.cut)
    dialling = Dialling(lab, listeners)
    routes = RouterChoice(routers, tokens, lab.now)
    passages = Passages(authenticator, dialling, listeners, routes, PassageAuthority(data.passage_key()))
    router = None
    if settings.router.listen:
        wanted = PlaneSettings.of(settings)
        plane: LocalPlane | RemotePlane

        def stamp() -> float:
            return tokens.stamp(lab.now().timestamp())

        if apart:
            plane = RemotePlane(wanted, passages, lambda: lab.records.leases, stamp)
        else:
            plane = LocalPlane(wanted, passages, stamp())
            router = plane.router
        stack.push_async_callback(plane.stop)
        await plane.start()
        # Of now in the order of tokens: what is dialled next must not be taken for what was dialled before.
        told.cut.append(lambda name: plane.cut(name, stamp()))
        told.changed.append(plane.lease_changed)
        own = settings.router.endpoint or _public(settings, plane.router_port)
        routers.insert(0, Router(own, own=True))
        passages.endpoint = _joint_endpoint(settings, plane.joint_port)
    endpoint = routers[0].endpoint if routers else ""
    return _Ways(listeners, dialling, routes, passages, router, endpoint)


def _joint_endpoint(settings: ControllerSettings, port: int) -> str:
    """The joint's address that clients and exporters are told, "" when there is none."""
    wanted = settings.router.joint
    if not port:
        return ""
    if settings.router.endpoint and not wanted.endpoint:
        return join_address(split_address(settings.router.endpoint)[0], port)
    return wanted.endpoint or _public(settings, port)


async def _start_login(
    stack: AsyncExitStack, settings: ControllerSettings, address: Address, router_endpoint: str
) -> int | None:
    if not settings.login.listen:
        return None
    info = LabInfo(address.endpoint, address.namespace, address.authority, router_endpoint or None)
    server = LoginServer(info)
    try:
        port = await server.start(*split_address(settings.login.listen))
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {settings.login.listen}: {error.strerror or error}; choose another "
            "(login.listen, '' for none)"
        ) from None
    stack.push_async_callback(server.stop)
    return port


async def _forget_old_leases(lab: Lab, keep: timedelta) -> None:
    """Every hour, delete what ended too long ago."""
    while True:
        try:
            now = lab.now()
            await lab.journal.forget(now - keep, now)
        except Exception as error:  # noqa: BLE001 - the next hour may go better
            logger.error("old leases could not be deleted: %s", error)
        await asyncio.sleep(3600)
