"""Leases as objects, for programs that bring their own channel and event loop: the documented `Lease` and `DirectLease`.

Everything about having a lease is done by `holding`, `keeping` and `tunnel`, as it is for `jmp shell`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, Self

import grpc
from anyio import CancelScope, connect_unix, to_thread
from jumpstarter_protocol import jumpstarter_pb2_grpc

from jumpstarter.client.client import client_on_channel, tls_arguments
from jumpstarter.client.dial import Dialer
from jumpstarter.client.grpc import ClientService
from jumpstarter.client.grpc import Lease as LeaseModel
from jumpstarter.client.lab import ControllerUnreachable, Lab
from jumpstarter.client.patience import Waits
from jumpstarter.client.transport import OPTIONS as CLIENT_OPTIONS
from jumpstarter.client.transport import ExporterStub
from jumpstarter.common.errors import connection_error, reached_at
from jumpstarter.common.grpc import exporter_channel, grpc_options, is_tcp
from jumpstarter.common.tempfile import TemporarySocket
from jumpstarter.config.tls import TLSConfigV1Alpha1
from jumpstarter.streams.common import forward_stream

from .holding import LeaseRequest, acquire, release
from .keeping import SOON, Keeper
from .lease import OPTIONS, describe
from .progress import ProgressLine
from .readiness import patient_status, status_of, wait_until_ready
from .threads import ThreadsChannel
from .tunnel import Channels

if TYPE_CHECKING:
    from anyio.abc import AnyByteStream
    from anyio.from_thread import BlockingPortal

logger = logging.getLogger("jumpstarter.lease")

#: What an exporter is called of which only the lease is known yet.
UNKNOWN: Final = "remote"


class _Way:
    """What a `Lease` and a `DirectLease` have in common. Methods without ``_async`` run coroutines on `portal`."""

    portal: BlockingPortal
    allow: list[str]
    unsafe: bool

    @asynccontextmanager
    async def serve_unix_async(self) -> AsyncGenerator[Any]:
        """The address by which clients in this process and in others reach the exporter, while the context lasts."""
        async with self._way() as (address, _):
            yield address

    @asynccontextmanager
    async def monitor_async(self, threshold: timedelta = SOON) -> AsyncGenerator[None]:
        """Nothing happens to this lease that would have to be told."""
        yield

    @asynccontextmanager
    async def connect_async(self, stack: ExitStack) -> AsyncGenerator[Any]:
        """The client of the exporter's drivers, when its beforeLease hook has ended; closed with the context or *stack*.

        Raises ExporterUnreachableError, or ExporterNotReady when the hook failed.
        """
        async with self._way() as (_, connect):
            inner, left = stack.enter_context(ExitStack()), asyncio.Event()
            try:
                yield await to_thread.run_sync(connect, inner, left.is_set, abandon_on_cancel=True)
            finally:
                left.set()
                with CancelScope(shield=True):
                    await to_thread.run_sync(inner.close)

    @contextmanager
    def serve_unix(self) -> Generator[Any]:
        """`serve_unix_async` for threads."""
        with self.portal.wrap_async_context_manager(self.serve_unix_async()) as address:
            yield address

    @contextmanager
    def monitor(self, threshold: timedelta = SOON) -> Generator[None]:
        """`monitor_async` for threads; `lease_ending_callback` is called on the loop of `portal`."""
        with self.portal.wrap_async_context_manager(self.monitor_async(threshold)):
            yield

    @contextmanager
    def connect(self) -> Generator[Any]:
        """`connect_async` for threads."""
        way = self.portal.wrap_async_context_manager(self._way())
        with way as (_, connect), ExitStack() as stack:
            yield connect(stack, lambda: False)

    @asynccontextmanager
    async def _way(self) -> AsyncGenerator[tuple[Any, _Connect]]:
        """(address of the exporter, what connects to it in the thread that calls it)."""
        raise NotImplementedError
        yield

    def _client(
        self, channel: grpc.Channel, status: Callable[[], Any], stack: ExitStack, waits: Waits | None = None
    ) -> Any:
        warning = wait_until_ready(status)
        if warning:
            logger.warning("%s", warning)
        return client_on_channel(channel, self.portal, stack, self.allow, self.unsafe, waits)


#: Gives the client, closed with the stack, unless the function says that nobody waits for it any more.
_Connect = Callable[[ExitStack, Callable[[], bool]], Any]


@dataclass(kw_only=True)
class Lease(_Way):
    """A lease of an exporter that *selector* selects, or of *requested_exporter_name*; or the existing lease *name*.

    As a context, for threads or for coroutines, it is requested at the beginning and, with *release*, ended at the end.
    *channel* is that of `ClientConfigV1Alpha1.channel`, made on the loop of *portal*; for coroutines, on theirs. *tls_config*
    and *grpc_options* are for routers. *client_name* is the client that *channel* stands for; without it, whose the lease is
    when it is seen first. Timeouts in seconds: to acquire the lease, to dial its exporter, for the exporter to come back.

    The lease is not extended: it ends after *duration* even while it is in use. Inside `monitor`, `lease_ending_callback` is
    called with the lease and what is left of it: once when that is no more than the threshold, and with 0 at the end.
    """

    channel: grpc.aio.Channel
    duration: timedelta
    selector: str | None
    requested_exporter_name: str | None = None
    portal: BlockingPortal
    namespace: str
    name: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    allow: list[str]
    unsafe: bool
    release: bool = True
    tls_config: TLSConfigV1Alpha1 = field(default_factory=TLSConfigV1Alpha1)
    grpc_options: dict[str, Any] = field(default_factory=dict)
    client_name: str | None = None
    acquisition_timeout: float = 7200
    dial_timeout: float = 30.0
    retry_timeout: float = 300.0

    exporter_name: str = field(default=UNKNOWN, init=False)
    exporter_labels: dict[str, str] = field(default_factory=dict, init=False)
    lease_ending_callback: Callable[[Lease, timedelta], object] | None = field(default=None, init=False)
    lease_ended: bool = field(default=False, init=False)
    lease_transferred: bool = field(default=False, init=False)
    controller: Any = field(init=False, repr=False)
    svc: ClientService = field(init=False, repr=False)
    _calls: ThreadsChannel | None = field(default=None, init=False, repr=False)
    _lab: Lab | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.refresh_channel(self.channel)

    def refresh_channel(self, channel: grpc.aio.Channel) -> None:
        """Ask the controller over *channel* from now on, for example one that is made with a newer token."""
        self.channel = channel
        self.controller = jumpstarter_pb2_grpc.ControllerServiceStub(channel)  # type: ignore[no-untyped-call]
        self.svc = ClientService(channel=channel, namespace=self.namespace)
        if self._calls is not None:
            self._calls.channel = channel

    async def get(self) -> LeaseModel:
        """The lease as the controller has it now. Raises ConnectionError."""
        return await self.svc.GetLease(name=self._known_name())

    def request(self) -> Self:
        """Have the lease: a new one, or the one of that `name`; returns when it has an exporter.

        Raises LeaseError when it cannot be had, ConnectionError.
        """
        self._acquire(self._use(self.portal.call(_running_loop)))
        return self

    async def request_async(self) -> Self:
        """`request` for coroutines. When it is cancelled, no lease is left that was made here."""
        lab = self._use(asyncio.get_running_loop())
        before, executor = self.name, ThreadPoolExecutor(1, thread_name_prefix="jumpstarter-lease")
        acquiring = asyncio.get_running_loop().run_in_executor(executor, self._acquire, lab)
        executor.shutdown(wait=False)
        try:
            await asyncio.shield(acquiring)
        except asyncio.CancelledError:
            assert self._calls is not None
            self._calls.interrupt()
            with CancelScope(shield=True):
                await asyncio.wait([acquiring])
                self._calls.resume()
                if acquiring.exception() is None and self.name != before:
                    await to_thread.run_sync(self._end)
            raise
        return self

    def __enter__(self) -> Self:
        return self.request()

    def __exit__(self, *_: object) -> None:
        if self.release:
            self._end()

    async def __aenter__(self) -> Self:
        return await self.request_async()

    async def __aexit__(self, *_: object) -> None:
        if self.release:
            with CancelScope(shield=True):
                await to_thread.run_sync(self._end)

    @asynccontextmanager
    async def monitor_async(self, threshold: timedelta = SOON) -> AsyncGenerator[None]:
        """Follow the lease while the context lasts: sets `lease_ended` and `lease_transferred`, calls `lease_ending_callback`."""
        lab = self._use(asyncio.get_running_loop())
        keeper = await to_thread.run_sync(self._keeper, lab, threshold, asyncio.get_running_loop())
        keeper.start()
        try:
            yield
        finally:
            with CancelScope(shield=True):
                await to_thread.run_sync(keeper.close)

    def _use(self, loop: asyncio.AbstractEventLoop) -> Lab:
        """The calls of the controller that threads make over `channel`."""
        if self._lab is None:
            self._calls = ThreadsChannel(self.channel, loop)
            stand_in: Any = self._calls
            self._lab = Lab(stand_in, self.namespace, self.client_name or "", None)
        return self._lab

    def _known_name(self) -> str:
        if self.name is None:
            raise RuntimeError(
                "the lease has no name yet: call request() first, or use the lease as a context"
            )
        return self.name

    def _acquire(self, lab: Lab) -> None:
        if not lab.name and self.name:
            lab.name = lab.get_lease(self.name).client
        request = LeaseRequest(
            selector=self.selector or "",
            exporter_name=self.requested_exporter_name or "",
            lease=self.name or "",
            duration=self.duration,
            tags=self.tags,
        )
        line = ProgressLine()
        try:
            held, _ = acquire(lab, request, self.acquisition_timeout, line)
        finally:
            line.finish()
        lab.name = lab.name or held.client
        self.name = held.name
        exporter = describe(lab, held)
        self.exporter_name, self.exporter_labels = exporter.name, exporter.labels

    def _end(self) -> None:
        assert self._lab is not None
        if not (self.lease_ended or self.lease_transferred):
            release(self._lab, self._known_name(), ProgressLine(terminal=False))

    def _keeper(self, lab: Lab, threshold: timedelta, loop: asyncio.AbstractEventLoop) -> Keeper:
        held = lab.get_lease(self._known_name())
        lab.name = lab.name or held.client
        keeper = Keeper(
            lab,
            held,
            None,
            logger.warning,
            soon=threshold,
            on_soon=lambda left: loop.call_soon_threadsafe(self._tell, left),
        )
        keeper.on_end(lambda: loop.call_soon_threadsafe(self._has_ended, keeper.transferred))
        return keeper

    def _has_ended(self, transferred: bool) -> None:
        if transferred:
            self.lease_transferred = True
        else:
            self.lease_ended = True
        self._tell(timedelta(0))

    def _tell(self, left: timedelta) -> None:
        if self.lease_ending_callback is not None:
            self.lease_ending_callback(self, left)

    @asynccontextmanager
    async def _way(self) -> AsyncGenerator[tuple[Path, _Connect]]:
        self._use(asyncio.get_running_loop())
        channels = Channels(self.tls_config, self.grpc_options)
        stub = SimpleNamespace(Dial=self._dial)
        dialer = Dialer(stub, (), self._known_name(), channels.get, self.dial_timeout)
        with TemporarySocket() as path:
            try:
                async with dialer.listening(str(path)):
                    yield path, lambda stack, left: self._connect(path, dialer, stack, left)
            finally:
                await channels.close()

    async def handle_async(self, stream: AnyByteStream) -> None:
        """Carry bytes between *stream* and the exporter of the lease until both directions have ended."""
        async with self._way() as (path, _):
            exporter = await connect_unix(path)
            async with forward_stream(stream, exporter):
                return

    async def _dial(self, request: Any, metadata: Any) -> Any:
        try:
            return await self.controller.Dial(request, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            # So say all controllers of a lease that belongs to somebody else.
            if "permission denied" in (error.details() or "").lower():
                self.lease_transferred = True
            raise

    def _over(self, doubtful: bool) -> str | None:
        """Why the lease is over, None while it is not; where that is *doubtful*, the controller knows."""
        if self.lease_transferred:
            return "was transferred to another client"
        if self.lease_ended or not doubtful:
            return "has ended" if self.lease_ended else None
        assert self._lab is not None
        try:
            return self._lab.get_lease(self._known_name()).failure
        except ControllerUnreachable:
            return None

    def _why_over(self) -> str | None:
        reason = self._over(True)
        return None if reason is None else f"lease {self.name} {reason}"

    def _connect(self, path: Path, dialer: Dialer, stack: ExitStack, left: Callable[[], bool]) -> Any:
        channel = exporter_channel(str(path), options=(*CLIENT_OPTIONS, *OPTIONS))
        stack.callback(channel.close)

        def over() -> str | None:
            return "is no longer asked for" if left() else self._over(dialer.problem is not None)

        stub = ExporterStub(channel)
        status = patient_status(stub, self.retry_timeout, lambda: dialer.problem, over)
        waits = Waits(
            self.retry_timeout,
            logger.warning,
            self.exporter_name,
            over=self._why_over,
            why=lambda: dialer.problem,
        )
        return self._client(channel, status, stack, waits)


@dataclass(kw_only=True)
class DirectLease(_Way):
    """The exporter at *address* (HOST:PORT), which serves without a controller, in the place of a `Lease`.

    *insecure* means no TLS; otherwise *tls_config* says which certificates to trust. *grpc_options* are the channel's.
    """

    address: str
    portal: BlockingPortal
    allow: list[str]
    unsafe: bool
    tls_config: TLSConfigV1Alpha1 = field(default_factory=TLSConfigV1Alpha1)
    grpc_options: dict[str, Any] = field(default_factory=dict)
    insecure: bool = False
    passphrase: str | None = field(default=None, repr=False)

    name: str = field(default="direct", init=False)
    exporter_name: str = field(default="direct", init=False)
    exporter_labels: dict[str, str] = field(default_factory=dict, init=False)
    release: bool = field(default=False, init=False)
    lease_ended: bool = field(default=False, init=False)
    lease_transferred: bool = field(default=False, init=False)
    lease_ending_callback: Callable[[Any, timedelta], object] | None = field(default=None, init=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    @asynccontextmanager
    async def _way(self) -> AsyncGenerator[tuple[str, _Connect]]:
        yield self.address, self._connect

    def _connect(self, stack: ExitStack, left: Callable[[], bool]) -> Any:
        channel = exporter_channel(
            self.address,
            options=(*CLIENT_OPTIONS, *grpc_options(self.grpc_options)),
            insecure=self.insecure,
            passphrase=self.passphrase,
            **tls_arguments(self.tls_config),
        )
        stack.callback(channel.close)
        if is_tcp(str(self.address)):
            stack.enter_context(reached_at(str(self.address)))
        stub = ExporterStub(channel)

        def status() -> Any:
            if left():
                raise TimeoutError("nobody waits for the exporter any more")
            try:
                return status_of(stub)
            except grpc.RpcError as error:
                raise connection_error(error) from None

        return self._client(channel, status, stack)


async def _running_loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()
