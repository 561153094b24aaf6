"""A bounded, one-way queue of byte chunks between threads and event loops.

Either end may be a thread (`put`, `get`) or a coroutine on any asyncio loop (`aput`, `aget`); one writer and one reader at a
time. What is queued is bounded by bytes, so a stalled reader stalls its writer and costs no memory beyond the bound.

States of a pipe: open, finished by the writer (the reader still gets what is queued, then None), closed by either side
(nothing more goes through; writers are told by False, readers get `error` or None).
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Final

from jumpstarter.common.interrupts import Bell, acquire

if TYPE_CHECKING:
    from asyncio import Future

#: Bytes queued before a writer has to wait: a few frames of the largest size.
DEFAULT_LIMIT: Final = 4 << 20


class Pipe:
    """See the module's text. *limit* is in bytes; one chunk may exceed it."""

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self._limit = limit
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._finished = False
        self._closed = False
        self._error: BaseException | None = None
        self._lock = threading.Lock()
        self._readable = Bell()
        self._writable = Bell()
        self._reader: _Waiter | None = None
        self._writer: _Waiter | None = None

    @property
    def closed(self) -> bool:
        """True once nothing more can be written."""
        return self._closed or self._finished

    # --- writing ---

    def put(self, chunk: bytes) -> bool:
        """Queue *chunk*, waiting for room; False when the pipe is closed and the chunk is lost."""
        while True:
            with self._lock:
                if self._size < self._limit or self.closed:
                    return self._append(chunk)
                room = self._writable.enroll()
            acquire(room)

    async def aput(self, chunk: bytes) -> bool:
        """Like `put`, for a coroutine."""
        while True:
            with self._lock:
                if self._size < self._limit or self.closed:
                    return self._append(chunk)
                waiter = self._writer = _Waiter()
            await waiter.wait()

    def finish(self) -> None:
        """End of data: the reader gets what is queued, then the end."""
        with self._lock:
            self._finished = True
            self._wake_all()

    # --- reading ---

    def get(self) -> bytes | None:
        """The next chunk, waiting for one; None at the end. Raises the error the pipe was closed with."""
        while True:
            with self._lock:
                if self._chunks or self.closed:
                    return self._pop()
                news = self._readable.enroll()
            acquire(news)

    def get_merged(self, most: int) -> bytes | None:
        """Like `get`, joined with what else is queued, up to *most* bytes. Only for bytes without boundaries."""
        first = self.get()
        if first is None or len(first) >= most or not self._chunks:
            return first
        parts, size = [first], len(first)
        with self._lock:
            while self._chunks and size + len(self._chunks[0]) <= most:
                size += len(self._chunks[0])
                parts.append(self._take())
        return b"".join(parts)

    async def aget(self) -> bytes | None:
        """Like `get`, for a coroutine."""
        while True:
            with self._lock:
                if self._chunks or self.closed:
                    return self._pop()
                waiter = self._reader = _Waiter()
            await waiter.wait()

    def close(self, error: BaseException | None = None) -> None:
        """Drop what is queued and end both sides; *error* is what the reader gets in place of the end."""
        with self._lock:
            if not self._closed:
                self._closed, self._error = True, error
                self._chunks.clear()
                self._size = 0
            self._wake_all()

    # --- inside, with the lock held ---

    def _append(self, chunk: bytes) -> bool:
        if self.closed:
            return False
        self._chunks.append(chunk)
        self._size += len(chunk)
        self._readable.ring()
        if self._reader is not None:
            self._reader.wake()
            self._reader = None
        return True

    def _take(self) -> bytes:
        chunk = self._chunks.popleft()
        self._size -= len(chunk)
        if self._size < self._limit:
            self._writable.ring()
            if self._writer is not None:
                self._writer.wake()
                self._writer = None
        return chunk

    def _pop(self) -> bytes | None:
        if self._chunks:
            return self._take()
        if self._error is not None:
            raise self._error
        return None

    def _wake_all(self) -> None:
        self._readable.ring()
        self._writable.ring()
        for waiter in (self._reader, self._writer):
            if waiter is not None:
                waiter.wake()
        self._reader = self._writer = None


class _Waiter:
    """A coroutine that waits for a pipe, woken from any thread."""

    def __init__(self) -> None:
        from asyncio import get_running_loop  # left to the first coroutine: most clients have none

        self._loop = get_running_loop()
        self._future: Future[None] = self._loop.create_future()

    async def wait(self) -> None:
        await self._future

    def wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._set)
        except RuntimeError:
            # The loop has ended, and the coroutine with it.
            return

    def _set(self) -> None:
        if not self._future.done():
            self._future.set_result(None)
