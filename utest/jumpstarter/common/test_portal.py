"""The event loop that starts when it is needed and ends when it is told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from jumpstarter.common.loop import EventLoop
from jumpstarter.common.portal import LazyPortal

WAIT = 60.0


@pytest.fixture
def portal() -> Iterator[LazyPortal]:
    portal = LazyPortal("the test")
    yield portal
    portal.close()


def loops() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name == "jumpstarter-loop of the test"]


async def answer() -> int:
    return 42


async def forever(begun: threading.Event, ended: threading.Event) -> None:
    begun.set()
    try:
        await asyncio.sleep(3600)
    finally:
        ended.set()


def test_no_loop_runs_before_it_is_needed(portal: LazyPortal) -> None:
    assert loops() == []
    assert portal.run(answer()) == 42
    assert len(loops()) == 1


def test_closing_ends_the_loop(portal: LazyPortal) -> None:
    portal.run(answer())
    portal.close()
    assert loops() == []
    portal.close()


def test_closing_cancels_what_runs(portal: LazyPortal) -> None:
    begun, ended = threading.Event(), threading.Event()
    future = portal.submit(forever(begun, ended))
    assert begun.wait(WAIT)
    portal.close()
    assert ended.wait(WAIT)
    with pytest.raises(CancelledError):
        future.result(WAIT)


def test_a_future_that_is_cancelled_cancels_its_coroutine(portal: LazyPortal) -> None:
    begun, ended = threading.Event(), threading.Event()
    future = portal.submit(forever(begun, ended))
    assert begun.wait(WAIT)
    future.cancel()
    assert ended.wait(WAIT)
    assert portal.run(answer()) == 42


def test_after_closing_nothing_is_taken(portal: LazyPortal) -> None:
    portal.close()
    with pytest.raises(RuntimeError, match="the event loop of the test has ended"):
        portal.run(answer())


def test_it_has_what_anyios_portals_have(portal: LazyPortal) -> None:
    assert portal.call(answer) == 42
    assert portal.start_task_soon(answer).result(WAIT) == 42
    with pytest.raises(AttributeError):
        _ = portal._no_such_thing


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, asyncio.CancelledError])
def test_code_that_tries_to_end_the_loop_fails_alone(portal: LazyPortal, error: type[BaseException]) -> None:
    async def end() -> None:
        raise error("now")

    with pytest.raises(RuntimeError, match=f"{error.__name__} was raised"):
        portal.run(end())
    assert portal.run(answer()) == 42


@contextmanager
def answering(release: threading.Event) -> Iterator[str]:
    """The address of a server that answers /test/fast at once, and /test/slow on *release*."""

    def slow(request: bytes, context: Any) -> bytes:
        release.wait(WAIT)
        return b"slow"

    def fast(request: bytes, context: Any) -> bytes:
        return b"fast"

    handlers = {method.__name__: grpc.unary_unary_rpc_method_handler(method) for method in (slow, fast)}
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        release.set()
        server.stop(None).wait(WAIT)


async def begin(address: str) -> Any:
    """A call that is under way, with its channel."""
    channel = grpc.aio.insecure_channel(address)
    await channel.channel_ready()
    slow = channel.unary_unary("/test/slow")(b"")
    await channel.unary_unary("/test/fast")(b"")
    return channel, slow


async def call(address: str, release: threading.Event) -> bytes:
    async with grpc.aio.insecure_channel(address) as channel:
        method = channel.unary_unary("/test/fast")
        await method(b"")
        release.set()
        for _ in range(20):  # the other loop's call ends meanwhile
            await method(b"")
        return await method(b"")


def test_a_call_that_outlives_its_loop_disturbs_no_other_loop(caplog: pytest.LogCaptureFixture) -> None:
    release = threading.Event()
    with answering(release) as address:
        first, second = LazyPortal("the first"), LazyPortal("the second")
        under_way = first.run(begin(address))
        first.close()
        assert second.run(call(address, release)) == b"fast"
        second.close()
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []
    del under_way


def test_what_is_not_grpcs_is_told_that_the_loop_is_closed() -> None:
    loop = EventLoop()
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        loop.call_soon_threadsafe(print)
