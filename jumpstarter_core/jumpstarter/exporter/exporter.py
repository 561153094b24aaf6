"""The exporter service for programs: a board in a lab, or served to clients directly, for as long as a program wants."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from anyio import CancelScope
from jumpstarter_exporter.record import record_path
from jumpstarter_exporter.service import FAILED
from jumpstarter_exporter.service import Exporter as Service
from jumpstarter_exporter.setup import Setup, require_controller
from jumpstarter_exporter.standalone import HookFailed, Hooks, standalone_lease

from jumpstarter.common.fetching import FetchPolicy
from jumpstarter.common.metadata import Metadata
from jumpstarter.config.exporter import ExporterConfigV1Alpha1, FailureDetectionConfigV1Alpha1
from jumpstarter.config.tls import TLSConfigV1Alpha1
from jumpstarter.session import Session

from .hooks import HookExecutor

if TYPE_CHECKING:
    import grpc

    from jumpstarter.driver import Driver

__all__ = ["Exporter"]

T = TypeVar("T")

logger = logging.getLogger("jumpstarter.exporter")


@dataclass(kw_only=True)
class Exporter(Metadata):
    """One exporter: ``async with Exporter(...) as exporter: await exporter.serve()``.

    *channel_factory* gives a channel to the controller, with credentials that say which exporter calls (as those of
    `jumpstarter.config.grpc.call_credentials`). *device_factory* makes the drivers, new ones for every lease. *tls* and
    *grpc_options* are for the routers of the lab. *hook_executor* has the hooks around every lease, *labels* are told to the
    controller, *motd* to clients. With *exit_on_lease_end* the exporter ends with its first lease. *token* is for the program's
    own use: what the controller is told is up to *channel_factory*.
    """

    channel_factory: Callable[[], Awaitable[grpc.aio.Channel]]
    device_factory: Callable[[], Driver]
    tls: TLSConfigV1Alpha1 = field(default_factory=TLSConfigV1Alpha1)
    grpc_options: dict[str, Any] = field(default_factory=dict)
    hook_executor: HookExecutor | None = None
    motd: str | None = None
    exit_on_lease_end: bool = False
    token: str | None = field(default=None, repr=False)

    _failure_detection: FailureDetectionConfigV1Alpha1 = field(
        default_factory=FailureDetectionConfigV1Alpha1, init=False, repr=False
    )
    _names: tuple[str, str] = field(default=("of this program", "its channel's end"), init=False, repr=False)
    #: The file that outlives the process; None where there is none.
    _record: Path | None = field(default=None, init=False, repr=False)
    _fetch_policy: FetchPolicy = field(default_factory=FetchPolicy, init=False, repr=False)
    _exit_code: int | None = field(default=None, init=False, repr=False)
    #: Ends what runs, once it runs: gets `wait_for_lease_exit` and `should_unregister`.
    _end: Callable[[bool, bool], None] | None = field(default=None, init=False, repr=False)
    _stopped: tuple[bool, bool] | None = field(default=None, init=False, repr=False)
    _over: asyncio.Event | None = field(default=None, init=False, repr=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """What still runs, in another task, is stopped and waited for."""
        if self._end is not None and self._over is not None:
            self.stop(should_unregister=True)
            with CancelScope(shield=True):
                await self._over.wait()

    @property
    def exit_code(self) -> int | None:
        """What the program should end with: as `stop` was told, 1 after a hook that ends the exporter; None without either."""
        return self._exit_code

    def stop(
        self,
        wait_for_lease_exit: bool = False,
        should_unregister: bool = False,
        exit_code: int | None = None,
    ) -> None:
        """End `serve` or `serve_standalone_tcp`: now, with the lease's afterLease hook, or when the lease has ended.

        The controller is told with *should_unregister* only; without, the exporter is offline to it. May be called before
        either of them runs, too, and on its loop.
        """
        if exit_code is not None:
            self._exit_code = exit_code
        self._stopped = (wait_for_lease_exit, should_unregister)
        if self._end is not None:
            self._end(*self._stopped)

    async def serve(self) -> None:
        """Serve the clients of the lab until `stop`; cancelling stops, too, and tells the controller nothing.

        Raises ConfigurationError when a driver does not work, and ConnectionError when the controller does not take the
        exporter.
        """
        service = Service(self._setup(), self._hooks())

        def end(after_lease: bool, leave: bool) -> None:
            service.stop(after_lease=after_lease, leave=leave)

        code = await self._run(service.run(), end)
        if code and self._exit_code is None:
            self._exit_code = code

    async def serve_standalone_tcp(
        self,
        host: str,
        port: int,
        *,
        tls_credentials: grpc.ServerCredentials | None = None,
        interceptors: Sequence[grpc.ServerInterceptor | grpc.aio.ServerInterceptor] | None = None,
    ) -> None:
        """Serve clients on *host* and *port* without a controller, with the hooks around it, until `stop`.

        Without *tls_credentials* the connection is plain. A hook that fails and is to end the lease or the exporter ends this
        with the exit code 1. Raises ConnectionError when the port is in use.
        """
        from jumpstarter_exporter.hooks import Interrupt

        over, interrupt = threading.Event(), Interrupt()

        def end(after_lease: bool, leave: bool) -> None:
            over.set()
            interrupt()

        def serve() -> None:
            options: Any = {"tls_credentials": tls_credentials, "interceptors": interceptors or ()}
            with (
                self._session() as session,
                session.serve_unix() as hook_path,
                session.serve_tcp(host, port, **options) as bound,
            ):
                logger.info("the exporter listens on %s:%s", host, bound)
                with standalone_lease(session, self._hooks(), str(hook_path), interrupt):
                    over.wait()

        try:
            await self._run(asyncio.to_thread(serve), end)
        except HookFailed as error:
            logger.error("%s", error)
            self._exit_code = FAILED

    def _session(self) -> Session:
        return Session(
            root_device=self.device_factory(),
            labels=self.labels,
            motd=self.motd or "",
            fetch_policy=self._fetch_policy,
        )

    def _hooks(self) -> Hooks:
        return Hooks() if self.hook_executor is None else Hooks.configured(self.hook_executor.config)

    def _setup(self) -> Setup:
        name, controller = self._names
        return Setup(
            make_device=self.device_factory,
            connect=self.channel_factory,
            labels=self.labels,
            tls=self.tls,
            grpc_options=self.grpc_options,
            name=name,
            controller=controller,
            motd=self.motd or "",
            record=self._record,
            exit_on_lease_end=self.exit_on_lease_end,
            failure_detection=self._failure_detection,
            fetch_policy=self._fetch_policy,
        )

    async def _run(self, work: Coroutine[Any, Any, T], end: Callable[[bool, bool], None]) -> T:
        """What *work* gives, which *end* ends: in a task of its own, so that a cancelled caller leaves it in order."""
        task = asyncio.create_task(work)
        self._over, self._end = asyncio.Event(), end
        try:
            if self._stopped is not None:
                end(*self._stopped)
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            end(False, False)
            with CancelScope(shield=True):
                await asyncio.gather(task, return_exceptions=True)
            raise
        finally:
            self._end = self._stopped = None
            self._over.set()


def from_config(config: ExporterConfigV1Alpha1) -> Exporter:
    """The exporter that *config* describes. `serve` raises ConfigurationError when that names no controller."""

    async def connect() -> grpc.aio.Channel:
        from jumpstarter_exporter.link import secure_channel

        from jumpstarter.config.grpc import call_credentials

        endpoint, token = require_controller(config)
        calls = call_credentials("Exporter", config.metadata, token)
        return await secure_channel(endpoint, config.tls, config.grpcOptions, calls)

    has_hooks = config.hooks.before_lease is not None or config.hooks.after_lease is not None
    exporter = Exporter(
        channel_factory=connect,
        device_factory=config.instantiate,
        tls=config.tls,
        grpc_options=dict(config.grpcOptions),
        hook_executor=HookExecutor(config=config.hooks) if has_hooks else None,
        motd=config.motd,
        exit_on_lease_end=config.exitOnLeaseEnd,
        token=config.token,
    )
    exporter._fetch_policy = config.fetch_policy
    exporter._failure_detection = config.failure_detection
    exporter._names = (config.metadata.name, config.endpoint or "")
    exporter._record = record_path(
        config.endpoint or "", config.metadata.namespace or "", config.metadata.name
    )
    return exporter
