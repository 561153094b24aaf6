"""Items of generators, also when they are left early."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from jumpstarter.common.portal import LazyPortal
from jumpstarter.session.items import AHEAD, Items

WAIT = 60.0


@pytest.fixture
def portal() -> Iterator[LazyPortal]:
    portal = LazyPortal("the test")
    yield portal
    portal.close()


class Log(list[str]):
    """What a generator has done, for other threads to wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = threading.Event()

    def sync(self, count: int) -> Generator[int]:
        try:
            yield from range(count)
        finally:
            self.append("closed")
            self.ended.set()

    async def async_(self, count: int) -> AsyncIterator[int]:
        try:
            for n in range(count):
                self.append(f"gave {n}")
                yield n
        finally:
            self.append("closed")
            self.ended.set()


def test_a_sync_generator_is_run_through_and_closed(portal: LazyPortal) -> None:
    log = Log()
    assert list(Items(log.sync(1000), portal)) == list(range(1000))
    assert log == ["closed"]


def test_an_async_generator_is_run_through_and_closed(portal: LazyPortal) -> None:
    log = Log()
    assert list(Items(log.async_(1000), portal)) == list(range(1000))
    assert log.ended.wait(WAIT)


@pytest.mark.parametrize("items", [[1, 2], (1, 2), iter([1, 2])])
def test_any_iterable_will_do(portal: LazyPortal, items: object) -> None:
    assert list(Items(items, portal)) == [1, 2]


def test_an_async_generator_is_only_so_far_ahead(portal: LazyPortal) -> None:
    log = Log()
    items = Items(log.async_(10 * AHEAD), portal)
    assert next(items) == 0

    async def settle() -> None:
        for _ in range(5 * AHEAD):
            await asyncio.sleep(0)

    portal.run(settle())
    assert len(log) <= AHEAD + 2
    assert list(items) == list(range(1, 10 * AHEAD))


def test_an_error_comes_after_the_items_before_it(portal: LazyPortal) -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise RuntimeError("broken")

    async def failing_async() -> AsyncIterator[int]:
        yield 1
        raise RuntimeError("broken")

    for source in (failing(), failing_async()):
        items = Items(source, portal)
        assert next(items) == 1
        with pytest.raises(RuntimeError, match="broken"):
            next(items)


def test_closing_ends_a_sync_generator(portal: LazyPortal) -> None:
    log = Log()
    items = Items(log.sync(10), portal)
    assert next(items) == 0
    items.close()
    items.close()
    assert log == ["closed"]
    assert list(items) == []


def test_closing_ends_an_async_generator_that_waits(portal: LazyPortal) -> None:
    ended = threading.Event()

    async def waiting() -> AsyncIterator[int]:
        try:
            yield 1
            await asyncio.sleep(3600)
        finally:
            ended.set()

    items = Items(waiting(), portal)
    assert next(items) == 1
    with ThreadPoolExecutor(1) as pool:
        rest = pool.submit(list, items)
        items.close()
        assert rest.result(WAIT) == []
    assert ended.wait(WAIT)


def test_closing_before_the_first_item_frees_the_reader(portal: LazyPortal) -> None:
    """The loop is busy, so the generator has not begun when it is cancelled."""
    release = threading.Event()

    async def busy() -> None:
        release.wait(WAIT)

    blocker = portal.submit(busy())
    items = Items(Log().async_(3), portal)
    with ThreadPoolExecutor(1) as pool:
        rest = pool.submit(list, items)
        items.close()
        assert rest.result(WAIT) == []
        release.set()
    blocker.result(WAIT)


def test_closing_while_the_driver_works_closes_when_it_is_done(portal: LazyPortal) -> None:
    working, release = threading.Event(), threading.Event()
    closed = threading.Event()

    def slow() -> Iterator[int]:
        try:
            working.set()
            assert release.wait(WAIT)
            yield 1
            yield 2
        finally:
            closed.set()

    items = Items(slow(), portal)
    with ThreadPoolExecutor(1) as pool:
        rest = pool.submit(list, items)
        assert working.wait(WAIT)
        items.close()
        assert not closed.is_set()
        release.set()
        assert rest.result(WAIT) == []
    assert closed.is_set()
