"""Interceptors of a session's port, those of grpc.aio, too."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from jumpstarter.client.client import connect_path
from jumpstarter.client.transport import ExporterStub
from jumpstarter.common.enums import ExporterStatus
from jumpstarter.common.exceptions import ConnectionError
from jumpstarter.exporter import Session

from .lab import Lab


class Counting(grpc.aio.ServerInterceptor):
    """Passes every call on."""

    def __init__(self) -> None:
        self.methods: list[str] = []

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        self.methods.append(handler_call_details.method.rpartition("/")[2])
        return await continuation(handler_call_details)


class Refusing(grpc.aio.ServerInterceptor):
    """Wants a token, as interceptors of grpc.aio do it."""

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        if dict(handler_call_details.invocation_metadata).get("token") == "t":
            return await continuation(handler_call_details)

        async def refuse(request: Any, context: Any) -> None:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "no token")

        handler = await continuation(handler_call_details)
        if handler.request_streaming:
            return grpc.stream_stream_rpc_method_handler(refuse)
        make = grpc.unary_stream_rpc_method_handler if handler.response_streaming else None
        return (make or grpc.unary_unary_rpc_method_handler)(refuse)


class Wrapping(grpc.aio.ServerInterceptor):
    """Puts something of its own around every handler."""

    def __init__(self) -> None:
        self.answers = 0

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        handler = await continuation(handler_call_details)
        arrives = "stream" if handler.request_streaming else "unary"
        kind = f"{arrives}_{'stream' if handler.response_streaming else 'unary'}"
        inner = getattr(handler, kind)

        async def items(request: Any, context: Any) -> AsyncIterator[Any]:
            async for item in inner(request, context):
                self.answers += 1
                yield item

        async def answer(request: Any, context: Any) -> Any:
            self.answers += 1
            return await inner(request, context)

        behave: Any = items if handler.response_streaming else answer
        make: Callable[..., Any] = getattr(grpc, f"{kind}_rpc_method_handler")
        return make(behave, handler.request_deserializer, handler.response_serializer)


def use_all(port: int) -> None:
    """Each kind of call that a client has."""
    with connect_path(f"127.0.0.1:{port}", allow=[], unsafe=True, insecure=True) as client:
        assert client.call("echo", 1) == 1
        assert list(client.streamingcall("items", 3)) == [0, 1, 2]
        with client.stream("connect") as stream:
            stream.send(b"over")
            assert stream.receive() == b"over"
            stream.send(b"again")
            assert stream.receive() == b"again"


@pytest.fixture
def session() -> Any:
    with Session(root_device=Lab()) as session:
        session.update_status(ExporterStatus.LEASE_READY)
        yield session


def test_calls_that_are_passed_on_go_as_without(session: Session) -> None:
    counting = Counting()
    with session.serve_tcp(interceptors=[counting]) as port:
        use_all(port)
    assert counting.methods == ["GetReport", "DriverCall", "StreamingDriverCall", "Stream"]


def test_handlers_may_be_wrapped(session: Session) -> None:
    wrapping = Wrapping()
    with session.serve_tcp(interceptors=[Counting(), wrapping]) as port:
        use_all(port)
        assert wrapping.answers >= 1 + 1 + 3 + 2
        session.logs.emit(logging.LogRecord("driver.x", logging.INFO, "", 0, "hello", (), None))
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = ExporterStub(channel).LogStream(Empty())
            assert "hello" in (line.message for line in call)
            call.cancel()


@pytest.mark.parametrize("method", ["GetReport", "GetStatus", "LogStream", "Stream"])
def test_every_kind_of_call_may_be_refused(session: Session, method: str) -> None:
    with (
        session.serve_tcp(interceptors=[Refusing()]) as port,
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        call = getattr(ExporterStub(channel), method)
        with pytest.raises(grpc.RpcError) as caught:
            list(call(iter(()) if method == "Stream" else Empty()))
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
        assert caught.value.details() == "no token"
        stub = ExporterStub(channel)
        assert stub.GetReport(Empty(), metadata=(("token", "t"),)).reports
        with pytest.raises(ConnectionError, match="no token"):
            use_all(port)
