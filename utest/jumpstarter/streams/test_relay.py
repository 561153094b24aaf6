"""A socket joined with a stream of a server that sends every frame back."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from jumpstarter.streams.relay import MOST, relay


class Echo:
    """Sends frames back as they are; *break_after* so many it ends with an error."""

    def __init__(self, break_after: int | None = None) -> None:
        self.frames: list[int] = []
        self._break_after = break_after

    async def stream(self, _: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        while (frame := await context.read()) is not grpc.aio.EOF:
            if len(self.frames) == self._break_after:
                await context.abort(grpc.StatusCode.ABORTED, "broken on purpose")
            self.frames.append(len(frame))
            await context.write(frame)

    @asynccontextmanager
    async def channel(self) -> AsyncIterator[grpc.aio.Channel]:
        server = grpc.aio.server()
        handler: Any = grpc.stream_stream_rpc_method_handler(self.stream)  # type: ignore[arg-type]
        service = grpc.method_handlers_generic_handler("jumpstarter.v1.RouterService", {"Stream": handler})
        server.add_generic_rpc_handlers((service,))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
        await server.stop(None)


async def through(data: bytes) -> tuple[bytes, Echo]:
    """*data* after its way through a relay, an echo, and back."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    echo, loop, back = Echo(), asyncio.get_running_loop(), bytearray()
    with theirs:
        async with echo.channel() as channel, asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            tasks.create_task(relay(channel, "token", ours))

            async def send() -> None:
                await loop.sock_sendall(theirs, data)
                theirs.shutdown(socket.SHUT_WR)

            tasks.create_task(send())
            while chunk := await loop.sock_recv(theirs, 1 << 20):
                back += chunk
    assert ours.fileno() == -1  # closed
    return bytes(back), echo


@pytest.mark.parametrize("size", [0, 1, 127, 128, 70_000, 3 * MOST + 17])
def test_bytes_come_back_in_order_and_the_end_after_them(size: int) -> None:
    data = os.urandom(size)
    back, echo = asyncio.run(through(data))
    assert back == data
    assert max(echo.frames) <= MOST + 16


def test_a_stream_that_breaks_is_an_error_and_closes_the_socket() -> None:
    async def run() -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            async with Echo(break_after=0).channel() as channel, asyncio.timeout(30):
                theirs.send(b"x")
                with pytest.raises(grpc.aio.AioRpcError, match="broken on purpose"):
                    await relay(channel, "token", ours)
                assert theirs.recv(1) == b""

    asyncio.run(run())


def test_a_socket_that_is_reset_ends_the_relay_without_an_error() -> None:
    async def run() -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
        listener.close()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        async with Echo().channel() as channel, asyncio.timeout(30):
            theirs.close()  # with a reset
            await relay(channel, "token", ours)

    asyncio.run(run())
