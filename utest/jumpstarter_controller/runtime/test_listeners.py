"""Exporters that listen, and the calls for them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from jumpstarter_controller.runtime.listeners import CAPACITY, HANDED_ON, Busy, Call, Cut, Listeners

pytestmark = pytest.mark.anyio

CALL = Call("router:8083", "token")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def listening(listeners: Listeners) -> tuple[Any, asyncio.Future[Call]]:
    """A listener, and what it hears first."""
    stream = listeners.listen("lease")
    first = asyncio.ensure_future(anext(stream))
    # It is registered before it waits for the first time.
    await asyncio.sleep(0)
    assert await listeners.wait_for("lease", 60)
    return stream, first


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
    assert [call async for call in stream] == []


async def test_a_call_that_may_not_have_arrived_goes_to_the_next_listener_too() -> None:
    listeners = Listeners()
    dead, first = await listening(listeners)
    listeners.call("lease", CALL)
    assert await first == CALL  # written into a connection; nobody knows whether it is dead
    waits = Call("router:8083", "another")
    listeners.call("lease", waits)
    _, second = await listening(listeners)
    assert await second == CALL
    assert [call async for call in dead] == []


async def test_calls_outlast_the_time_between_two_listeners() -> None:
    listeners = Listeners()
    dead, first = await listening(listeners)
    listeners.call("lease", CALL)
    await first
    await dead.aclose()
    assert not listeners.has("lease")
    _, second = await listening(listeners)
    assert await second == CALL


@pytest.mark.parametrize("why", ["too old", "the lease is over"])
async def test_calls_that_nobody_waits_for_are_not_handed_on(why: str) -> None:
    now = 0.0
    listeners = Listeners(lambda: now)
    dead, first = await listening(listeners)
    listeners.call("lease", CALL)
    await first
    await dead.aclose()
    if why == "too old":
        now = HANDED_ON + 1
    else:
        listeners.cut("lease")
    stream, second = await listening(listeners)
    fresh = Call("router:8083", "fresh")
    listeners.call("lease", fresh)
    assert await second == fresh
    await stream.aclose()


async def hears(listeners: Listeners, cuts: int | None) -> Any:
    """A listener that has heard of so many cuts."""
    stream = listeners.listen("lease", "", cuts)
    first = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    return stream, first


async def test_cut_is_heard_before_the_calls_that_come_after_and_those_before_it_are_not() -> None:
    listeners = Listeners()
    stream, first = await hears(listeners, 0)
    listeners.call("lease", CALL)
    assert await first == CALL
    listeners.call("lease", Call("router:8083", "void"))
    listeners.cut("lease")
    fresh = Call("router:8083", "fresh")
    listeners.call("lease", fresh)
    assert [await anext(stream), await anext(stream)] == [Cut(1), fresh]
    await stream.aclose()


async def test_cut_that_nobody_heard_is_heard_by_the_next_listener_once() -> None:
    listeners = Listeners()
    listeners.cut("lease")
    listeners.cut("lease")
    stream, first = await hears(listeners, 1)
    assert await first == Cut(2)
    stream, first = await hears(listeners, 2)
    listeners.call("lease", CALL)
    assert await first == CALL
    await stream.aclose()


async def test_controller_that_was_started_anew_goes_on_with_the_count_of_the_exporter() -> None:
    listeners = Listeners()
    stream, first = await hears(listeners, 7)
    listeners.cut("lease")
    assert await first == Cut(8)
    await stream.aclose()


async def test_exporter_that_knows_of_no_cuts_hears_of_none() -> None:
    listeners = Listeners()
    listeners.cut("lease")
    stream, first = await hears(listeners, None)
    listeners.cut("lease")
    listeners.call("lease", CALL)
    assert await first == CALL
    await stream.aclose()
