"""The exporter's end of a passage, with a real joint."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from jumpstarter.common.exceptions import ConnectionError
from jumpstarter_exporter import passage
from jumpstarter_router.joint import Admission, Joint
from jumpstarter_router.tokens import Side, TokenAuthority

pytestmark = pytest.mark.anyio

AUTHORITY = TokenAuthority(b"k" * 32)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Gate:
    """Lets in whoever comes, and keeps what exporters are called with."""

    def __init__(self) -> None:
        self.calls: asyncio.Queue[str] = asyncio.Queue()

    async def admit(self, ticket: str) -> Admission:
        return Admission("lease", self.calls.put)


@pytest.fixture
async def gate() -> Gate:
    return Gate()


@pytest.fixture
async def joint(gate: Gate) -> AsyncIterator[str]:
    """The joint's address."""
    running = Joint(AUTHORITY, gate)
    port = await running.start("127.0.0.1", 0)
    yield f"127.0.0.1:{port}"
    await running.stop()


async def test_what_the_client_says_reaches_the_session(joint: str, gate: Gate, tmp_path: Path) -> None:
    loop, path = asyncio.get_running_loop(), str(tmp_path / "session")
    host, _, port = joint.partition(":")
    with socket.socket(socket.AF_UNIX) as listener, socket.create_connection((host, int(port))) as client:
        listener.bind(path)
        listener.listen()
        client.sendall(b"CONNECT x HTTP/1.1\r\nProxy-Authorization: Basic Yzp0\r\n\r\n")
        async with asyncio.timeout(60):
            joining = asyncio.create_task(passage.join(joint, await gate.calls.get(), path))
            session, _ = await asyncio.to_thread(listener.accept)
            with session:
                answer = await asyncio.to_thread(client.recv, 100)
                assert answer == b"HTTP/1.1 200 Connection established\r\n\r\n"
                await loop.run_in_executor(None, client.sendall, b"hello")
                assert await asyncio.to_thread(session.recv, 5) == b"hello"
                session.sendall(b"good bye")
                session.shutdown(socket.SHUT_WR)
                assert await asyncio.to_thread(client.recv, 8) == b"good bye"
                client.shutdown(socket.SHUT_WR)
                await joining
                assert await asyncio.to_thread(session.recv, 1) == b""


async def test_a_joint_that_refuses(joint: str, tmp_path: Path) -> None:
    token = AUTHORITY.issue("lease", time.time())[Side.EXPORTER]
    with pytest.raises(
        ConnectionError, match=f"the joint {joint} refuses the exporter: HTTP/1.1 403 Forbidden"
    ):
        await passage.join(joint, token, str(tmp_path / "unused"))


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"x" * 10_000])
async def test_something_else_at_its_address(tmp_path: Path, answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        endpoint = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises((ConnectionError, OSError), match=r"gave no answer of HTTP|reset"):
            await passage.join(endpoint, "token", str(tmp_path / "unused"))


async def test_whether_it_can_be_reached(joint: str, caplog: pytest.LogCaptureFixture) -> None:
    assert await passage.reachable(joint)
    with socket.create_server(("127.0.0.1", 0)) as server:
        nobody = f"127.0.0.1:{server.getsockname()[1]}"
    caplog.set_level("INFO")
    assert not await passage.reachable(nobody)
    assert f"passages go by {nobody}, which cannot be reached from here" in caplog.text
