"""Clients for an exporter at an address."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import grpc

from jumpstarter.common.errors import connection_error, reached_at
from jumpstarter.common.grpc import close_channel, exporter_channel, grpc_options, is_tcp
from jumpstarter.common.interrupts import Shield
from jumpstarter.common.portal import LazyPortal

from . import tree
from .transport import OPTIONS, ExporterStub, report_timeout

if TYPE_CHECKING:
    from .patience import Waits


@contextmanager
def connect_path(
    path: str,
    *,
    allow: list[str],
    unsafe: bool,
    insecure: bool = False,
    passphrase: str | None = None,
    options: Mapping[str, Any] | None = None,
    root_certificates: bytes | None = None,
    verify: bool = True,
) -> Generator[Any]:
    """The client of the exporter at *path*, a unix socket or HOST:PORT; closed when the context is left.

    *allow* and *unsafe* as in `jumpstarter.common.importlib.import_class`, the rest as in
    `jumpstarter.common.grpc.exporter_channel`. Raises ConnectionError when the exporter does not answer.
    """
    with ExitStack() as stack:
        channel = _open(
            path,
            stack,
            options,
            insecure=insecure,
            passphrase=passphrase,
            root_certificates=root_certificates,
            verify=verify,
        )
        yield stack.enter_context(connect_channel(channel, allow=allow, unsafe=unsafe))


@contextmanager
def connect_channel(
    channel: grpc.Channel, *, allow: list[str], unsafe: bool, waits: Waits | None = None
) -> Generator[Any]:
    """`connect_path` for the exporter behind *channel*, which is the caller's; *waits* as `client_on_channel` has it."""
    with ExitStack() as stack:
        # Above the channel: what still runs on the loop may use it to end in order.
        portal = LazyPortal("the client")
        stack.callback(portal.close)
        yield client_on_channel(channel, portal, stack, allow, unsafe, waits)


def client_on_path(
    path: str,
    portal: Any,
    stack: ExitStack,
    *,
    allow: list[str],
    unsafe: bool,
    options: Mapping[str, Any] | None = None,
    **channel_options: Any,
) -> Any:
    """`connect_path` for callers who own *portal* and the *stack* that closes the client."""
    return client_on_channel(_open(path, stack, options, **channel_options), portal, stack, allow, unsafe)


def _open(
    path: str, stack: ExitStack, options: Mapping[str, Any] | None, **channel_options: Any
) -> grpc.Channel:
    with Shield():
        channel = exporter_channel(path, options=(*OPTIONS, *grpc_options(options)), **channel_options)
    stack.callback(close_channel, channel)
    if is_tcp(os.fspath(path)):
        stack.enter_context(reached_at(os.fspath(path)))
    return channel


def client_on_channel(
    channel: grpc.Channel,
    portal: Any,
    stack: ExitStack,
    allow: list[str],
    unsafe: bool,
    waits: Waits | None = None,
) -> Any:
    """The client of the exporter behind *channel*. Raises ConnectionError when it does not answer.

    With *waits* its calls wait, as that says, when the connection breaks.
    """
    # Clients' modules are loaded here, and their loggers made.
    with Shield():
        stub = ExporterStub(channel)
        report = _report(stub) if waits is None else _recovering(stub, stack, waits)
        root = tree.grow(report.reports, stub, portal, stack.enter_context(ExitStack()), allow, unsafe)
        stub.acquaintance = report, root
        return root.client()


def _report(stub: ExporterStub) -> Any:
    from google.protobuf.empty_pb2 import Empty

    try:
        return stub.GetReport(Empty(), timeout=report_timeout())
    except grpc.RpcError as error:
        raise connection_error(error) from None


def _recovering(stub: ExporterStub, stack: ExitStack, waits: Waits) -> Any:
    from .recovery import asked

    try:
        report, session = asked(stub, report_timeout())
    except grpc.RpcError as error:
        raise connection_error(error) from None
    stack.callback(stub.recover(waits, session).close)
    return report


@asynccontextmanager
async def client_from_path(
    path: str,
    portal: Any,
    stack: ExitStack,
    allow: list[str],
    unsafe: bool,
    *,
    tls_config: Any = None,
    grpc_options: Mapping[str, Any] | None = None,
    insecure: bool = False,
    passphrase: str | None = None,
) -> AsyncGenerator[Any]:
    """`connect_path` for coroutines; *portal* and *stack* become the client's."""
    from anyio import to_thread

    def connect() -> Any:
        return client_on_path(
            str(path),
            portal,
            stack,
            allow=allow,
            unsafe=unsafe,
            options=grpc_options,
            insecure=insecure,
            passphrase=passphrase,
            **tls_arguments(tls_config),
        )

    yield await to_thread.run_sync(connect)


async def client_from_channel(
    channel: grpc.Channel | grpc.aio.Channel, portal: Any, stack: ExitStack, allow: list[str], unsafe: bool
) -> Any:
    """The client of the exporter behind a channel that the caller owns: a plain one, or one of the running event loop.

    *portal* and *stack* become the client's. Raises ConnectionError when the exporter does not answer.
    """
    from anyio import to_thread

    if isinstance(channel, grpc.aio.Channel):
        channel = await _for_threads(channel, stack)
    return await to_thread.run_sync(client_on_channel, channel, portal, stack, allow, unsafe)


async def _for_threads(channel: grpc.aio.Channel, stack: ExitStack) -> grpc.Channel:
    """What is behind *channel*, which only the running loop can use, for the threads of a client's callers."""
    import asyncio

    from jumpstarter.common.tempfile import TemporarySocket

    from .proxy import start_proxy

    loop, path = asyncio.get_running_loop(), str(stack.enter_context(TemporarySocket()))
    server = await start_proxy(channel, path)
    stopping: set[asyncio.Task[None]] = set()

    def stop() -> None:
        # The loop itself may forget a task that nobody holds.
        stopping.add(asyncio.ensure_future(server.stop(None), loop=loop))

    # Whoever closes the stack may be the loop itself: it cannot be waited for.
    stack.callback(lambda: None if loop.is_closed() else loop.call_soon_threadsafe(stop))
    return _open(path, stack, None)


async def fetch_motd(
    path: str,
    *,
    tls_config: Any = None,
    grpc_options: Mapping[str, Any] | None = None,
    insecure: bool = False,
    passphrase: str | None = None,
) -> str:
    """What the exporter at *path* has to say to its users, "" for nothing; arguments as `client_from_path` has them.

    Raises ConnectionError when the exporter does not answer.
    """
    from anyio import to_thread

    def fetch() -> str:
        with ExitStack() as stack:
            options = {"insecure": insecure, "passphrase": passphrase, **tls_arguments(tls_config)}
            return str(_report(ExporterStub(_open(str(path), stack, grpc_options, **options))).motd)

    return await to_thread.run_sync(fetch)


def tls_arguments(config: Any) -> dict[str, Any]:
    """Channel arguments for a ``tls:`` section of a configuration."""
    import base64

    if config is None:
        return {}
    roots = base64.b64decode(config.ca) if config.ca else None
    return {"root_certificates": roots, "verify": not config.insecure}
