"""A driver's byte stream, run as a task on the session's loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, InvalidStateError
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from typing import Any

from jumpstarter.common.portal import LazyPortal, contained
from jumpstarter.streams.pipe import Pipe


@dataclass
class Opened:
    """What became known when the driver opened its stream."""

    metadata: dict[str, str] = field(default_factory=dict)
    byte_semantics: bool = False
    #: Set when the stream is a bare socket that threads may pump.
    socket: Any = None


class DriverStream:
    """Enters the driver's context manager, carries chunks between its stream and two pipes, and leaves it."""

    def __init__(
        self, manager: AbstractAsyncContextManager[Any], portal: LazyPortal, incoming: Pipe, outgoing: Pipe
    ) -> None:
        self._manager = manager
        self._portal = portal
        self._incoming = incoming
        self._outgoing = outgoing
        self._opened: Future[Opened] = Future()
        self._released: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: Future[None] | None = None
        self._receiving: asyncio.Task[None] | None = None
        self._error: Exception | None = None
        self._closed = False
        self._abandoned = False
        self._delivered = False

    def open(self) -> Opened:
        """Open the driver's stream. Raises what the driver raises."""
        self._task = self._portal.submit(self._run())
        self._task.add_done_callback(self._never_opened)
        if self._closed:
            self._task.cancel()
        return self._opened.result()

    def _never_opened(self, task: Future[None]) -> None:
        """A task that is cancelled before it has begun runs nothing of `_run`."""
        with suppress(InvalidStateError):
            self._opened.set_exception(
                ConnectionAbortedError("the client went away before the stream opened")
            )

    def wait(self) -> None:
        """Wait until both directions have ended and the driver has closed. Raises what broke the stream."""
        assert self._task is not None
        if self._released is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._released.set)
        self._task.result()
        if self._error is not None:
            raise self._error

    def abandon(self) -> None:
        """The client reads no more: leave as soon as the driver has taken what the client sent."""
        self._abandoned = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._leave_if_done)

    def _leave_if_done(self) -> None:
        if self._abandoned and self._delivered:
            self._outgoing.finish()
            if self._receiving is not None:
                self._receiving.cancel()

    def close(self) -> None:
        """Leave the driver's context manager now, or never enter it. Closing twice is fine."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            async with self._manager as stream:
                opened = self._describe(stream)
                if opened.socket is None:
                    self._opened.set_result(opened)
                    await self._carry(stream)
                else:
                    self._released = asyncio.Event()
                    self._opened.set_result(opened)
                    await self._released.wait()
        except BaseException as error:
            if self._opened.done():
                self._outgoing.close(error if isinstance(error, Exception) else None)
                self._incoming.close()
                if not isinstance(error, Exception):
                    raise
                # Kept for `wait`: nobody asks the task of a call that the client has left.
                self._error = error
                return
            self._opened.set_exception(
                error if isinstance(error, Exception) else ConnectionAbortedError("cancelled")
            )

    def _describe(self, stream: Any) -> Opened:
        from anyio.abc import ByteStream, SocketAttribute, SocketStream

        from jumpstarter.streams.metadata import MetadataStreamAttributes

        extra: Any = getattr(stream, "extra", None)
        metadata = extra(MetadataStreamAttributes.metadata, {}) if extra is not None else {}
        # Only the stream of a socket itself: one that wraps it may change what goes through.
        sock = extra(SocketAttribute.raw_socket, None) if isinstance(stream, SocketStream) else None
        return Opened(dict(metadata), isinstance(stream, ByteStream), sock)

    async def _carry(self, stream: Any) -> None:
        async with asyncio.TaskGroup() as tasks:
            self._receiving = tasks.create_task(self._receive(stream))
            await self._to_driver(stream)
            self._delivered = True
            self._leave_if_done()

    async def _receive(self, stream: Any) -> None:
        # Made here: the task may be cancelled before it begins, and nobody would await its part then.
        await contained(self._from_driver(stream))

    async def _to_driver(self, stream: Any) -> None:
        from anyio import BrokenResourceError, ClosedResourceError

        try:
            while (chunk := await self._incoming.aget()) is not None:
                await stream.send(chunk)
        except (BrokenResourceError, ClosedResourceError):
            self._incoming.close()
            return
        send_eof: Any = getattr(stream, "send_eof", None)
        if send_eof is not None:
            await send_eof()

    async def _from_driver(self, stream: Any) -> None:
        from anyio import BrokenResourceError, ClosedResourceError, EndOfStream

        try:
            while await self._outgoing.aput(bytes(await stream.receive())):
                pass
        except (EndOfStream, ClosedResourceError):
            pass
        except BrokenResourceError as error:
            reason = str(error) or error.__cause__ or "the device closed it"
            self._outgoing.close(ConnectionResetError(f"the driver's stream broke: {reason}"))
            return
        self._outgoing.finish()
