"""The parts of a driver client that need no thread of their own, and the errors that its calls raise."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jumpstarter.common.enums import OPEN_STATUSES, ExporterStatus
from jumpstarter.common.exceptions import (
    DriverError,
    DriverInvalidArgument,
    DriverMethodNotImplemented,
    ExporterNotReady,
)
from jumpstarter.common.metadata import Metadata
from jumpstarter.common.streams import DriverStreamRequest, ResourceStreamRequest

from . import calls

if TYPE_CHECKING:
    from .status_monitor import StatusMonitor

__all__ = [
    "AsyncDriverClient",
    "DriverError",
    "DriverInvalidArgument",
    "DriverMethodNotImplemented",
    "ExporterNotReady",
]


@dataclass(kw_only=True)
class AsyncDriverClient(Metadata):
    """What a coroutine may ask of a driver. `stub` has the exporter's methods (`jumpstarter.client.transport`)."""

    stub: Any = field(repr=False)
    log_level: str = "INFO"
    logger: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.logger = logging.getLogger(type(self).__name__)
        self.logger.setLevel(self.log_level)
        self._monitor: Any = None

    async def call_async(self, method: str, *args: Any) -> Any:
        """`DriverClient.call` for coroutines."""
        from anyio import to_thread

        return await to_thread.run_sync(
            calls.call, self.stub, self.uuid, method, args, abandon_on_cancel=True
        )

    async def streamingcall_async(self, method: str, *args: Any) -> AsyncGenerator[Any]:
        """`DriverClient.streamingcall` for coroutines."""
        from anyio import to_thread

        items = calls.ItemStream(self.stub, self.uuid, method, args)
        try:
            while (
                item := await to_thread.run_sync(next, items, calls.END, abandon_on_cancel=True)
            ) is not calls.END:
                yield item
        finally:
            items.close()

    @asynccontextmanager
    async def stream_async(self, method: str = "connect") -> AsyncGenerator[Any]:
        """The byte stream of the exported *method*, as an anyio stream on the running loop."""
        from anyio import CancelScope, to_thread

        from .streams import open_async

        stream = await to_thread.run_sync(
            open_async, self.stub, DriverStreamRequest(uuid=self.uuid, method=method)
        )
        try:
            yield stream
        finally:
            with CancelScope(shield=True):
                await stream.aclose()

    @asynccontextmanager
    async def resource_async(
        self, stream: Any, content_encoding: str | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """A handle for the data that the anyio *stream* gives or takes; pass it to a call of a driver method.

        *content_encoding* says how the bytes of *stream* are compressed. The stream is closed with the context. What the body
        raises arrives as it is; a stream that breaks is an error for the driver, and is raised when the context is left.
        """
        from .lending import resource_of_stream

        request = ResourceStreamRequest(uuid=self.uuid, x_jmp_content_encoding=content_encoding)
        async with resource_of_stream(self.stub, request, stream) as handle:
            yield handle

    @asynccontextmanager
    async def log_stream_async(self, show_all_logs: bool = True) -> AsyncGenerator[None]:
        """`DriverClient.log_stream` for coroutines."""
        from anyio import CancelScope, to_thread

        from .logs import follow

        logs = follow(self.stub, show_all_logs)
        await to_thread.run_sync(logs.__enter__)
        try:
            yield
        finally:
            with CancelScope(shield=True):
                await to_thread.run_sync(logs.__exit__, None, None, None)

    async def get_status_async(self) -> ExporterStatus | None:
        """The exporter's status; None when it is too old to tell."""
        from anyio import to_thread

        return await to_thread.run_sync(calls.get_status, self.stub)

    async def end_session_async(self) -> bool:
        """Tell the exporter that the client is done; False when it has no lease or does not know the call."""
        from anyio import to_thread

        return await to_thread.run_sync(calls.end_session, self.stub)

    async def check_exporter_status(self) -> None:
        """Raise ExporterNotReady unless the exporter's drivers may be used now."""
        status = await self.get_status_async()
        if status is not None and status not in OPEN_STATUSES:
            raise ExporterNotReady(f"the exporter is not ready for driver calls (status: {status})")

    @asynccontextmanager
    async def status_monitor_async(self, poll_interval: float = 0.3) -> AsyncGenerator[StatusMonitor]:
        """A `StatusMonitor` that runs while the context lasts; `status` and the waits below use it."""
        from .status_monitor import StatusMonitor

        before = getattr(self, "_monitor", None)
        async with StatusMonitor(self.stub, poll_interval) as monitor:
            self._monitor = monitor
            try:
                yield monitor
            finally:
                self._monitor = before

    @property
    def status(self) -> ExporterStatus | None:
        """The exporter's status as the running monitor last saw it; None without one."""
        monitor = getattr(self, "_monitor", None)
        return None if monitor is None else monitor.status  # type: ignore[no-any-return]

    @asynccontextmanager
    async def _monitoring(self) -> AsyncGenerator[StatusMonitor]:
        """The running monitor, or one for this once."""
        monitor = getattr(self, "_monitor", None)
        if monitor is not None:
            yield monitor
            return
        async with self.status_monitor_async() as own:
            yield own

    async def wait_for_lease_ready(self, timeout: float = 300.0) -> None:
        """Return when the exporter is ready for use.

        Raises ExporterNotReady when a hook failed, the exporter is offline, or *timeout* seconds have passed.
        """
        async with self._monitoring() as monitor:
            await monitor.wait_for_lease_ready(timeout)

    async def wait_for_lease_ready_monitored(self, timeout: float = 300.0) -> None:
        """`wait_for_lease_ready`."""
        await self.wait_for_lease_ready(timeout)

    async def wait_for_hook_status(self, target_status: ExporterStatus, timeout: float = 60.0) -> bool:
        """Wait until the exporter has *target_status*; False when it has not after *timeout* seconds."""
        async with self._monitoring() as monitor:
            try:
                await monitor.wait_for_any_of({target_status}, timeout)
            except TimeoutError:
                return False
        return True

    async def wait_for_hook_complete_monitored(self, timeout: float = 60.0) -> bool:
        """Wait until the afterLease hook has ended; False when it has not after *timeout* seconds.

        Raises ExporterNotReady when the hook failed.
        """
        failed = ExporterStatus.AFTER_LEASE_HOOK_FAILED
        async with self._monitoring() as monitor:
            try:
                status = await monitor.wait_for_any_of({ExporterStatus.AVAILABLE, failed}, timeout)
            except TimeoutError:
                return False
            if status is failed:
                raise ExporterNotReady(f"the afterLease hook failed: {monitor.message or 'no reason given'}")
        return True
