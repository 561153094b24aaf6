"""The joint over real sockets, with peers that speak HTTP CONNECT by hand."""

from __future__ import annotations

import asyncio
import base64
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from jumpstarter_router import joint as joint_module
from jumpstarter_router.joint import Admission, Joint, RefusedError
from jumpstarter_router.tokens import Side, TokenAuthority

KEY = b"k" * 32

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class OpenGate:
    """Lets in whoever says the name of a lease; `calls` gets the tokens for exporters."""

    calls: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    call: Callable[[str], Awaitable[None]] | None = None

    async def admit(self, ticket: str) -> Admission:
        if not ticket.startswith("lease"):
            raise RefusedError(403, "no such lease")
        return Admission(ticket, self.call or self.calls.put)


@dataclass
class Served:
    """A joint that listens on `port`."""

    joint: Joint
    gate: OpenGate
    port: int
    authority: TokenAuthority
    opened: list[Connection] = field(default_factory=list)

    async def connect(self, authorization: str, first: str = "CONNECT exporter:443 HTTP/1.1") -> Connection:
        connection = await self.open()
        lines = [first, "Host: exporter:443"]
        lines += [f"Proxy-Authorization: {authorization}"] if authorization else []
        connection.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        return connection

    async def open(self) -> Connection:
        self.opened.append(Connection(*await asyncio.open_connection("127.0.0.1", self.port)))
        return self.opened[-1]

    async def client(self, lease: str = "lease-1") -> Connection:
        return await self.connect("Basic " + base64.b64encode(f"client:{lease}".encode()).decode())

    async def exporter(self, token: str | None = None) -> Connection:
        async with asyncio.timeout(60):
            return await self.connect(f"Bearer {token or await self.gate.calls.get()}")

    async def pair(self, lease: str = "lease-1") -> tuple[Connection, Connection]:
        client = await self.client(lease)
        exporter = await self.exporter()
        assert await exporter.status() == await client.status() == 200
        return client, exporter


@dataclass
class Connection:
    """One side's connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def status(self) -> int:
        async with asyncio.timeout(60):
            head = await self.reader.readuntil(b"\r\n\r\n")
        return int(head.split()[1])

    async def read(self, size: int = -1) -> bytes:
        async with asyncio.timeout(60):
            return await (self.reader.read() if size < 0 else self.reader.readexactly(size))


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[Served]:
    gate, authority = OpenGate(), TokenAuthority(KEY)
    joint = Joint(authority, gate, **options)
    port = await joint.start("127.0.0.1", 0)
    served = Served(joint, gate, port, authority)
    try:
        yield served
    finally:
        await joint.stop()
        for connection in served.opened:
            connection.writer.transport.abort()
            with suppress(OSError):
                await connection.writer.wait_closed()


async def test_bytes_go_both_ways_and_the_end_of_one_leaves_the_other_open() -> None:
    async with serving() as served:
        client, exporter = await served.pair()
        data = os.urandom(5_000_000)
        client.writer.write(data)
        client.writer.write_eof()
        assert await exporter.read() == data
        exporter.writer.write(data[::-1])
        exporter.writer.write_eof()
        assert await client.read() == data[::-1]


async def test_what_a_side_says_at_once_after_the_answer_is_carried() -> None:
    async with serving() as served:
        client, exporter = await served.pair()
        exporter.writer.write(b"220 ready")
        assert await client.read(9) == b"220 ready"


async def test_a_ticket_lets_in_again() -> None:
    async with serving() as served:
        first, second = await served.pair(), await served.pair()
        for (client, exporter), word in ((first, b"one"), (second, b"two")):
            client.writer.write(word)
            assert await exporter.read(3) == word
        assert served.joint.connections == 2


async def test_cut_ends_the_connections_of_one_lease() -> None:
    async with serving() as served:
        first, second = await served.pair("lease-1"), await served.pair("lease-2")
        assert served.joint.cut("lease-1") == 1
        assert [await side.read() for side in first] == [b"", b""]
        second[0].writer.write(b"still here")
        assert await second[1].read(10) == b"still here"


async def test_cut_ends_a_client_that_waits() -> None:
    async with serving() as served:
        client = await served.client()
        token = await served.gate.calls.get()
        assert served.joint.cut("lease-1") == 1
        assert await client.read() == b""
        assert await (await served.exporter(token)).status() == 403


async def test_a_side_that_leaves_ends_the_other() -> None:
    async with serving() as served:
        client, exporter = await served.pair()
        client.writer.transport.abort()
        assert await exporter.read() == b""


async def test_an_exporters_token_joins_once() -> None:
    async with serving() as served:
        client = await served.client()
        token = await served.gate.calls.get()
        exporter = await served.exporter(token)
        assert await exporter.status() == await client.status() == 200
        assert await (await served.exporter(token)).status() == 403


async def test_tokens_that_open_nothing() -> None:
    async with serving() as served:
        await served.client()
        await served.gate.calls.get()
        tokens = served.authority.issue("lease-1", time.time())
        other = TokenAuthority(b"x" * 32).issue("lease-1", time.time())
        for token in (tokens[Side.EXPORTER], tokens[Side.CLIENT], other[Side.EXPORTER], "rubbish"):
            assert await (await served.exporter(token)).status() == 403


async def test_a_client_whose_exporter_does_not_come_is_told() -> None:
    async with serving(lone_timeout=0.05) as served:
        assert await (await served.client()).status() == 504
        assert await (await served.exporter()).status() == 403


async def test_a_gate_that_refuses_later_is_told() -> None:
    async def refuse(token: str) -> None:
        raise RefusedError(503, "it does not listen")

    async with serving() as served:
        served.gate.call = refuse
        assert await (await served.client()).status() == 503
        assert served.joint.connections == 0


async def test_an_error_that_nobody_expected_is_logged_and_told(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(token: str) -> None:
        raise RuntimeError("the store is closed")

    async with serving() as served:
        served.gate.call = fail
        assert await (await served.client()).status() == 503
        assert served.joint.connections == 0
    assert "the store is closed" in caplog.text


async def test_a_system_without_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.has_dualstack_ipv6", lambda: False)
    joint = Joint(TokenAuthority(KEY), OpenGate())
    port = await joint.start("::", 0)
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    await joint.stop()


@pytest.mark.parametrize(
    ("authorization", "first", "status"),
    [
        ("", "CONNECT exporter:443 HTTP/1.1", 407),
        ("Basic", "CONNECT exporter:443 HTTP/1.1", 407),
        ("Basic %%%", "CONNECT exporter:443 HTTP/1.1", 407),
        ("Basic " + base64.b64encode(b"no colon").decode(), "CONNECT exporter:443 HTTP/1.1", 407),
        ("Digest abc", "CONNECT exporter:443 HTTP/1.1", 407),
        ("Basic " + base64.b64encode(b"client:other").decode(), "CONNECT exporter:443 HTTP/1.1", 403),
        ("Basic " + base64.b64encode(b"client:lease-1").decode(), "GET / HTTP/1.1", 400),
        ("Basic " + "A" * 9000, "CONNECT exporter:443 HTTP/1.1", 400),
    ],
)
async def test_requests_that_are_none(authorization: str, first: str, status: int) -> None:
    async with serving() as served:
        assert await (await served.connect(authorization, first)).status() == status


async def test_who_says_nothing_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joint_module, "REQUEST_TIMEOUT", 0.05)
    async with serving() as served:
        assert await (await served.open()).status() == 400


async def test_a_reader_that_does_not_read_stops_its_writer() -> None:
    async with serving() as served:
        client, _exporter = await served.pair()
        chunk, taken = bytes(1 << 20), 0
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                for _ in range(512):
                    client.writer.write(chunk)
                    await client.writer.drain()
                    taken += 1
        assert taken < 100  # MiB that the kernel's buffers and one chunk of ours hold


async def test_nothing_is_left_when_it_stops() -> None:
    async with serving() as served:
        client, exporter = await served.pair()
        waiting = await served.client()
        await served.gate.calls.get()
        await served.joint.stop()
        assert [await side.read() for side in (client, exporter, waiting)] == [b"", b"", b""]
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", served.port)
