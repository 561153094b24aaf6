"""Exporters that listen, and the calls for them."""

from __future__ import annotations

import asyncio

import pytest
from jumpstarter_controller.runtime.listeners import CAPACITY, Busy, Call, Listeners

pytestmark = pytest.mark.anyio

CALL = Call("router:8083", "token")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_call_without_a_listener() -> None:
    listeners = Listeners()
    assert not listeners.call("lease", CALL)
    assert not await listeners.wait_for("lease", 0.01)


async def test_listener_is_waited_for() -> None:
    listeners = Listeners()
    waiting = asyncio.create_task(listeners.wait_for("lease", 60))
    stream = listeners.listen("lease")
    first = asyncio.ensure_future(anext(stream))
    assert await waiting
    assert listeners.call("lease", CALL)
    assert await first == CALL
    await stream.aclose()  # type: ignore[attr-defined]
    assert not listeners.call("lease", CALL)


async def test_calls_that_nobody_takes_are_bounded_and_the_end_still_arrives() -> None:
    listeners = Listeners()
    stream = listeners.listen("lease")
    first = asyncio.ensure_future(anext(stream))
    await listeners.wait_for("lease", 60)
    listeners.call("lease", CALL)
    await first
    for _ in range(CAPACITY):
        assert listeners.call("lease", CALL)
    with pytest.raises(Busy):
        listeners.call("lease", CALL)
    listeners.close()
    assert len([call async for call in stream]) == CAPACITY
