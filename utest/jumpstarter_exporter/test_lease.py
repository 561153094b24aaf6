"""A lease on the exporter, without a controller."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

import grpc
import pytest
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


async def test_client_that_gave_its_lease_away_is_cut_off(tmp_path: Any) -> None:
    authority = TokenAuthority(b"k" * 32)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((RouterService(authority).handlers(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    path = str(tmp_path / "session")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        async with asyncio.timeout(60), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            link: Any = Link(channel)
            unused: Any = None
            lease = LeaseSession(unused, Hooks(), link, unused, "lease", "alice", unused)
            tokens = authority.issue("lease", time.time())
            lease._carry("router", lease._relay("router", tokens[Side.EXPORTER], path))
            stream = channel.stream_stream("/jumpstarter.v1.RouterService/Stream")
            call: Any = stream(metadata=(("authorization", f"Bearer {tokens[Side.CLIENT]}"),))
            lease.belongs_to("alice")
            await call.write(b"\x0a\x05hello")
            session, _ = await asyncio.to_thread(listener.accept)
            with session:
                assert await asyncio.to_thread(session.recv, 5) == b"hello"
                lease.belongs_to("bob")
                assert lease.client == "bob"
                assert await asyncio.to_thread(session.recv, 5) == b""
            assert await call.code() is not grpc.StatusCode.OK
    await server.stop(None)
