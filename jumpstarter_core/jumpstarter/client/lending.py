"""Data that coroutines lend to drivers: an anyio stream that a driver reads from or writes to.

What holds: the driver sees the end of the data only when the stream itself has ended; a stream that breaks cuts the transfer,
so that no part is taken for the whole. Errors of the context's body arrive as they are.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from jumpstarter.common.exceptions import DriverError
from jumpstarter.common.streams import ACCEPT_ENCODING_KEY, ResourceStreamRequest
from jumpstarter.streams.compression import Deflater, Inflater
from jumpstarter.streams.frames import MAX_PAYLOAD
from jumpstarter.streams.pipe import Pipe

from .streams import DRAIN_TIMEOUT, handle_of, tell_cut
from .transport import CallStream, ExporterStub

__all__ = ["resource_of_stream"]

#: What streams that are only written to raise when they are read, and the other way round.
_ONE_WAY = (NotImplementedError, io.UnsupportedOperation, AttributeError, TypeError)


@asynccontextmanager
async def resource_of_stream(
    stub: ExporterStub, request: ResourceStreamRequest, stream: Any
) -> AsyncIterator[dict[str, Any]]:
    """See `AsyncDriverClient.resource_async`."""
    from anyio import to_thread

    async with stream:
        call = await to_thread.run_sync(CallStream, stub, request)
        lending = _Lending(call, stream, request.x_jmp_content_encoding)
        try:
            yield lending.handle
            await lending.drain()
        except Exception as error:
            if call.broke():
                tell_cut(error, lending.how_far)
            call.cancel()
            if lending.error is not None and lending.error is not error:
                raise lending.error from None  # the driver's complaint is a consequence
            raise
        finally:
            await lending.stop()


class _Lending:
    """The two directions of one resource, each a task that keeps its error for whoever leaves the context."""

    def __init__(self, call: CallStream, stream: Any, encoding: str | None) -> None:
        self._call = call
        self._stream = stream
        # An exporter that cannot read the encoding does not tell that it accepts it.
        self._encoding = None if encoding is None or ACCEPT_ENCODING_KEY in call.metadata else encoding
        self._incoming = Pipe()
        self._received = self._uploaded = 0
        self.error: BaseException | None = None
        self.handle = handle_of(call)
        call.pump_into(self._incoming)
        self._upload = asyncio.create_task(self._run(self._send))
        self._download = asyncio.create_task(self._run(self._receive))

    @property
    def how_far(self) -> str:
        """What has been carried."""
        if self._received:
            return f"{self._received} bytes had arrived"
        return f"{self._uploaded} bytes had been sent, not all of which may have arrived"

    async def _run(self, work: Any) -> None:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - raised again when the context is left
            self.error = self.error or error
            self._call.cancel()

    async def _send(self) -> None:
        """From the stream to the driver."""
        inflater = Inflater(self._encoding) if self._encoding else None
        while (chunk := await self._next()) is not None:
            self._uploaded += len(chunk)
            for piece in (chunk,) if inflater is None else _inflate(inflater, chunk):
                for start in range(0, len(piece), MAX_PAYLOAD):
                    if not await self._call.outgoing.aput(piece[start : start + MAX_PAYLOAD]):
                        return  # the driver wants no more
        if inflater is not None:
            inflater.push(None)
        self._call.send_eof()

    async def _next(self) -> bytes | None:
        from anyio import EndOfStream

        try:
            return bytes(await self._stream.receive())
        except EndOfStream:
            return None
        except _ONE_WAY:
            return None  # it is there to be written to

    async def _receive(self) -> None:
        """From the driver to the stream."""
        deflater = Deflater(self._encoding) if self._encoding else None
        try:
            while (chunk := await self._incoming.aget()) is not None:
                self._received += len(chunk)
                if data := deflater.compress(chunk) if deflater else chunk:
                    await self._stream.send(data)
            if deflater is not None and self._received:
                await self._stream.send(deflater.flush())
        finally:
            self._call.say_done()
        await self._end_stream()

    async def _end_stream(self) -> None:
        from anyio import BrokenResourceError, ClosedResourceError

        end: Any = getattr(self._stream, "send_eof", None)
        if end is not None:
            try:
                await end()
            except (*_ONE_WAY, BrokenResourceError, ClosedResourceError, OSError):
                return

    async def drain(self) -> None:
        """Wait for the last bytes that the driver has written. Raises the error of either direction."""
        if self._uploaded and not self._received and self.error is None:
            return  # the driver has read what it wanted; what it has left may be stuck on the way
        # Without it the end of what a driver never opened would never come.
        self._call.say_done()
        before = -1
        while not self._download.done() and self._received != before and self.error is None:
            before = self._received
            await asyncio.wait({self._download}, timeout=DRAIN_TIMEOUT)
        if self.error is not None:
            raise self.error
        if not self._download.done():
            raise DriverError(
                f"the exporter did not end the data within {DRAIN_TIMEOUT:g} s after its last bytes"
            )

    async def stop(self) -> None:
        """End what still runs."""
        self._call.cancel()
        self._incoming.close()
        for task in (self._upload, self._download):
            task.cancel()
        await asyncio.gather(self._upload, self._download, return_exceptions=True)


def _inflate(inflater: Inflater, chunk: bytes) -> list[bytes]:
    inflater.push(chunk)
    pieces = []
    while (piece := inflater.next()) is not None:
        pieces.append(piece)
    return pieces
