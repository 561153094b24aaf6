"""A lease on the exporter, without a controller."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from jumpstarter_exporter import lease as lease_module
from jumpstarter_exporter.lease import LeaseSession
from jumpstarter_exporter.standalone import Hooks
from jumpstarter_router.service import RouterService
from jumpstarter_router.tokens import Side, TokenAuthority

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Link:
    """Leads to the one router of the test."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    async def router(self, endpoint: str) -> grpc.aio.Channel:
        return self._channel


@dataclass
class Carrying:
    """A lease of alice whose session is one socket, and the router that clients come through."""

    lease: LeaseSession
    authority: TokenAuthority
    channel: grpc.aio.Channel
    listener: socket.socket
    path: str

    def call(self, client: str) -> Any:
        """*client* dials, and the exporter is told; gives the client's stream."""
        tokens = self.authority.issue("lease", time.time())
        relay = self.lease._relay("router", tokens[Side.EXPORTER], self.path)
        self.lease._carry("router", client, relay)
        stream = self.channel.stream_stream("/jumpstarter.v1.RouterService/Stream")
        return stream(metadata=(("authorization", f"Bearer {tokens[Side.CLIENT]}"),))

    async def accept(self) -> socket.socket:
        session, _ = await asyncio.to_thread(self.listener.accept)
        return session


@pytest.fixture
async def carrying(tmp_path: Path) -> AsyncIterator[Carrying]:
    authority = TokenAuthority(b"k" * 32)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((RouterService(authority).handlers(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    path = str(tmp_path / "session")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        listener.settimeout(60)
        async with asyncio.timeout(60), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            link: Any = Link(channel)
            unused: Any = None
            lease = LeaseSession(unused, Hooks(), link, unused, "lease", "alice", unused)
            yield Carrying(lease, authority, channel, listener, path)
    await server.stop(None)


@pytest.mark.parametrize("named", ["alice", ""])  # stock controllers do not say whose call it is
async def test_client_that_gave_its_lease_away_is_cut_off(carrying: Carrying, named: str) -> None:
    call = carrying.call(named)
    carrying.lease.belongs_to("alice")
    await call.write(b"\x0a\x05hello")
    with await carrying.accept() as session:
        assert await asyncio.to_thread(session.recv, 5) == b"hello"
        carrying.lease.belongs_to("bob")
        assert carrying.lease.client == "bob"
        assert await asyncio.to_thread(session.recv, 5) == b""
    assert await call.code() is not grpc.StatusCode.OK


async def test_call_of_the_new_holder_that_comes_before_the_word_of_the_transfer_waits_for_it(
    carrying: Carrying,
) -> None:
    call = carrying.call("bob")
    await asyncio.sleep(0)
    carrying.lease.belongs_to("bob")
    await call.write(b"\x0a\x05hello")
    with await carrying.accept() as session:
        assert await asyncio.to_thread(session.recv, 5) == b"hello"
    call.cancel()


async def test_call_of_anybody_else_is_dropped(
    carrying: Carrying, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lease_module, "HOLDER_GRACE", 0.05)
    carrying.lease.belongs_to("bob")
    carrying.call("alice")
    (task,) = carrying.lease._relays
    await task
    assert "a call of alice was dropped: lease lease is not theirs" in caplog.text
    carrying.listener.setblocking(False)
    with pytest.raises(BlockingIOError):
        carrying.listener.accept()
