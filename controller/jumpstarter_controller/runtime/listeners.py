"""Exporters that listen on their lease, and the clients that dial them."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Final

#: Dials that may wait for an exporter to take them.
CAPACITY: Final = 64

#: Seconds for which a call is given to the next listener, too: so long a client waits at the router. Whether the exporter has
#: taken a call is not known. What is written into a connection may be lost, and a connection may be dead without a sign.
HANDED_ON: Final = 60.0


#: Leases whose cuts are counted: those of the latest cuts. Most of them are over.
REMEMBERED: Final = 10_000


@dataclass(frozen=True)
class Call:
    """What an exporter needs to meet a client at a router: *client* is who that is."""

    endpoint: str
    token: str
    client: str = ""


@dataclass(frozen=True)
class Cut:
    """What was there before is to end: the lease is over or another client's, or a token was revoked. *number* counts them."""

    number: int


class Busy(Exception):
    """Raised when the exporter does not take the calls that wait for it."""


@dataclass
class _Listener:
    """An exporter that listens. *passage* is the client that it has a passage open for, "" for none; *hears* of cuts."""

    passage: str
    hears: bool
    # Two places are for the words that end it, or what is there.
    calls: asyncio.Queue[Call | Cut | None] = field(default_factory=lambda: asyncio.Queue(CAPACITY + 2))

    def empty(self) -> None:
        while not self.calls.empty():
            self.calls.get_nowait()


class Listeners:
    """One listener a lease. A new one takes the place of the old, and is given the calls that may not have arrived.

    So an exporter may hear of a call twice. It hears of each cut before the calls that come after, also of one at a time when it
    did not listen. *clock* gives seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._listeners: dict[str, _Listener] = {}
        self._calls: dict[str, deque[tuple[float, Call]]] = {}
        self._cuts: dict[str, int] = {}
        self._arrival = asyncio.Condition()

    async def listen(
        self, lease: str, passage: str = "", cuts: int | None = None
    ) -> AsyncIterator[Call | Cut]:
        """The calls for *lease*. *passage* is the client that the exporter has a passage open for, "" for none.

        *cuts* is the number of the last cut that it has heard of, 0 for none; None: it does not want to.
        """
        self._end(lease)
        listener = self._listeners[lease] = _Listener(passage, cuts is not None)
        if cuts is not None:
            # A controller that was started anew goes on with the count of the exporter.
            last = self._cuts[lease] = max(cuts, self._cuts.get(lease, 0))
            if last > cuts:
                listener.calls.put_nowait(Cut(last))
        for recent in self._recent(lease):
            listener.calls.put_nowait(recent)
        async with self._arrival:
            self._arrival.notify_all()
        try:
            while (call := await listener.calls.get()) is not None:
                yield call
        finally:
            if self._listeners.get(lease) is listener:
                del self._listeners[lease]

    async def wait_for(self, lease: str, timeout: float) -> bool:
        """Wait until the exporter listens; False after *timeout* seconds."""
        try:
            async with asyncio.timeout(timeout), self._arrival:
                await self._arrival.wait_for(lambda: lease in self._listeners)
        except TimeoutError:
            return False
        return True

    def has(self, lease: str) -> bool:
        """Whether the exporter listens."""
        return lease in self._listeners

    def passage(self, lease: str) -> str:
        """The client that the exporter has a passage open for, "" when there is none."""
        listener = self._listeners.get(lease)
        return "" if listener is None else listener.passage

    def call(self, lease: str, call: Call) -> bool:
        """Tell the exporter; False when it does not listen. Raises Busy."""
        listener = self._listeners.get(lease)
        if listener is None:
            return False
        if listener.calls.qsize() >= CAPACITY:
            raise Busy
        listener.calls.put_nowait(call)
        self._calls.setdefault(lease, deque(maxlen=CAPACITY)).append((self._clock() + HANDED_ON, call))
        return True

    def cut(self, lease: str) -> None:
        """*lease* is over, or another client's, or a token was revoked: nobody waits for those who were called for it."""
        self._calls.pop(lease, None)
        number = self._cuts.pop(lease, 0) + 1
        self._cuts[lease] = number
        if len(self._cuts) > REMEMBERED:
            del self._cuts[next(iter(self._cuts))]
        listener = self._listeners.get(lease)
        if listener is not None:
            listener.empty()
            if listener.hears:
                listener.calls.put_nowait(Cut(number))

    def _recent(self, lease: str) -> list[Call]:
        now = self._clock()
        return [call for until, call in self._calls.get(lease, ()) if until > now]

    def close(self) -> None:
        """End all of them."""
        for lease in list(self._listeners):
            self._end(lease)

    def _end(self, lease: str) -> None:
        listener = self._listeners.pop(lease, None)
        if listener is not None:
            # What is still in the line goes to the next listener.
            listener.empty()
            listener.calls.put_nowait(None)
