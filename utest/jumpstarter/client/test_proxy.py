"""The proxy of a leased shell, in front of a real session."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from anyio import to_thread
from anyio.from_thread import BlockingPortal
from jumpstarter.client.client import client_from_channel, connect_path
from jumpstarter.client.proxy import OPTIONS, proxying
from jumpstarter.common.exceptions import ConnectionError, DriverError
from jumpstarter.connection import local_session
from jumpstarter.driver import Driver, export
from jumpstarter_driver_composite.driver import Composite
from jumpstarter_driver_network.driver import EchoNetwork

from .small_lab import dialling, small_lab

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Probe(Driver):
    """What a proxy has to carry."""

    closed = threading.Event()

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"

    @export
    def echo(self, value: str) -> str:
        return value

    @export
    def fail(self) -> None:
        raise LookupError("no such thing: ä")

    @export
    def count(self, limit: int) -> Iterator[int]:
        yield from range(limit)

    @export
    def forever(self) -> Iterator[int]:
        try:
            number = 0
            while True:
                yield number
                number += 1
        finally:
            self.closed.set()


@asynccontextmanager
async def probe_behind_proxy(path: Path) -> AsyncIterator[None]:
    with local_session(Composite(children={"probe": Probe(), "echo": EchoNetwork()})) as session:
        async with proxying(grpc.aio.insecure_channel(f"unix:{session}", options=OPTIONS), str(path)):
            yield


def use(path: Path, action: Any) -> Any:
    with connect_path(str(path), allow=[], unsafe=True) as client:
        return action(client)


async def test_values_and_items_come_through(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with probe_behind_proxy(path):
        assert await to_thread.run_sync(use, path, lambda c: c.probe.call("echo", "ä")) == "ä"
        items = await to_thread.run_sync(use, path, lambda c: list(c.probe.streamingcall("count", 500)))
        assert items == list(range(500))


async def test_messages_may_be_as_big_as_without_it(tmp_path: Path) -> None:
    path, text = tmp_path / "s", "x" * 3_500_000
    async with probe_behind_proxy(path):
        assert await to_thread.run_sync(use, path, lambda c: c.probe.call("echo", text)) == text


async def test_errors_keep_their_kind_and_text(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with probe_behind_proxy(path):
        with pytest.raises(DriverError, match=r"LookupError: .*no such thing: ä") as caught:
            await to_thread.run_sync(use, path, lambda c: c.probe.call("fail"))
    assert caught.value.remote_type == "LookupError"


async def test_client_that_stops_reading_ends_the_generator(tmp_path: Path) -> None:
    Probe.closed.clear()

    def first(client: Any) -> Any:
        items = client.probe.streamingcall("forever")
        try:
            return next(items)
        finally:
            items.close()

    path = tmp_path / "s"
    async with probe_behind_proxy(path):
        assert await to_thread.run_sync(use, path, first) == 0
        assert await to_thread.run_sync(Probe.closed.wait, 20)


async def test_bytes_go_both_ways(tmp_path: Path) -> None:
    data = bytes(range(256)) * 4096

    def exchange(client: Any) -> bytes:
        with client.echo.stream() as stream:
            got = b""
            stream.send(data)
            while len(got) < len(data):
                got += stream.receive()
            return got

    path = tmp_path / "s"
    async with probe_behind_proxy(path):
        assert await to_thread.run_sync(use, path, exchange) == data


async def test_commands_behind_one_proxy_share_one_dialled_connection(tmp_path: Path) -> None:
    dialled, shared = tmp_path / "d", tmp_path / "s"
    async with (
        small_lab(Probe()) as lab,
        dialling(lab, str(dialled)),
        proxying(grpc.aio.insecure_channel(f"unix:{dialled}", options=OPTIONS), str(shared)),
    ):
        for _ in range(3):
            assert await to_thread.run_sync(use, shared, lambda c: c.call("echo", "x")) == "x"
        assert lab.dials == 1


async def test_client_on_a_channel_of_the_running_loop() -> None:
    def use_it(client: Any) -> list[Any]:
        with client.echo.stream() as stream:
            stream.send(b"there and back")
            return [client.probe.call("echo", "a"), *client.probe.streamingcall("count", 2), stream.receive()]

    with local_session(Composite(children={"probe": Probe(), "echo": EchoNetwork()})) as session:
        async with BlockingPortal() as portal, grpc.aio.insecure_channel(f"unix:{session}") as channel:
            with ExitStack() as stack:
                client = await client_from_channel(channel, portal, stack, allow=[], unsafe=True)
                assert await to_thread.run_sync(use_it, client) == ["a", 0, 1, b"there and back"]
                assert await client.probe.call_async("echo", "b") == "b"
        with grpc.insecure_channel(f"unix:{session}") as plain, ExitStack() as stack:
            client = await client_from_channel(plain, None, stack, allow=[], unsafe=True)
            assert await to_thread.run_sync(use_it, client) == ["a", 0, 1, b"there and back"]


async def test_channel_of_the_running_loop_without_an_exporter(tmp_path: Path) -> None:
    async with grpc.aio.insecure_channel(f"unix:{tmp_path / 'nobody'}") as channel:
        with ExitStack() as stack, pytest.raises(ConnectionError, match="cannot be reached"):
            await client_from_channel(channel, None, stack, allow=[], unsafe=True)
