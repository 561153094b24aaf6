"""Pipes between threads and event loops."""

from __future__ import annotations

import asyncio
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jumpstarter.streams.pipe import Pipe

WAIT = 60.0
CHUNKS = [bytes([n % 256]) * (n % 50 + 1) for n in range(500)]


def drain(pipe: Pipe) -> bytes:
    parts = []
    while (chunk := pipe.get()) is not None:
        parts.append(chunk)
    return b"".join(parts)


async def drain_async(pipe: Pipe) -> bytes:
    parts = []
    while (chunk := await pipe.aget()) is not None:
        parts.append(chunk)
    return b"".join(parts)


def fill(pipe: Pipe) -> None:
    for chunk in CHUNKS:
        assert pipe.put(chunk)
    pipe.finish()


async def fill_async(pipe: Pipe) -> None:
    for chunk in CHUNKS:
        assert await pipe.aput(chunk)
    pipe.finish()


def on_loop(function: Any) -> Any:
    return lambda pipe: asyncio.run(function(pipe))


@pytest.mark.parametrize("writer", [fill, on_loop(fill_async)], ids=["thread", "loop"])
@pytest.mark.parametrize("reader", [drain, on_loop(drain_async)], ids=["thread", "loop"])
@pytest.mark.parametrize("limit", [1, 100, 1 << 20])
def test_threads_and_loops_meet_on_either_end(writer: Any, reader: Any, limit: int) -> None:
    pipe = Pipe(limit)
    with ThreadPoolExecutor(2) as pool:
        got = pool.submit(reader, pipe)
        pool.submit(writer, pipe).result(WAIT)
        assert got.result(WAIT) == b"".join(CHUNKS)


def test_both_ends_on_one_loop() -> None:
    async def both() -> bytes:
        pipe = Pipe(10)
        got, _ = await asyncio.gather(drain_async(pipe), fill_async(pipe))
        return got

    assert asyncio.run(both()) == b"".join(CHUNKS)


def test_a_stalled_reader_stalls_the_writer_at_the_limit() -> None:
    pipe = Pipe(1000)
    written = itertools.count()
    room_taken = threading.Event()

    def write() -> int:
        for n in range(20):
            if n == 10:
                room_taken.set()
            assert pipe.put(bytes(100))
            next(written)
        pipe.finish()
        return next(written)

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(write)
        assert room_taken.wait(WAIT)
        with pytest.raises(TimeoutError):
            done.result(0.2)
        assert pipe._size == 1000
        assert len(drain(pipe)) == 2000
        assert done.result(WAIT) == 20


def test_one_chunk_may_exceed_the_limit() -> None:
    pipe = Pipe(10)
    assert pipe.put(bytes(1000))
    assert pipe.get() == bytes(1000)


def test_finish_gives_what_is_queued_and_then_the_end() -> None:
    pipe = Pipe()
    pipe.put(b"last")
    pipe.finish()
    assert pipe.closed
    assert pipe.put(b"too late") is False
    assert pipe.get() == b"last"
    assert pipe.get() is None
    assert pipe.get() is None


def test_close_drops_what_is_queued() -> None:
    pipe = Pipe()
    pipe.put(b"lost")
    pipe.close()
    assert pipe.get() is None
    assert pipe.put(b"x") is False
    assert pipe._size == 0


def test_close_with_an_error_tells_the_reader_and_the_first_error_stays() -> None:
    pipe = Pipe()
    pipe.close(ConnectionResetError("cut"))
    pipe.close(ValueError("later"))
    with pytest.raises(ConnectionResetError, match="cut"):
        pipe.get()
    with pytest.raises(ConnectionResetError, match="cut"):
        asyncio.run(pipe.aget())
    assert pipe.put(b"x") is False


@pytest.mark.parametrize("end", ["finish", "close"])
def test_the_end_wakes_a_waiting_reader(end: str) -> None:
    for reader in (drain, on_loop(drain_async)):
        pipe = Pipe()
        with ThreadPoolExecutor(1) as pool:
            got = pool.submit(reader, pipe)
            getattr(pipe, end)()
            assert got.result(WAIT) == b""


@pytest.mark.parametrize("end", ["finish", "close"])
def test_the_end_wakes_a_waiting_writer(end: str) -> None:
    for put in (Pipe.put, lambda pipe, data: asyncio.run(pipe.aput(data))):
        pipe = Pipe(1)
        assert pipe.put(b"full")
        with ThreadPoolExecutor(1) as pool:
            accepted = pool.submit(put, pipe, b"more")
            getattr(pipe, end)()
            assert accepted.result(WAIT) is False


def test_a_cancelled_reader_loses_nothing_and_another_one_takes_its_place() -> None:
    async def scenario() -> bytes | None:
        pipe = Pipe()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pipe.aget(), 0.01)
        assert pipe.put(b"kept")
        return await pipe.aget()

    assert asyncio.run(scenario()) == b"kept"


def test_a_cancelled_writer_queues_nothing() -> None:
    async def scenario() -> list[bytes | None]:
        pipe = Pipe(1)
        assert await pipe.aput(b"first")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pipe.aput(b"cancelled"), 0.01)
        first = await pipe.aget()
        pipe.finish()
        return [first, await pipe.aget()]

    assert asyncio.run(scenario()) == [b"first", None]


def test_a_loop_that_ended_while_waiting_does_not_disturb_the_other_side() -> None:
    pipe = Pipe()

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pipe.aget(), 0.01)

    asyncio.run(give_up())
    assert pipe.put(b"x")
    assert pipe.get() == b"x"


def test_merging_joins_what_is_queued_up_to_the_bound() -> None:
    pipe = Pipe()
    for part in (b"aa", b"bb", b"cc", b"dddddd"):
        pipe.put(part)
    assert pipe.get_merged(7) == b"aabbcc"
    assert pipe.get_merged(5) == b"dddddd"
    pipe.finish()
    assert pipe.get_merged(5) is None


@settings(max_examples=50)
@given(st.lists(st.binary(max_size=20), max_size=30), st.integers(1, 30))
def test_merging_keeps_every_byte_in_order(chunks: list[bytes], most: int) -> None:
    pipe = Pipe()
    for chunk in chunks:
        pipe.put(chunk)
    pipe.finish()
    parts = []
    while (part := pipe.get_merged(most)) is not None:
        assert len(part) <= max(most, 20)
        parts.append(part)
    assert b"".join(parts) == b"".join(chunks)
    assert pipe._size == 0
