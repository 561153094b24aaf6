"""Waiting for an exporter whose connection broke: calls that come meanwhile wait, instead of failing at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import grpc

from jumpstarter.common.durations import format_duration
from jumpstarter.common.repeats import REPEATS_KEY

#: Seconds after which it is told that something waits, and again.
FIRST_WORD: Final = 0.5
AGAIN: Final = 5.0
#: Seconds that a call waits for an exporter for which one before has waited in vain.
GIVEN_UP: Final = 5.0
#: Seconds for an exporter to say who it is.
REPORT_TIMEOUT: Final = 10.0
#: Why, where nothing else is known.
BROKE: Final = "its connection broke"

_READY: Final = grpc.ChannelConnectivity.READY
_REPORT: Final = "/jumpstarter.v1.ExporterService/GetReport"


class Lost(Exception):
    """Raised when there is nothing to wait for any more; the text says why."""


def _nothing() -> str | None:
    return None


@dataclass(frozen=True)
class Waits:
    """How an exporter is waited for.

    Attributes:
        limit: seconds that a call waits at the most.
        tell: gets lines for the user.
        name: what the exporter is called in them.
        over: says, on a thread, why there is nothing to wait for; None while there is.
        why: says, on a thread, why the exporter cannot be reached; None when nothing is known.
        explain: the same for a call that failed and does not wait.
    """

    limit: float = 0.0
    tell: Callable[[str], object] = lambda text: None
    name: str = ""
    over: Callable[[], str | None] = _nothing
    why: Callable[[], str | None] = _nothing
    explain: Callable[[], str | None] = _nothing

    def waiting(self, seconds: float, reason: str | None) -> str:
        """What to tell when something has waited for *seconds*, 0 for the first word, because of *reason*, if it is known."""
        since = f" (for {_duration(seconds)} now)" if seconds else ""
        return f"Waiting for exporter {self.name}: {reason or BROKE}{since}"

    def gone(self, seconds: float, reason: str | None) -> str:
        """Why a wait of *seconds* is given up."""
        return f"exporter {self.name} did not come back within {_duration(seconds)}: {reason or BROKE}"

    @property
    def back(self) -> str:
        """That the exporter is there again."""
        return f"Exporter {self.name} answers again"


@dataclass(frozen=True)
class Session:
    """Whom the connection leads to: the session's UUID, and whether calls can be made again there. "" while it is not known."""

    uuid: str = ""
    repeats: bool = False


class Patience:
    """Follows the connection of *channel* during `following`, keeps it open, and has calls wait for it while it is `waiting`."""

    def __init__(self, channel: grpc.aio.Channel, waits: Waits) -> None:
        self._channel = channel
        self.waits = waits
        self._ready = asyncio.Event()
        self._loss = asyncio.Event()
        self._active = False
        self._in_vain = False
        self._waiting_calls = 0
        self._told_at = 0.0
        self.session = Session()

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Follow the connection while the context lasts."""
        task = asyncio.create_task(self._follow())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """While the context lasts, calls wait."""
        self._active = True
        try:
            yield
        finally:
            self._active = False

    @property
    def active(self) -> bool:
        """Whether calls wait now."""
        return self._active and self.waits.limit > 0

    async def ready(self) -> None:
        """Wait until there is a connection. Raises Lost when there is none in time, or when it would be of no use."""
        if self._ready.is_set() or not self.active:
            return
        self._waiting_calls += 1
        try:
            await self._until_ready()
        finally:
            self._waiting_calls -= 1

    @property
    def loss(self) -> asyncio.Event:
        """Is set when the connection that there is now has broken."""
        return self._loss

    async def _follow(self) -> None:
        connected = False
        while (
            state := self._channel.get_state(try_to_connect=True)
        ) is not grpc.ChannelConnectivity.SHUTDOWN:
            if connected or state is not _READY:
                self._ready.clear()
                self._loss.set()
                self._loss = asyncio.Event()
            connected = state is _READY and await self._connected()
            await self._channel.wait_for_state_change(state)

    async def _connected(self) -> bool:
        """There is a connection: find out whom it leads to, and let calls go."""
        found, before = await self._ask(), self.session
        if found is None:
            return self._channel.get_state() is _READY and self._let_go()
        self.session = found
        if before.uuid and found.uuid != before.uuid and self.active:
            self.waits.tell(
                f"Exporter {self.waits.name} was started anew: its drivers are fresh, without what was set or opened before"
            )
        elif self._waiting_calls and self._told_at:
            self.waits.tell(self.waits.back)
        return self._let_go()

    def _let_go(self) -> bool:
        self._in_vain, self._told_at = False, 0.0
        self._ready.set()
        return True

    async def _ask(self) -> Session | None:
        """Who is there; None when that cannot be told."""
        from jumpstarter_protocol import jumpstarter_pb2 as pb

        ask: Any = self._channel.unary_unary(_REPORT)
        call = ask(b"", timeout=REPORT_TIMEOUT)
        try:
            report = pb.GetReportResponse.FromString(await call)
            told = await call.trailing_metadata() or ()
        except grpc.aio.AioRpcError:
            return None
        return Session(report.uuid, any(key == REPEATS_KEY for key, _ in told))

    async def _until_ready(self) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        deadline = begun + (min(self.waits.limit, GIVEN_UP) if self._in_vain else self.waits.limit)
        ready = asyncio.create_task(self._ready.wait())
        try:
            pause = FIRST_WORD
            while not await self._within(ready, min(pause, deadline - loop.time())):
                if loop.time() >= deadline:
                    self._in_vain = True
                    raise Lost(await self._gone(loop.time() - begun))
                await self._tell(ready, loop.time() - begun)
                pause = AGAIN
        finally:
            ready.cancel()

    async def _within(self, ready: asyncio.Task[Any], seconds: float) -> bool:
        """Whether there is a connection within *seconds*. Raises Lost when it would be of no use."""
        over = asyncio.create_task(asyncio.to_thread(self.waits.over))
        deadline = asyncio.get_running_loop().time() + max(seconds, 0)
        await asyncio.wait({ready, over}, timeout=max(seconds, 0), return_when=asyncio.FIRST_COMPLETED)
        if not ready.done() and over.done() and (reason := over.result()) is not None:
            raise Lost(reason)
        left = deadline - asyncio.get_running_loop().time()
        await asyncio.wait({ready}, timeout=max(left, 0))
        return ready.done()

    async def _tell(self, ready: asyncio.Task[Any], seconds: float) -> None:
        """Tell the user what is waited for, once for all who wait."""
        now = asyncio.get_running_loop().time()
        if self._told_at and now - self._told_at < AGAIN - 1:
            return
        first, self._told_at = not self._told_at, now
        why = asyncio.create_task(asyncio.to_thread(self.waits.why))
        await asyncio.wait({ready, why}, return_when=asyncio.FIRST_COMPLETED)
        reason = why.result() if why.done() else None
        self.waits.tell(self.waits.waiting(0 if first else seconds, reason))

    async def _gone(self, seconds: float) -> str:
        return self.waits.gone(seconds, await asyncio.to_thread(self.waits.why))


def _duration(seconds: float) -> str:
    return format_duration(timedelta(seconds=max(round(seconds), 1)))
