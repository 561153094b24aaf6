"""The way to a leased exporter: a unix socket in this process, whose connections are dialled through a router.

All tunnels of a process run on one event loop in a thread of its own: gRPC's coroutines want no more than one.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jumpstarter.common.portal import LazyPortal
from jumpstarter.common.tempfile import TemporarySocket

from .controller import RECONNECTING, require_controller

if TYPE_CHECKING:
    from jumpstarter.client.dial import Dialer
    from jumpstarter.config.client import ClientConfigV1Alpha1


@dataclass
class Tunnel:
    """`path` is the socket for clients in this process, `shared` the one for other processes, "" when there is none."""

    path: str
    shared: str
    dialer: Dialer

    @property
    def problem(self) -> str | None:
        """Why the last connection could not be made; None when it could."""
        return self.dialer.problem


@contextmanager
def tunnel(
    config: ClientConfigV1Alpha1, lease: str, dial_timeout: float, *, share: bool = False
) -> Generator[Tunnel]:
    """A tunnel to the exporter of *lease*; with *share*, also a socket whose users have one connection together."""
    with ExitStack() as stack:
        path = str(stack.enter_context(TemporarySocket()))
        shared = str(stack.enter_context(TemporarySocket())) if share else ""
        portal = stack.enter_context(_loop())
        running = _running(config, lease, dial_timeout, path, shared)
        dialer = stack.enter_context(portal.wrap_async_context_manager(running))
        yield Tunnel(path, shared, dialer)


@asynccontextmanager
async def _running(
    config: ClientConfigV1Alpha1, lease: str, dial_timeout: float, path: str, shared: str
) -> AsyncGenerator[Dialer]:
    from jumpstarter_protocol import jumpstarter_pb2_grpc

    from jumpstarter.client.dial import Dialer
    from jumpstarter.client.proxy import proxying
    from jumpstarter.config.grpc import identity

    endpoint, token = require_controller(config)
    async with AsyncExitStack() as stack:
        channels = Channels(config.tls, config.grpcOptions)
        stack.push_async_callback(channels.close)
        stub: Any = jumpstarter_pb2_grpc.ControllerServiceStub(await channels.get(endpoint))  # type: ignore[no-untyped-call]
        who = identity("Client", config.metadata.namespace or "default", config.metadata.name, token)
        dialer = Dialer(stub, who, lease, channels.get, dial_timeout)
        await stack.enter_async_context(dialer.listening(path))
        if shared:
            await stack.enter_async_context(proxying(f"unix:{path}", shared))
        yield dialer


class Channels:
    """One channel to each service of the lab, with *tls* (a ``tls:`` section) and gRPC's *options*."""

    def __init__(self, tls: Any, options: Mapping[str, Any]) -> None:
        self._tls = tls
        self._options = {**RECONNECTING, **options}
        self._open: dict[str, Any] = {}

    async def get(self, endpoint: str) -> Any:
        """The channel to *endpoint*."""
        from jumpstarter.common.grpc import aio_secure_channel, ssl_channel_credentials

        if endpoint not in self._open:
            credentials = await ssl_channel_credentials(endpoint, self._tls)
            # Not twice when two connections came at the same time.
            self._open.setdefault(endpoint, aio_secure_channel(endpoint, credentials, self._options))
        return self._open[endpoint]

    async def close(self) -> None:
        """Close all of them."""
        for channel in self._open.values():
            await channel.close()


_lock = threading.Lock()
_portal: LazyPortal | None = None
_users = 0


@contextmanager
def _loop() -> Generator[Any]:
    """The loop of all tunnels; it ends with the last one of them."""
    global _portal, _users
    with _lock:
        if _portal is None:
            _portal = LazyPortal("leased exporters")
        portal = _portal
        _users += 1
    try:
        yield portal.portal
    finally:
        with _lock:
            _users -= 1
            last = _users == 0
            if last:
                _portal = None
        if last:
            portal.close()
