"""RouterStream over real calls of gRPC's asyncio interface, against itself and against an exporter's session."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from anyio import BrokenResourceError, ClosedResourceError, EndOfStream
from jumpstarter.common.enums import ExporterStatus
from jumpstarter.session import Session
from jumpstarter.streams.frames import MAX_MESSAGE
from jumpstarter.streams.router import RouterStream
from jumpstarter_driver_network.driver import EchoNetwork
from jumpstarter_protocol import router_pb2, router_pb2_grpc

Handler = Callable[[RouterStream], Awaitable[None]]


@asynccontextmanager
async def peer(handler: Handler) -> AsyncIterator[Any]:
    """The stub of a server whose calls *handler* serves."""

    class Servicer(router_pb2_grpc.RouterServiceServicer):
        async def Stream(self, frames: Any, context: Any) -> None:
            await handler(RouterStream(context))

    server = grpc.aio.server()
    router_pb2_grpc.add_RouterServiceServicer_to_server(Servicer(), server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield router_pb2_grpc.RouterServiceStub(channel)  # type: ignore[no-untyped-call]
    await server.stop(None)


async def read_all(stream: RouterStream) -> bytes:
    parts = []
    try:
        while True:
            parts.append(await stream.receive())
    except EndOfStream:
        return b"".join(parts)


def test_both_directions_end_on_their_own() -> None:
    received: list[bytes] = []

    async def handler(stream: RouterStream) -> None:
        await stream.send(b"greeting")
        received.append(await read_all(stream))
        await stream.send(b"farewell")
        await stream.send_eof()
        with pytest.raises(ClosedResourceError):
            await stream.send(b"more")

    async def scenario() -> bytes:
        async with peer(handler) as stub, RouterStream(stub.Stream()) as stream:
            assert await stream.receive() == b"greeting"
            await stream.send(b"one")
            await stream.send(b"two")
            await stream.send_eof()
            await stream.send_eof()
            return await read_all(stream)

    assert asyncio.run(scenario()) == b"farewell"
    assert received == [b"onetwo"]


def test_the_end_of_the_call_is_the_end_of_the_stream() -> None:
    async def handler(stream: RouterStream) -> None:
        await stream.send(b"all")

    async def scenario() -> bytes:
        async with peer(handler) as stub, RouterStream(stub.Stream()) as stream:
            return await read_all(stream)

    assert asyncio.run(scenario()) == b"all"


def test_a_call_that_fails_breaks_the_stream() -> None:
    async def handler(stream: RouterStream) -> None:
        await stream._context.abort(grpc.StatusCode.NOT_FOUND, "no such peer")

    async def scenario() -> None:
        async with peer(handler) as stub, RouterStream(stub.Stream()) as stream:
            await stream.receive()

    with pytest.raises(BrokenResourceError, match="no such peer"):
        asyncio.run(scenario())


def test_a_call_that_is_aborted_as_stock_peers_do_has_ended() -> None:
    async def handler(stream: RouterStream) -> None:
        await stream.send(b"all")
        await stream._context.abort(grpc.StatusCode.ABORTED, "RouterStream: aclose")

    async def scenario() -> bytes:
        async with peer(handler) as stub, RouterStream(stub.Stream()) as stream:
            return await read_all(stream)

    assert asyncio.run(scenario()) == b"all"


def test_a_large_chunk_is_split() -> None:
    size = MAX_MESSAGE + 5
    sizes: list[int] = []

    async def handler(stream: RouterStream) -> None:
        while sum(sizes) < size:
            sizes.append(len(await stream.receive()))

    async def scenario() -> None:
        async with peer(handler) as stub, RouterStream(stub.Stream()) as stream:
            await stream.send(bytes(size))
            await read_all(stream)

    asyncio.run(scenario())
    assert sizes == [MAX_MESSAGE, 5]


def test_other_frames_are_no_data() -> None:
    async def handler(stream: RouterStream) -> None:
        for frame_type in (6, 3, 99):
            await stream._context.write(router_pb2.StreamResponse(frame_type=frame_type))  # type: ignore[arg-type]
        await stream._context.write(router_pb2.StreamResponse())
        await stream.send(b"data")

    async def scenario() -> bytes:
        async with peer(handler) as stub, RouterStream(stub.Stream()) as stream:
            return await read_all(stream)

    assert asyncio.run(scenario()) == b"data"


def test_closing_ends_the_call_and_later_use_is_refused() -> None:
    ended = asyncio.Event()

    async def handler(stream: RouterStream) -> None:
        try:
            await read_all(stream)
        finally:
            ended.set()

    async def scenario() -> None:
        async with peer(handler) as stub:
            stream = RouterStream(stub.Stream())
            await stream.send(b"x")
            await stream.aclose()
            await stream.aclose()
            await asyncio.wait_for(ended.wait(), 60)
            for use in (stream.receive, lambda: stream.send(b"x")):
                with pytest.raises(ClosedResourceError):
                    await use()

    asyncio.run(scenario())


def test_a_session_is_a_peer() -> None:
    driver = EchoNetwork()
    request = json.dumps({"kind": "driver", "uuid": str(driver.uuid), "method": "connect"})

    async def scenario(path: str) -> bytes:
        async with grpc.aio.insecure_channel(f"unix:{path}") as channel:
            stub = router_pb2_grpc.RouterServiceStub(channel)  # type: ignore[no-untyped-call]
            async with RouterStream(stub.Stream(metadata=(("request", request),))) as stream:
                await stream.send(b"through the driver")
                return await stream.receive()

    with Session(root_device=driver) as session, session.serve_unix() as path:
        session.update_status(ExporterStatus.LEASE_READY)
        assert asyncio.run(scenario(path)) == b"through the driver"
