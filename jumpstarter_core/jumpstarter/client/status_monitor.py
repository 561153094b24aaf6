"""Following the status of an exporter.

The protocol has no call that tells of changes, so the monitor asks: every `poll_interval` seconds while someone waits, and
seldom while nobody does. An exporter that is too old to tell its status counts as ready.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import grpc

from jumpstarter.common.enums import ExporterStatus
from jumpstarter.common.errors import connection_error
from jumpstarter.common.exceptions import ExporterNotReady
from jumpstarter.common.printable import printable

from .calls import CONTROL_TIMEOUT

if TYPE_CHECKING:
    import anyio
    from anyio.abc import TaskGroup

#: Seconds between two questions while nobody waits.
IDLE_INTERVAL: Final = 5.0
#: As often in a row may an exporter not answer before its connection counts as lost.
MAX_SILENCES: Final = 20

#: What a lease does not come back from.
FAILED: Final = frozenset(
    {
        ExporterStatus.OFFLINE,
        ExporterStatus.BEFORE_LEASE_HOOK_FAILED,
        ExporterStatus.AFTER_LEASE_HOOK_FAILED,
    }
)


class StatusMonitor:
    """Asks for the status on the running event loop while its ``async with`` block lasts.

    *stub* has a ``GetStatus``, for threads or of grpc.aio. With *get_status_unsupported* the exporter is known not to have
    the call.
    """

    def __init__(self, stub: Any, poll_interval: float = 0.3, get_status_unsupported: bool = False) -> None:
        self._stub = stub
        self._interval = poll_interval
        self._unsupported = get_status_unsupported
        self._status = ExporterStatus.LEASE_READY if get_status_unsupported else None
        self._message = ""
        self._version: int | None = None
        self._previous: ExporterStatus | None = None
        self._silences = 0
        self._waiting = 0
        self._error: Exception | None = None
        self._tasks: TaskGroup | None = None
        self._asked: anyio.Event | None = None
        self._wanted: anyio.Event | None = None

    @property
    def status(self) -> ExporterStatus | None:
        """The last status that the exporter told; None before the first answer."""
        return self._status

    @property
    def message(self) -> str:
        """What the exporter said about its last status."""
        return self._message

    @property
    def connection_lost(self) -> bool:
        """True when the exporter has not answered for so long that nothing more is expected."""
        return self._error is not None

    async def wait_for_any_of(self, statuses: Collection[ExporterStatus], timeout: float) -> ExporterStatus:
        """The first of *statuses* that the exporter has, or had between two questions.

        Raises TimeoutError after *timeout* seconds, ConnectionError when the connection is lost.
        """
        from anyio import Event, fail_after

        if self._tasks is None:
            raise RuntimeError("the monitor does not run: use it inside its 'async with' block")
        self._waiting += 1
        if self._wanted is not None:
            self._wanted.set()
        try:
            with fail_after(timeout):
                while (found := self._reached(statuses)) is None:
                    if self._error is not None:
                        raise self._error
                    if self._asked is None:
                        self._asked = Event()
                    await self._asked.wait()
                return found
        finally:
            self._waiting -= 1

    async def wait_for_lease_ready(self, timeout: float = 300.0) -> None:
        """Return when the exporter's lease is ready for use.

        Raises ExporterNotReady when a hook failed, the exporter goes offline, or *timeout* seconds have passed.
        """
        try:
            status = await self.wait_for_any_of({ExporterStatus.LEASE_READY, *FAILED}, timeout)
        except TimeoutError:
            raise ExporterNotReady(
                f"the exporter is not ready after {timeout:g} s (status: {self._status}): see its log"
            ) from None
        if status is not ExporterStatus.LEASE_READY:
            reason = self._message or "no reason given, see its log"
            raise ExporterNotReady(f"the exporter is not ready (status: {status}): {reason}")

    def _reached(self, statuses: Collection[ExporterStatus]) -> ExporterStatus | None:
        for status in (self._status, self._previous):
            if status is not None and status in statuses:
                return status
        return None

    async def __aenter__(self) -> Self:
        from anyio import create_task_group

        self._tasks = create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._follow)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._tasks is not None
        tasks, self._tasks = self._tasks, None
        tasks.cancel_scope.cancel()
        # Without the block's own error: a task group would wrap it.
        await tasks.__aexit__(None, None, None)

    async def _follow(self) -> None:
        from anyio import Event, move_on_after, sleep

        while self._error is None and not self._unsupported:
            await self._ask()
            asked, self._asked = self._asked, None
            if asked is not None:
                asked.set()
            if self._waiting:
                await sleep(self._interval)
            else:
                self._wanted = Event()
                with move_on_after(IDLE_INTERVAL):
                    await self._wanted.wait()

    async def _ask(self) -> None:
        try:
            answer = await self._get()
        except grpc.RpcError as error:
            self._not_answered(error)
            return
        self._silences = 0
        if answer.status_version == self._version:
            return
        # A status that came and went between two questions is told as the previous one.
        jumped = self._version is not None and answer.status_version > self._version + 1
        told = jumped and answer.HasField("previous_status")
        self._previous = ExporterStatus.from_proto(answer.previous_status) if told else None
        self._status = ExporterStatus.from_proto(answer.status)
        self._message, self._version = printable(answer.message), answer.status_version

    async def _get(self) -> Any:
        from anyio import to_thread
        from jumpstarter_protocol import jumpstarter_pb2

        get = partial(self._stub.GetStatus, jumpstarter_pb2.GetStatusRequest(), timeout=CONTROL_TIMEOUT)
        if isinstance(get.func, grpc.aio.UnaryUnaryMultiCallable):
            return await get()
        return await to_thread.run_sync(get, abandon_on_cancel=True)

    def _not_answered(self, error: grpc.RpcError) -> None:
        code = error.code()
        if code is grpc.StatusCode.UNIMPLEMENTED:
            self._unsupported, self._status = True, ExporterStatus.LEASE_READY
        elif code is grpc.StatusCode.DEADLINE_EXCEEDED:
            self._silences += 1
            if self._silences >= MAX_SILENCES:
                self._error = connection_error(error)
        elif code is not grpc.StatusCode.UNAVAILABLE:
            self._error = connection_error(error)
        # An exporter that restarts is unavailable for a while: the waiter's time limit bounds it.
