"""Joins a connected socket and a stream of a router: how bytes get from one network to another."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Any, Final

import grpc

from jumpstarter.common.memory import keep_buffers

from .frames import DATA, GOAWAY, GOAWAY_FRAME, encode_frame, view_frame

#: Bytes of a frame at the most, and of what is read ahead while a frame is under way.
MOST: Final = 1 << 20
#: Bytes that the socket may hold on their way to its other end; the system may allow less. With its usual 200 KiB a frame
#: takes five turns, and each wakes both sides.
SENT_AHEAD: Final = 4 << 20


async def relay(channel: grpc.aio.Channel, token: str, sock: socket.socket) -> None:
    """Carry bytes between *sock* and the router stream that *token* opens on *channel*, until both directions have ended.

    *sock* is closed at the end, and the stream is, also when this is cancelled. Raises grpc.aio.AioRpcError when the router
    refuses the token or the stream breaks.
    """
    sock.setblocking(False)
    keep_buffers()
    with suppress(OSError):  # more than the system allows: macOS refuses, Linux gives what it can
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SENT_AHEAD)
    method: Any = channel.stream_stream(
        "/jumpstarter.v1.RouterService/Stream",
        request_serializer=None,  # `_Inbox` gives encoded frames
        response_deserializer=view_frame,
    )
    call = method(metadata=(("authorization", f"Bearer {token}"),))
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_up(sock, call))
            tasks.create_task(_down(sock, call))
    except* grpc.aio.AioRpcError as errors:
        raise errors.exceptions[0] from None
    except* (OSError, asyncio.InvalidStateError):
        # The socket broke, or the call ended while it was written to: the reader has, or gets, the reason.
        pass
    finally:
        call.cancel()
        sock.close()


class _Inbox:
    """What came out of the socket and was not sent on yet.

    Reading goes on while a frame is under way: so frames are small as long as nobody waits, and large when many bytes come.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._buffer = memoryview(bytearray(MOST))
        self._filled = 0
        self._arrival: asyncio.Future[None] | None = None
        self._ended = False
        self._error: OSError | None = None
        self._loop.add_reader(sock, self._fill)

    async def take(self) -> bytes:
        """A frame, encoded, of what is there, as soon as there is something; nothing at the end. Raises OSError."""
        while not self._filled:
            if self._error is not None:
                raise self._error
            if self._ended:
                return b""
            self._arrival = self._loop.create_future()
            await self._arrival
        taken = encode_frame((DATA, self._buffer[: self._filled]))
        if self._filled == MOST:
            self._loop.add_reader(self._sock, self._fill)
        self._filled = 0
        return taken

    def close(self) -> None:
        """Read no more."""
        self._loop.remove_reader(self._sock)

    def _fill(self) -> None:
        try:
            count = self._sock.recv_into(self._buffer[self._filled :])
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._error, count = error, 0
        self._filled += count
        self._ended = not count
        if self._ended or self._filled == MOST:
            self._loop.remove_reader(self._sock)
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)


async def _up(sock: socket.socket, call: Any) -> None:
    inbox = _Inbox(sock)
    try:
        while frame := await inbox.take():
            await call.write(frame)
    finally:
        inbox.close()
    await call.write(encode_frame(GOAWAY_FRAME))
    await call.done_writing()


async def _down(sock: socket.socket, call: Any) -> None:
    loop = asyncio.get_running_loop()
    while (frame := await call.read()) is not grpc.aio.EOF:
        kind, payload = frame
        if kind == GOAWAY:
            break
        if kind == DATA and payload:
            await loop.sock_sendall(sock, payload)
    else:
        code = await call.code()
        if code is not grpc.StatusCode.OK:
            raise grpc.aio.AioRpcError(
                code, await call.initial_metadata(), await call.trailing_metadata(), await call.details()
            )
    with suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
