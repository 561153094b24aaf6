"""A driver tree served to clients over gRPC.

`Session` owns everything that lives as long as one lease: the drivers, their event loop, the call threads, the log
subscriptions and the servers. It is a context manager; leaving it ends the calls and closes the drivers, once.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID, uuid4

from jumpstarter_protocol import jumpstarter_pb2 as pb

from jumpstarter.common.enums import ExporterStatus, LogSource
from jumpstarter.common.interrupts import Shield, run_aside
from jumpstarter.common.metadata import NAME_LABEL
from jumpstarter.common.portal import LazyPortal
from jumpstarter.common.tempfile import TemporarySocket
from jumpstarter.driver import Driver
from jumpstarter.driver.base import Node, close_logged
from jumpstarter.driver.calls import MethodTable
from jumpstarter.streams.compression import usable_compressions

from .executor import DaemonExecutor
from .identity import name_drivers
from .logs import LogHub
from .status import SessionStatus

if TYPE_CHECKING:
    import grpc

    from jumpstarter.common.fetching import FetchPolicy

    from .repeats import RepeatedCalls
    from .service import ExporterService

    Interceptor = grpc.ServerInterceptor | grpc.aio.ServerInterceptor

__all__ = ["Session"]


class Session:
    """See the module's text.

    *fetch_policy* says which hosts drivers may connect to when clients name them; None: any.
    *motd* is shown by newer clients before an interactive shell. `on_end_session` is called when a client says that it is
    done; None outside a lease. A program that runs leases itself may set `lease_context` instead, whose
    `end_session_requested` is set then. With *identity* the drivers have the same UUIDs in every session of that identity,
    and those of before do for clients that live on.
    """

    def __init__(
        self,
        *,
        root_device: Driver,
        uuid: UUID | None = None,
        labels: dict[str, str] | None = None,
        motd: str = "",
        fetch_policy: FetchPolicy | None = None,
        identity: str | None = None,
    ) -> None:
        self.uuid = uuid or uuid4()
        self.labels = labels or {}
        self.root_device = root_device
        self.motd = motd
        self.status = SessionStatus()
        self.logs = LogHub()
        self.portal = LazyPortal("the exporter session")
        self.executor = DaemonExecutor()
        self.encodings = usable_compressions()
        self.on_end_session: Callable[[], None] | None = None
        self._lease_context: Any = None
        if identity is not None:
            name_drivers(root_device, identity)
        # Raises here, before anything is served, when a proxy refers to nothing.
        self._nodes: list[Node] = root_device.enumerate()
        self._mapping = {driver.uuid: driver for _, _, _, driver in self._nodes}
        self.methods = MethodTable(self._mapping)
        for driver in self._mapping.values():
            driver.fetch_policy = fetch_policy
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        logging.getLogger().addHandler(self.logs)
        self._stack.callback(logging.getLogger().removeHandler, self.logs)
        self._stack.callback(close_logged, self.root_device, "root")
        self._stack.callback(self.portal.close)
        self._stack.callback(self.executor.shutdown)
        try:
            self.root_device.reset()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def lease_context(self) -> Any:
        """The `jumpstarter.exporter.lease_context.LeaseContext` that a program has set; None without one."""
        return self._lease_context

    @lease_context.setter
    def lease_context(self, context: Any) -> None:
        self._lease_context = context
        self.on_end_session = None if context is None else _requesting(context)

    @property
    def name(self) -> str:
        """The name in the labels, or "unknown"."""
        return self.labels.get(NAME_LABEL, "unknown")

    @property
    def mapping(self) -> dict[UUID, Driver]:
        """The drivers by uuid."""
        return self._mapping

    def __getitem__(self, uuid: UUID) -> Driver:
        return self._mapping[uuid]

    def report(self) -> pb.GetReportResponse:
        """The driver tree as clients get it, parents first."""
        reports = [driver.report(parent=parent, name=name) for _, parent, name, driver in self._nodes]
        return pb.GetReportResponse(uuid=str(self.uuid), labels=self.labels, reports=reports, motd=self.motd)

    def update_status(self, status: int | ExporterStatus, message: str = "") -> None:
        """Change the status that clients see and that opens or closes the drivers to them, whatever it was before."""
        self.status.update(status, message, checked=False)

    def add_logger_source(self, logger_name: str, source: LogSource) -> None:
        """Tell clients that lines of *logger_name* come from *source*."""
        self.logs.add_source(logger_name, source)

    def context_log_source(self, logger_name: str, source: LogSource) -> Any:
        """`add_logger_source` while the context lasts."""
        return self.logs.context_source(logger_name, source)

    @contextmanager
    def serve_unix(
        self, path: str | Path | None = None, *, tls_credentials: grpc.ServerCredentials | None = None
    ) -> Generator[Path]:
        """Serve on a unix socket; gives its path. Without *path*, in a new folder that only this user can enter.

        *tls_credentials* are for a socket that leads to clients elsewhere.
        """
        with ExitStack() as stack:
            if path is None:
                path = stack.enter_context(TemporarySocket())
            stack.enter_context(self._serving(f"unix:{path}", tls_credentials))
            yield Path(path)

    @contextmanager
    def serve_tcp(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        tls_credentials: grpc.ServerCredentials | None = None,
        passphrase: str | None = None,
        interceptors: Sequence[Interceptor] = (),
    ) -> Generator[int]:
        """Serve on *host* and *port* (0: a free one); gives the port.

        Without *tls_credentials* the connection is plain. With *passphrase* calls that do not carry it are refused; those on
        unix sockets never need it. *interceptors* may be those of grpc.aio. Raises
        jumpstarter.common.exceptions.ConnectionError when the port is in use.
        """
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        with self._serving(address, tls_credentials, passphrase, interceptors) as bound:
            yield bound

    @contextmanager
    def _serving(
        self,
        address: str,
        credentials: grpc.ServerCredentials | None = None,
        passphrase: str | None = None,
        interceptors: Sequence[Interceptor] = (),
    ) -> Generator[int]:
        from .server import bind, create_server
        from .streams import RouterService

        fitting: list[grpc.ServerInterceptor] = []
        if interceptors:
            from .interceptors import adapted

            fitting = [adapted(interceptor, self.portal) for interceptor in interceptors]
        exporter, repeated = self._calls
        services = exporter, RouterService(self), repeated
        with Shield():
            # A unix socket with TLS is the exporter's end of a passage.
            far = credentials is not None and address.startswith("unix:")
            server = create_server(self.executor, *services, passphrase, fitting, far=far)
        try:
            with Shield():
                port = bind(server, address, credentials)
                server.start()
            yield port
        finally:
            run_aside(lambda: server.stop(None).wait(), None, "jumpstarter-stop")

    @cached_property
    def _calls(self) -> tuple[ExporterService, RepeatedCalls]:
        # All servers of a session know the calls that are made again: callers come back by another one.
        from .repeats import RepeatedCalls
        from .service import ExporterService

        exporter = ExporterService(self)
        return exporter, RepeatedCalls(exporter, str(self.uuid))

    @asynccontextmanager
    async def serve_unix_async(self) -> AsyncGenerator[Path]:
        """`serve_unix` for coroutines."""
        with self.serve_unix() as path:
            yield path

    @asynccontextmanager
    async def serve_port_async(self, port: str) -> AsyncGenerator[None]:
        """Serve on a gRPC address such as ``unix:/run/x.sock`` or ``127.0.0.1:1234``."""
        with self._serving(port):
            yield

    @asynccontextmanager
    async def serve_multi_port_async(self, *ports: str) -> AsyncGenerator[None]:
        """`serve_port_async` for several addresses."""
        with ExitStack() as stack:
            for port in ports:
                stack.enter_context(self._serving(port))
            yield

    @asynccontextmanager
    async def serve_tcp_async(
        self,
        host: str,
        port: int,
        *,
        tls_credentials: grpc.ServerCredentials | None = None,
        interceptors: Sequence[Interceptor] | None = None,
        passphrase: str | None = None,
    ) -> AsyncGenerator[int]:
        """`serve_tcp` for coroutines."""
        with self.serve_tcp(
            host,
            port,
            tls_credentials=tls_credentials,
            passphrase=passphrase,
            interceptors=interceptors or (),
        ) as bound:
            yield bound

    @asynccontextmanager
    async def serve_tcp_and_unix_async(
        self,
        host: str,
        port: int,
        unix_path: str | Path | None = None,
        *,
        tls_credentials: grpc.ServerCredentials | None = None,
        interceptors: Sequence[Interceptor] | None = None,
        passphrase: str | None = None,
    ) -> AsyncGenerator[tuple[int, Path]]:
        """`serve_tcp`, and `serve_unix` for hooks on this machine, which takes calls without a passphrase or TLS.

        Gives port and path.
        """
        options: Any = {"tls_credentials": tls_credentials, "interceptors": interceptors}
        async with self.serve_tcp_async(host, port, passphrase=passphrase, **options) as bound:
            with self.serve_unix(unix_path) as path:
                yield bound, path

    @asynccontextmanager
    async def serve_unix_with_hook_socket_async(self) -> AsyncGenerator[tuple[Path, Path]]:
        """Two unix sockets, one for clients and one for hooks, which stays usable while clients come and go."""
        with self.serve_unix() as path, self.serve_unix() as hook_path:
            yield path, hook_path


def _requesting(context: Any) -> Callable[[], None]:
    """Tells a program that its lease is to end. Its event belongs to the loop that runs now; calls come on other threads."""
    import asyncio

    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        loop = None

    def request() -> None:
        if loop is None:
            context.end_session_requested.set()
        else:
            loop.call_soon_threadsafe(context.end_session_requested.set)

    return request
