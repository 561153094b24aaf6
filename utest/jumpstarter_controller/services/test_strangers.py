"""What strangers can do to a lab without a token: cost it little, and fill neither its log nor its memory."""

from __future__ import annotations

import asyncio
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from .peers import TestLab, refusal

pytestmark = pytest.mark.anyio


def raw(lab: TestLab, method: str) -> Any:
    return lab.channel.unary_unary(f"/jumpstarter.client.v1.ClientService/{method}")


async def test_malformed_messages_of_strangers_are_a_few_short_lines(
    lab: TestLab, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(50):
        code, _ = await refusal(raw(lab, "ListLeases")(b"\xff\xff\xff", timeout=60))
        assert code is grpc.StatusCode.UNAUTHENTICATED
    assert "Traceback" not in caplog.text
    assert len(caplog.text) < 1000


async def test_malformed_message_of_a_client_is_told_and_is_a_short_line(
    lab: TestLab, caplog: pytest.LogCaptureFixture
) -> None:
    alice = await lab.client()
    for _ in range(50):
        asked = raw(lab, "ListLeases")(b"\xff\xff\xff", metadata=alice.metadata, timeout=60)
        code, text = await refusal(asked)
        assert (code, "cannot be read" in text) == (grpc.StatusCode.INVALID_ARGUMENT, True)
    watch = lab.channel.unary_stream("/jumpstarter.lab.v1.LabService/WatchLease")
    code, text = await refusal(watch(b"\xff\xff", metadata=alice.metadata, timeout=60).read())
    assert (code, "cannot be read" in text) == (grpc.StatusCode.INVALID_ARGUMENT, True)
    assert "Traceback" not in caplog.text
    assert len([each for each in caplog.messages if "unreadable request: peer=" in each]) <= 3


async def test_malformed_message_to_the_health_service_is_no_traceback(
    lab: TestLab, caplog: pytest.LogCaptureFixture
) -> None:
    check = lab.channel.unary_unary("/grpc.health.v1.Health/Check")
    assert await check(b"\xff\xff", timeout=60) == b"\x08\x01"  # SERVING
    assert "Traceback" not in caplog.text


async def test_a_message_that_is_small_on_the_wire_alone_is_not_inflated(lab: TestLab) -> None:
    for algorithm in (grpc.Compression.Gzip, grpc.Compression.Deflate):
        bomb = raw(lab, "ListLeases")(bytes(64 << 20), compression=algorithm, timeout=60)
        code, text = await refusal(bomb)
        # gRPC gives up as soon as it has inflated so much; told to take no compression, it inflates all before it refuses.
        assert (code, "larger than max" in text) == (grpc.StatusCode.RESOURCE_EXHAUSTED, True)


async def test_connection_without_a_handshake_is_closed_soon(lab: TestLab) -> None:
    begin, port = time.monotonic(), lab.running.port
    with socket.create_connection(("127.0.0.1", port)) as half_open:
        half_open.sendall(b"\x16\x03\x01")
        half_open.settimeout(60)
        assert await asyncio.to_thread(half_open.recv, 1) == b""
    assert time.monotonic() - begin < 30


OUT_OF_FILES = """
import asyncio, os, resource, sys
from jumpstarter_controller.login import LabInfo, LoginServer, short_loop_errors

async def main():
    with short_loop_errors():
        server = LoginServer(LabInfo("lab:1", "default", lambda: b""))
        port = await server.start("127.0.0.1", 0)
        resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
        print(port, flush=True)
        await asyncio.to_thread(sys.stdin.read)
        print("goes on", flush=True)
        os._exit(0)

asyncio.run(main())
"""


@pytest.fixture
def starving() -> Iterator[subprocess.Popen[str]]:
    """A login service that may open twenty files."""
    with subprocess.Popen(
        [sys.executable, "-c", OUT_OF_FILES],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


def test_running_out_of_files_is_a_few_short_lines(starving: subprocess.Popen[str]) -> None:
    assert starving.stdout is not None
    assert starving.stdin is not None
    assert starving.stderr is not None
    port = int(starving.stdout.readline())
    peers = [socket.create_connection(("127.0.0.1", port), 60) for _ in range(60)]
    lines = [starving.stderr.readline()]
    for peer in peers:
        peer.close()
    starving.stdin.close()
    assert starving.stdout.readline() == "goes on\n"
    lines += starving.stderr.read().splitlines()
    assert "Too many open files" in lines[0]
    assert len(lines) <= 3
    assert all("Traceback" not in line for line in lines)


def test_memory_of_a_burst_is_given_back(caplog: pytest.LogCaptureFixture) -> None:
    from jumpstarter.common.memory import give_back

    caplog.set_level(logging.DEBUG)
    blocks = [bytearray(60_000) for _ in range(2000)]
    kept = [bytearray(60_000) for _ in range(1)]
    full = resident()
    del blocks
    give_back()
    assert full - resident() > 60_000_000
    assert kept


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
