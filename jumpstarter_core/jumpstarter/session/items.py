"""The items of a driver's generator, for the thread that sends them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Final

from jumpstarter.common.portal import LazyPortal

#: Items that an async generator may be ahead of the client: before the first was sent, and once their size is known.
FIRST_AHEAD: Final = 16
AHEAD: Final = 256
#: Bytes that it may be ahead, on the wire; one item may exceed them.
AHEAD_BYTES: Final = 4 << 20


class Items:
    """Iterates what a driver method gave: an iterator, or an async one that runs on the loop of *portal*.

    `close` may come from another thread at any time, also while the driver computes an item: the generator is then closed
    as soon as it has given it.
    """

    def __init__(self, result: Any, portal: LazyPortal) -> None:
        if hasattr(result, "__aiter__"):
            self._inner: Iterator[Any] = _Pulled(result.__aiter__(), portal)
        else:
            self._inner = iter(result)
        self._closed = False

    def sent(self, size: int) -> None:
        """Tell that an item took *size* bytes: large ones are not computed far ahead."""
        if isinstance(self._inner, _Pulled):
            self._inner.ahead = max(1, min(AHEAD, AHEAD_BYTES // max(size, 1)))

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._closed:
            raise StopIteration
        try:
            item = next(self._inner)
        except GeneratorExit as error:
            # Only the driver can have raised it here; to gRPC it would mean that the call was dropped.
            raise RuntimeError(f"the generator raised GeneratorExit: {error}") from error
        if self._closed:
            self._close_inner()
            raise StopIteration
        return item

    def close(self) -> None:
        """End the generator; closing twice is fine."""
        self._closed = True
        # A generator that runs just now refuses; the thread that runs it closes it then, as soon as it has its item.
        with suppress(ValueError):
            self._close_inner()

    def _close_inner(self) -> None:
        close: Any = getattr(self._inner, "close", None)
        if close is not None:
            close()


class _Pulled:
    """An async iterator, run by a task on the loop, a bounded number of items ahead of its reader."""

    def __init__(self, source: AsyncIterator[Any], portal: LazyPortal) -> None:
        self._items: deque[Any] = deque()
        self._changed = threading.Condition()
        self._ended = False
        self._error: BaseException | None = None
        self._room: Any = None
        self.ahead = FIRST_AHEAD
        self._loop: Any = None
        self._future = portal.submit(self._pump(source))
        # Also when it is cancelled before it has begun.
        self._future.add_done_callback(self._finish)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        with self._changed:
            while not self._items and not self._ended:
                self._changed.wait()
            if not self._items:
                if self._error is not None:
                    raise self._error
                raise StopIteration
            item = self._items.popleft()
            if self._room is not None and len(self._items) <= self.ahead // 2:
                self._loop.call_soon_threadsafe(self._room.set)
                self._room = None
            return item

    def close(self) -> None:
        self._future.cancel()

    async def _pump(self, source: AsyncIterator[Any]) -> None:
        import asyncio

        self._loop = asyncio.get_running_loop()
        try:
            async for item in source:
                if (room := self._add(item)) is not None:
                    await room.wait()
        finally:
            aclose: Any = getattr(source, "aclose", None)
            if aclose is not None:
                await aclose()

    def _finish(self, future: Future[None]) -> None:
        with self._changed:
            self._error = None if future.cancelled() else future.exception()
            self._ended = True
            self._changed.notify()

    def _add(self, item: Any) -> Any:
        """Queue *item*; an event to wait for when the reader is far behind."""
        import asyncio

        with self._changed:
            self._items.append(item)
            self._changed.notify()
            if len(self._items) >= self.ahead:
                self._room = asyncio.Event()
            return self._room
