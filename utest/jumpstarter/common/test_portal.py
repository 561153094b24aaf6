"""The event loop that starts when it is needed and ends when it is told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError

import pytest
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
