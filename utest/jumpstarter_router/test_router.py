"""The router over real sockets, with raw gRPC peers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from jumpstarter_router.service import RouterService
from jumpstarter_router.tokens import InvalidTokenError, Side, TokenAuthority

KEY = b"k" * 32

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[tuple[RouterService, TokenAuthority, grpc.aio.Channel]]:
    authority = TokenAuthority(KEY)
    router = RouterService(authority, **options)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((router.handlers(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield router, authority, channel
    finally:
        await server.stop(None)


def dial(channel: grpc.aio.Channel, token: str) -> Any:
    method = channel.stream_stream("/jumpstarter.v1.RouterService/Stream")
    return method(metadata=(("authorization", f"Bearer {token}"),))


async def code_of(call: Any) -> grpc.StatusCode:
    async with asyncio.timeout(60):
        return await call.code()  # type: ignore[no-any-return]


async def test_frames_go_both_ways_as_they_are() -> None:
    async with serving() as (_, authority, channel):
        tokens = authority.issue("lease-1", time.time())
        client, exporter = dial(channel, tokens[Side.CLIENT]), dial(channel, tokens[Side.EXPORTER])
        frames = [b"", b"\x0a\x03abc", b"\x10\x07", bytes(range(256)) * 4096]
        for frame in frames:
            await client.write(frame)
        assert [await exporter.read() for _ in frames] == frames
        await exporter.write(b"back")
        assert await client.read() == b"back"
        await client.done_writing()
        await exporter.write(b"after the end of the other direction")
        assert await client.read() == b"after the end of the other direction"
        await exporter.done_writing()
        assert await code_of(client) is grpc.StatusCode.OK
        assert await code_of(exporter) is grpc.StatusCode.OK


async def until_forgotten(router: RouterService) -> None:
    """Wait for the router to have no streams. A peer hears of the end a moment before."""
    async with asyncio.timeout(60):
        while router.open_streams:  # noqa: ASYNC110 - the router tells nobody
            await asyncio.sleep(0.01)


async def test_router_forgets_streams_that_ended() -> None:
    async with serving() as (router, authority, channel):
        tokens = authority.issue("lease-1", time.time())
        client, exporter = dial(channel, tokens[Side.CLIENT]), dial(channel, tokens[Side.EXPORTER])
        await client.done_writing()
        await exporter.done_writing()
        assert await code_of(client) is await code_of(exporter) is grpc.StatusCode.OK
        await until_forgotten(router)


async def test_token_joins_once() -> None:
    async with serving() as (_, authority, channel):
        tokens = authority.issue("lease-1", time.time())
        client, exporter = dial(channel, tokens[Side.CLIENT]), dial(channel, tokens[Side.EXPORTER])
        await client.write(b"x")
        assert await exporter.read() == b"x"
        again = dial(channel, tokens[Side.CLIENT])
        assert await code_of(again) is grpc.StatusCode.UNAUTHENTICATED
        assert "used before" in await again.details()
        await exporter.write(b"undisturbed")
        assert await client.read() == b"undisturbed"


@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c"])
async def test_forged_token_is_refused_and_not_repeated(token: str) -> None:
    async with serving() as (_, _authority, channel):
        call = dial(channel, token)
        assert await code_of(call) is grpc.StatusCode.UNAUTHENTICATED
        assert not token or token not in await call.details()


def test_token_of_another_key_or_an_expired_one_is_invalid() -> None:
    token = TokenAuthority(b"o" * 32).issue("l", time.time())[Side.CLIENT]
    with pytest.raises(InvalidTokenError, match="not one of this lab's"):
        TokenAuthority(KEY).check(token)
    with pytest.raises(InvalidTokenError, match="expired"):
        TokenAuthority(KEY).check(TokenAuthority(KEY).issue("l", time.time() - 3600)[Side.CLIENT])


def test_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 32"):
        TokenAuthority(b"short")


async def test_lone_side_is_sent_away() -> None:
    async with serving(lone_timeout=0.2) as (router, authority, channel):
        call = dial(channel, authority.issue("lease-1", time.time())[Side.CLIENT])
        assert await code_of(call) is grpc.StatusCode.ABORTED
        assert "did not come" in await call.details()
        await until_forgotten(router)


async def test_cut_ends_the_streams_of_that_lease_only() -> None:
    async with serving() as (router, authority, channel):
        calls = {}
        for lease in ("mine", "other"):
            tokens = authority.issue(lease, time.time())
            calls[lease] = dial(channel, tokens[Side.CLIENT]), dial(channel, tokens[Side.EXPORTER])
            await calls[lease][0].write(b"x")
            assert await calls[lease][1].read() == b"x"
        assert router.cut("mine") == 1
        assert await code_of(calls["mine"][0]) is grpc.StatusCode.ABORTED
        assert await calls["mine"][1].details() == "the lease has ended"
        await calls["other"][1].write(b"y")
        assert await calls["other"][0].read() == b"y"


async def test_side_that_goes_away_ends_the_other_one() -> None:
    async with serving() as (_, authority, channel):
        tokens = authority.issue("lease-1", time.time())
        client, exporter = dial(channel, tokens[Side.CLIENT]), dial(channel, tokens[Side.EXPORTER])
        await client.write(b"x")
        assert await exporter.read() == b"x"
        client.cancel()
        assert await code_of(exporter) is grpc.StatusCode.ABORTED


async def test_waiting_sides_are_bounded() -> None:
    async with serving(max_pending=2) as (_, authority, channel):
        waiting = [dial(channel, authority.issue("l", time.time())[Side.CLIENT]) for _ in range(2)]
        for call in waiting:
            await call.write(b"x")
        codes = asyncio.as_completed(
            [code_of(dial(channel, authority.issue("l", time.time())[Side.CLIENT])) for _ in range(2)]
        )
        assert await next(iter(codes)) is grpc.StatusCode.RESOURCE_EXHAUSTED
        for call in waiting:
            call.cancel()


async def test_stalled_reader_stalls_its_writer() -> None:
    async with serving() as (_, authority, channel):
        tokens = authority.issue("lease-1", time.time())
        client, exporter = dial(channel, tokens[Side.CLIENT]), dial(channel, tokens[Side.EXPORTER])
        written = 0

        async def write() -> None:
            nonlocal written
            while True:
                await client.write(b"z" * 65536)
                written += 65536

        writer = asyncio.ensure_future(write())
        await exporter.write(b"joined")
        assert await client.read() == b"joined"
        before = -1
        while written != before or not written:  # until nothing moves any more for a second
            before = written
            # What is under way is bounded by the windows of HTTP/2, which gRPC makes larger on a busy machine.
            assert written < 256 << 20
            await asyncio.wait([writer], timeout=1)
        writer.cancel()


async def test_token_from_before_a_cut_joins_nothing() -> None:
    async with serving() as (router, authority, channel):
        now = time.time()
        before, other = authority.issue("mine", now), authority.issue("other", now)
        assert router.cut("mine") == 0
        after = authority.issue("mine", now)
        for side in Side:
            assert await code_of(dial(channel, before[side])) is grpc.StatusCode.UNAUTHENTICATED
        for tokens in (after, other):
            client, exporter = dial(channel, tokens[Side.CLIENT]), dial(channel, tokens[Side.EXPORTER])
            await client.write(b"hello")
            assert await exporter.read() == b"hello"


def test_order_of_tokens_and_cuts_survives_a_clock_that_is_set_back() -> None:
    authority = TokenAuthority(KEY)
    now = time.time()
    before = authority.issue("lease", now)[Side.CLIENT]
    authority.void("lease", now - 60)
    with pytest.raises(InvalidTokenError, match="void"):
        authority.check(before)
    authority.check(authority.issue("lease", now - 60)[Side.CLIENT])


def test_router_of_its_own_is_told_when_the_cut_was() -> None:
    controller, router = TokenAuthority(KEY), TokenAuthority(KEY)
    now = time.time()
    before, at, after = controller.issue("lease", now), controller.stamp(now), controller.issue("lease", now)
    router.void("lease", now - 3600, at)  # its own clock is late
    with pytest.raises(InvalidTokenError, match="void"):
        router.check(before[Side.CLIENT])
    router.check(after[Side.CLIENT])


def test_cost_of_a_cut_does_not_grow_with_the_cuts_before() -> None:
    authority, now = TokenAuthority(KEY), time.time()

    def cost(first: int) -> float:
        begun = time.process_time()
        for number in range(first, first + 200):
            authority.void(f"lease-{number}", now)
        return time.process_time() - begun

    few = min(cost(200 * repeat) for repeat in range(5))
    for number in range(20_000):
        authority.void(f"before-{number}", now)
    assert min(cost(200 * repeat) for repeat in range(5)) < 20 * few


def test_cuts_are_forgotten_when_no_token_of_before_is_valid_any_more() -> None:
    authority, now = TokenAuthority(KEY), time.time()
    authority.void("again", now - 3600)
    authority.void("old", now - 3500)
    authority.void("again", now)
    before = authority.issue("old", now)[Side.CLIENT]
    assert authority.check(before)
    with pytest.raises(InvalidTokenError, match="void"):
        authority.check(_issued_before(authority, "again", now))


def _issued_before(authority: TokenAuthority, lease: str, now: float) -> str:
    token, _ = TokenAuthority(KEY).issue_one(Side.CLIENT, lease, now - 1)
    return token
