"""The way to a leased exporter: a unix socket in this process, whose connections are dialled through a router.

All tunnels of a process run on one event loop in a thread of its own: gRPC's coroutines want no more than one.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import (
    AbstractContextManager,
    AsyncExitStack,
    ExitStack,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from jumpstarter.common.portal import LazyPortal
from jumpstarter.common.tempfile import TemporarySocket

from .controller import RECONNECTING, require_controller

if TYPE_CHECKING:
    import grpc

    from jumpstarter.client.dial import Dialer
    from jumpstarter.client.patience import Patience, Waits
    from jumpstarter.config.client import ClientConfigV1Alpha1

    from .passage import Passage


@dataclass
class Tunnel:
    """`path` is a socket that dials, `shared` the one for other processes, "" when there is none.

    `passage` is None where clients dial. `first` is a channel of this process through it, which is connected. `patience` has
    calls of other processes wait for an exporter that went away.
    """

    path: str
    shared: str
    dialer: Dialer
    passage: Passage | None
    first: grpc.Channel | None = None
    patience: Patience | None = None

    @property
    def problem(self) -> str | None:
        """Why the last connection could not be made; None when it could."""
        return self.dialer.problem if self.passage is None else self.passage.problem

    def waiting(self) -> AbstractContextManager[None]:
        """While the context lasts, calls of other processes wait."""
        return nullcontext() if self.patience is None else self.patience.waiting()

    def channel(self, options: Sequence[tuple[str, Any]]) -> grpc.Channel:
        """A channel to the exporter, for threads of this process."""
        from jumpstarter.common.grpc import exporter_channel

        if self.passage is not None:
            return self.passage.channel(options)
        return exporter_channel(self.path, options=options)


@contextmanager
def tunnel(
    config: ClientConfigV1Alpha1,
    lease: str,
    dial_timeout: float,
    passage: Passage | None,
    options: Sequence[tuple[str, Any]],
    *,
    share: bool = False,
    waits: Waits | None = None,
) -> Generator[Tunnel]:
    """A tunnel to the exporter of *lease*, by its *passage* if there is one that opens.

    With *share* it has also a socket whose users have one connection together; *waits* says how they wait when that breaks.
    *options* are those of the passage's channels.
    """
    from jumpstarter.common.grpc import close_channel

    with ExitStack() as stack:
        path = str(stack.enter_context(TemporarySocket()))
        shared = str(stack.enter_context(TemporarySocket())) if share else ""
        portal = stack.enter_context(_loop())
        running = _running(config, lease, dial_timeout, path, passage, options, shared, waits)
        way = stack.enter_context(portal.wrap_async_context_manager(running))
        if way.passage is not None and not share:
            way.first = way.passage.opened(options)
            if way.first is None:
                way.passage = None
            else:
                stack.callback(close_channel, way.first)
        yield way


@asynccontextmanager
async def _running(
    config: ClientConfigV1Alpha1,
    lease: str,
    dial_timeout: float,
    path: str,
    passage: Passage | None,
    options: Sequence[tuple[str, Any]],
    shared: str,
    waits: Waits | None,
) -> AsyncGenerator[Tunnel]:
    import grpc
    from jumpstarter_protocol import jumpstarter_pb2_grpc

    from jumpstarter.client.dial import Dialer
    from jumpstarter.client.patience import Waits
    from jumpstarter.client.proxy import OPTIONS, proxying
    from jumpstarter.config.grpc import identity

    endpoint, token = require_controller(config)
    async with AsyncExitStack() as stack:
        channels = Channels(config.tls, config.grpcOptions)
        stack.push_async_callback(channels.close)
        stub: Any = jumpstarter_pb2_grpc.ControllerServiceStub(await channels.get(endpoint))  # type: ignore[no-untyped-call]
        who = identity("Client", config.metadata.namespace or "default", config.metadata.name, token)
        dialer = Dialer(stub, who, lease, channels.get, dial_timeout)
        await stack.enter_async_context(dialer.listening(path))
        way = Tunnel(path, shared, dialer, passage)
        if shared:
            channel = await passage.aio_opened((*OPTIONS, *options)) if passage is not None else None
            if channel is None:
                way.passage, channel = None, grpc.aio.insecure_channel(f"unix:{path}", options=OPTIONS)
            waits = replace(waits or Waits(), why=lambda: way.problem)
            way.patience = await stack.enter_async_context(proxying(channel, shared, waits))
        yield way


class Channels:
    """One channel to each service of the lab, with *tls* (a ``tls:`` section) and gRPC's *options*."""

    def __init__(self, tls: Any, options: Mapping[str, Any]) -> None:
        from jumpstarter.common.grpc import DATA_ALIVE

        self._tls = tls
        self._options = {**RECONNECTING, **DATA_ALIVE, **options}
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
