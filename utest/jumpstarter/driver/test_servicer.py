"""A driver that answers calls of grpc.aio itself, as programs for stock Jumpstarter have it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from jumpstarter.common import ExporterStub
from jumpstarter.common.errors import ERROR_TYPE_KEY
from jumpstarter.common.streams import DriverStreamRequest, ResourceStreamRequest
from jumpstarter.common.values import decode_value, encode_value
from jumpstarter.driver import Driver, export, exportstream
from jumpstarter.streams.common import create_memory_stream
from jumpstarter.streams.metadata import MetadataStreamAttributes
from jumpstarter_protocol import jumpstarter_pb2 as pb

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass(kw_only=True)
class Bench(Driver):
    driver_type = "bench"

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"

    @export
    def thread(self, loops: int) -> bool:
        return loops == 1 and threading.current_thread() is threading.main_thread()

    @export
    async def add(self, a: int, b: int) -> int:
        await asyncio.sleep(0)
        return a + b

    @export
    def fail(self) -> None:
        raise ValueError("as wanted")

    @export
    def count(self, items: int) -> Generator[int]:
        yield from range(items)

    @export
    async def count_async(self, items: int) -> AsyncGenerator[int]:
        for number in range(items):
            yield number
        raise ValueError("no more")

    @exportstream
    @asynccontextmanager
    async def echo(self) -> AsyncIterator[Any]:
        near, far = create_memory_stream()
        async with near, far:
            await far.send(b"hello")
            yield near


class Context:
    """The least that a test of a driver brings."""

    async def abort(self, code: grpc.StatusCode, details: str) -> None:
        raise RuntimeError(f"{code.name}: {details}")


@asynccontextmanager
async def served(driver: Driver) -> AsyncIterator[Any]:
    """A stub for *driver* in a server of grpc.aio."""
    handlers = {
        "DriverCall": grpc.unary_unary_rpc_method_handler(
            driver.DriverCall, pb.DriverCallRequest.FromString, pb.DriverCallResponse.SerializeToString
        ),
        "StreamingDriverCall": grpc.unary_stream_rpc_method_handler(
            driver.StreamingDriverCall,
            pb.StreamingDriverCallRequest.FromString,
            pb.StreamingDriverCallResponse.SerializeToString,
        ),
    }
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("jumpstarter.v1.ExporterService", handlers),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with asyncio.timeout(60), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield ExporterStub(channel)  # type: ignore[no-untyped-call]
    finally:
        await server.stop(None)


async def call(stub: Any, driver: Driver, method: str, *args: Any) -> Any:
    request = pb.DriverCallRequest(
        uuid=str(driver.uuid), method=method, args=[encode_value(arg) for arg in args]
    )
    return decode_value((await stub.DriverCall(request)).result)


async def test_calls_are_answered() -> None:
    bench = Bench()
    async with served(bench) as stub:
        assert await call(stub, bench, "add", 1, 2) == 3
        assert await call(stub, bench, "thread", 1) is False


async def test_errors_have_the_status_and_the_name_that_a_session_gives() -> None:
    bench = Bench()
    async with served(bench) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(stub, bench, "fail")
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert caught.value.details() == "as wanted"
        assert dict(caught.value.trailing_metadata() or ())[ERROR_TYPE_KEY] == "ValueError"
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(stub, bench, "close")
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_items_are_answered_one_by_one() -> None:
    bench = Bench()
    async with served(bench) as stub:
        for method, error in (("count", None), ("count_async", "no more")):
            items, reason = [], None
            request = pb.StreamingDriverCallRequest(
                uuid=str(bench.uuid), method=method, args=[encode_value(3)]
            )
            try:
                async for answer in stub.StreamingDriverCall(request):
                    items.append(decode_value(answer.result))
            except grpc.aio.AioRpcError as caught:
                reason = caught.details()
            assert (items, reason) == ([0, 1, 2], error)


async def test_stream_of_a_method() -> None:
    bench = Bench()
    async with bench.Stream(DriverStreamRequest(uuid=bench.uuid, method="echo"), Context()) as stream:
        assert await stream.receive() == b"hello"
    with pytest.raises(RuntimeError, match="NOT_FOUND: method add missing marker"):
        async with bench.Stream(DriverStreamRequest(uuid=bench.uuid, method="add"), Context()):
            pass


async def test_error_of_who_uses_the_stream_is_no_error_of_the_driver() -> None:
    bench = Bench()
    with pytest.raises(ValueError, match="mine"):
        async with bench.Stream(DriverStreamRequest(uuid=bench.uuid, method="echo"), Context()):
            raise ValueError("mine")


async def test_resource_stream_has_its_handle() -> None:
    bench = Bench()
    async with bench.Stream(ResourceStreamRequest(uuid=bench.uuid), Context()) as stream:
        told = stream.extra(MetadataStreamAttributes.metadata)
        async with bench.resource(json.loads(told["resource"])) as resource:
            await stream.send(b"down")
            assert await resource.receive() == b"down"
            await resource.send(b"up")
            assert await stream.receive() == b"up"
        assert bench.resources == {}
    async with bench.Stream(ResourceStreamRequest(uuid=bench.uuid), Context()):
        assert len(bench.resources) == 1
    assert bench.resources == {}


def test_type_of_a_driver_is_a_matter_of_its_class() -> None:
    assert Driver.driver_type == "other"
    assert Bench().driver_type == "bench"
