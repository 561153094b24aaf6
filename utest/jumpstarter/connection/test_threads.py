"""A channel of coroutines that threads use."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import grpc
import pytest
from anyio.from_thread import start_blocking_portal
from jumpstarter.connection.threads import Interrupted, ThreadsChannel

#: Seconds for what should take none.
PATIENCE = 60.0


class Echo(grpc.GenericRpcHandler):
    """Answers a call with its request, a stream with it twice; `asked` is set by calls that get no answer."""

    def __init__(self) -> None:
        self.asked = threading.Event()

    def service(self, details: Any) -> Any:
        if details.method == "/echo/once":
            return grpc.unary_unary_rpc_method_handler(self._once)
        if details.method == "/echo/never":
            return grpc.unary_stream_rpc_method_handler(self._never)
        return grpc.unary_stream_rpc_method_handler(self._twice)

    async def _once(self, request: bytes, context: Any) -> bytes:
        if request == b"refuse":
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")
        return request

    async def _twice(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        yield request
        yield request
        if request == b"refuse":
            await context.abort(grpc.StatusCode.NOT_FOUND, "no more")

    async def _never(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        self.asked.set()
        await asyncio.Event().wait()
        yield b""


@pytest.fixture
def echo() -> Iterator[tuple[Echo, ThreadsChannel]]:
    handler = Echo()

    async def start() -> tuple[Any, Any, asyncio.AbstractEventLoop]:
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((handler,))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        return server, grpc.aio.insecure_channel(f"127.0.0.1:{port}"), asyncio.get_running_loop()

    with start_blocking_portal() as portal:
        server, channel, loop = portal.call(start)
        try:
            yield handler, ThreadsChannel(channel, loop)
        finally:
            portal.call(channel.close)
            portal.call(server.stop, None)


def when_asked(handler: Echo, action: Callable[[], None]) -> None:
    """Have *action* called, on a thread, when the server has got the call that it does not answer."""

    def act() -> None:
        handler.asked.wait(PATIENCE)
        action()

    threading.Thread(target=act, daemon=True).start()


def test_calls_and_streams_give_answers_and_errors(echo: tuple[Echo, ThreadsChannel]) -> None:
    _, channel = echo
    once, twice = channel.unary_unary("/echo/once"), channel.unary_stream("/echo/twice")
    assert once(b"a", timeout=PATIENCE) == b"a"
    assert list(twice(b"b", timeout=PATIENCE)) == [b"b", b"b"]
    with pytest.raises(grpc.RpcError) as caught:
        once(b"refuse")
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.NOT_FOUND, "no such thing")
    answers = iter(twice(b"refuse"))
    assert [next(answers), next(answers)] == [b"refuse", b"refuse"]
    with pytest.raises(grpc.RpcError) as caught:
        next(answers)
    assert caught.value.details() == "no more"


def test_stream_that_nobody_answers_can_be_cancelled(echo: tuple[Echo, ThreadsChannel]) -> None:
    handler, channel = echo
    answers = channel.unary_stream("/echo/never")(b"", timeout=PATIENCE)
    when_asked(handler, answers.cancel)
    with pytest.raises(grpc.RpcError) as caught:
        list(answers)
    assert caught.value.code() is grpc.StatusCode.CANCELLED


def test_interrupted_thread_can_go_on(echo: tuple[Echo, ThreadsChannel]) -> None:
    handler, channel = echo
    once = channel.unary_unary("/echo/once")
    answers = channel.unary_stream("/echo/never")(b"", timeout=PATIENCE)
    when_asked(handler, channel.interrupt)
    with pytest.raises(Interrupted):
        list(answers)
    assert once(b"a") == b"a"
    channel.interrupt()
    with pytest.raises(Interrupted):
        once(b"b")
    channel.interrupt()
    channel.resume()
    assert once(b"c") == b"c"


def test_no_call_after_the_end_of_the_loop() -> None:
    async def make() -> ThreadsChannel:
        return ThreadsChannel(grpc.aio.insecure_channel("127.0.0.1:1"), asyncio.get_running_loop())

    channel = asyncio.run(make())
    with pytest.raises(RuntimeError, match="closed"):
        channel.unary_unary("/echo/once")(b"")
