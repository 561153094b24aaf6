"""Exporters that listen on their lease, and the clients that dial them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

#: Dials that may wait for an exporter to take them.
CAPACITY: Final = 64


@dataclass(frozen=True)
class Call:
    """What an exporter needs to meet a client at a router."""

    endpoint: str
    token: str


class Busy(Exception):
    """Raised when the exporter does not take the calls that wait for it."""


class Listeners:
    """One queue a lease. A new one takes the place of the old, which ends after what it had."""

    def __init__(self) -> None:
        self._queues: dict[str, asyncio.Queue[Call | None]] = {}
        self._passages: dict[str, str] = {}
        self._arrival = asyncio.Condition()

    async def listen(self, lease: str, passage: str = "") -> AsyncIterator[Call]:
        """The calls for *lease*. *passage* is the client that the exporter has a passage open for, "" for none."""
        # One place is for the word that ends it.
        queue: asyncio.Queue[Call | None] = asyncio.Queue(CAPACITY + 1)
        self._end(lease)
        self._queues[lease] = queue
        self._passages[lease] = passage
        async with self._arrival:
            self._arrival.notify_all()
        try:
            while (call := await queue.get()) is not None:
                yield call
        finally:
            if self._queues.get(lease) is queue:
                del self._queues[lease], self._passages[lease]

    async def wait_for(self, lease: str, timeout: float) -> bool:
        """Wait until the exporter listens; False after *timeout* seconds."""
        try:
            async with asyncio.timeout(timeout), self._arrival:
                await self._arrival.wait_for(lambda: lease in self._queues)
        except TimeoutError:
            return False
        return True

    def has(self, lease: str) -> bool:
        """Whether the exporter listens."""
        return lease in self._queues

    def passage(self, lease: str) -> str:
        """The client that the exporter has a passage open for, "" when there is none."""
        return self._passages.get(lease, "")

    def call(self, lease: str, call: Call) -> bool:
        """Tell the exporter; False when it does not listen. Raises Busy."""
        queue = self._queues.get(lease)
        if queue is None:
            return False
        if queue.qsize() >= CAPACITY:
            raise Busy
        queue.put_nowait(call)
        return True

    def close(self) -> None:
        """End all of them."""
        for lease in list(self._queues):
            self._end(lease)

    def _end(self, lease: str) -> None:
        queue = self._queues.pop(lease, None)
        self._passages.pop(lease, None)
        if queue is not None:
            queue.put_nowait(None)
