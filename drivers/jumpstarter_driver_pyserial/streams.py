"""Serial ports as anyio byte streams."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import ByteStream, ObjectStream
from anyio.lowlevel import checkpoint
from jumpstarter.streams.bridge import PipeStream
from jumpstarter.streams.pipe import Pipe

if TYPE_CHECKING:
    from serial import SerialBase

#: Seconds that a closed port may go on writing what it was given.
DRAIN_TIMEOUT = 2.0


@dataclass
class AsyncSerial(ByteStream):
    """A serial line made of a stream to read from and one to write to (which may be the same).

    A serial line has no end of sending, so `send_eof` does nothing.

    Args:
        reader: anyio stream with the line's output
        writer: anyio stream for its input
        cps: characters per second to send at most; None for no limit
    """

    reader: Any
    writer: Any
    cps: float | None = None

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Return what has arrived. Raises anyio's errors of the reader."""
        return bytes(await self.reader.receive(max_bytes))

    async def send(self, item: bytes) -> None:
        """Write all of *item*, at `cps` at most. Raises anyio's errors of the writer."""
        await _send_paced(self.writer.send, item, self.cps)

    async def send_eof(self) -> None:
        """Do nothing: see the class."""

    async def aclose(self) -> None:
        """Close both streams."""
        await self.writer.aclose()
        await self.reader.aclose()


@dataclass
class ThrottledStream(ObjectStream[bytes]):
    """*stream* with its sending held to *cps* characters per second (None: no limit)."""

    stream: Any
    cps: float | None = None

    async def receive(self) -> bytes:
        """Return what the stream gives."""
        return bytes(await self.stream.receive())

    async def send(self, item: bytes) -> None:
        """Send all of *item*, at `cps` at most."""
        await _send_paced(self.stream.send, item, self.cps)

    async def send_eof(self) -> None:
        """Pass the end of sending on."""
        await self.stream.send_eof()

    async def aclose(self) -> None:
        """Close the stream."""
        await self.stream.aclose()


async def _send_paced(send: Callable[[bytes], Awaitable[None]], item: bytes, cps: float | None) -> None:
    if not cps:
        await send(item)
        return
    # Against the clock and not by fixed pauses, so that the rate holds however late the loop wakes up. After
    # each character comes its time on the line, so the next call keeps the distance too.
    due = anyio.current_time()
    for position in range(len(item)):
        await send(item[position : position + 1])
        due += 1 / cps
        await anyio.sleep_until(due)


class DescriptorStream(ByteStream):
    """The file descriptor of an open serial device.

    Closing the stream leaves the port open: its opener closes it.
    """

    def __init__(self, port: SerialBase, name: str) -> None:
        self._port = port
        self._name = name
        self._descriptor = int(port.fileno())
        self._closed = False

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Return what has arrived, 1 to *max_bytes* bytes.

        Raises:
            anyio.BrokenResourceError: the device is gone
            anyio.ClosedResourceError: the stream was closed
        """
        await checkpoint()
        while True:
            self._check_open()
            # Asked before the read, so that what came before a hang-up is not lost.
            hung_up = self._hung_up()
            try:
                data = os.read(self._descriptor, max_bytes)
            except BlockingIOError:
                data = b""
            except OSError as error:
                raise self._gone() from error
            if data:
                return data
            # pyserial sets VMIN=0, so an empty read only says that there is nothing yet.
            if hung_up:
                raise self._gone()
            await anyio.wait_readable(self._descriptor)

    async def send(self, item: bytes) -> None:
        """Write all of *item*. Raises like `receive`."""
        await checkpoint()
        view = memoryview(item)
        while view:
            self._check_open()
            try:
                view = view[os.write(self._descriptor, view) :]
            except BlockingIOError:
                await anyio.wait_writable(self._descriptor)
            except OSError as error:
                raise self._gone() from error

    async def send_eof(self) -> None:
        """Do nothing: a serial line has no end of sending."""

    async def aclose(self) -> None:
        """End both directions."""
        if not self._closed:
            self._closed = True
            anyio.notify_closing(self._descriptor)
        await checkpoint()

    def _hung_up(self) -> bool:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return any(event & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, event in poll.poll(0))

    def _check_open(self) -> None:
        if self._closed:
            raise anyio.ClosedResourceError

    def _gone(self) -> anyio.BrokenResourceError:
        return anyio.BrokenResourceError(
            f"serial port {self._name} is gone: unplugged, or its other end was closed"
        )


@asynccontextmanager
async def threaded_stream(port: SerialBase, name: str) -> AsyncIterator[PipeStream]:
    """A stream on an open port that only has blocking calls (rfc2217 and others), by one thread a direction.

    The port stays open: its opener closes it.
    """
    threads = _PortThreads(port, name)
    threads.start()
    try:
        async with threads.stream as stream:
            yield stream
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(threads.join)


class _PortThreads:
    """Two threads that move bytes between a blocking port and the pipes of a stream."""

    def __init__(self, port: SerialBase, name: str) -> None:
        self._port: Any = port  # the stubs of pyserial leave out in_waiting and cancel_read
        self._name = name
        self._incoming = Pipe()
        self._outgoing = Pipe()
        self._reader = threading.Thread(target=self._read, name=f"read {name}", daemon=True)
        self._writer = threading.Thread(target=self._write, name=f"write {name}", daemon=True)
        self.stream = PipeStream(self._incoming, self._outgoing)

    def start(self) -> None:
        self._reader.start()
        self._writer.start()

    def join(self) -> None:
        self._writer.join(DRAIN_TIMEOUT)
        cancel = getattr(self._port, "cancel_read", None)
        if cancel is not None:
            cancel()
        self._reader.join(DRAIN_TIMEOUT)

    def _read(self) -> None:
        try:
            while not self._incoming.closed:
                # The port's own timeout bounds this wait, so that a closed stream is noticed.
                if data := self._port.read(max(1, self._port.in_waiting)):
                    self._incoming.put(data)
        except OSError as error:
            self._break(error)

    def _write(self) -> None:
        try:
            while (data := self._outgoing.get()) is not None:
                self._port.write(data)
        except OSError as error:
            self._break(error)

    def _break(self, error: OSError) -> None:
        self._outgoing.close()
        self._incoming.close(anyio.BrokenResourceError(f"serial port {self._name}: {error}"))
