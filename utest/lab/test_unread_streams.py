"""Streams that nobody reads: what is on its way waits at the exporter, and costs its readers little memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from .world import World

FAULTS = Path(__file__).resolve().parents[1] / "faults"
STREAMS = int(os.environ.get("TEST_STREAMS", "20"))
#: MiB that one unread stream may cost the process that opened it, or the shell that it came through.
MOST = 16

PROGRAM = f"""
import os, sys
from pathlib import Path
from jumpstarter.common.utils import env

def memory(pid):
    return int(Path(f"/proc/{{pid}}/status").read_text().split("VmRSS:")[1].split()[0]) // 1024

with env() as client:
    pids = os.getpid(), os.getppid()
    before = [memory(pid) for pid in pids]
    streams = [client.faulty.open_stream("flood") for _ in range({STREAMS})]
    # The others get as much as they are allowed while this one is read.
    received = 0
    while received < 200 << 20:
        received += len(streams[0].receive())
    print("growth:", *(memory(pid) - was for pid, was in zip(pids, before)), flush=True)
    for stream in streams:
        stream.stream.cancel()
"""


@pytest.fixture
def world(own_world: World) -> Iterator[World]:
    export = {"faulty": {"type": "faulty.Faulty"}, "other": {"type": "faulty.Faulty"}}
    path = own_world.add_exporter("board", "kind=board", export=export)
    exporter = own_world.start("jmp", "run", "--exporter-config", str(path), env={"PYTHONPATH": str(FAULTS)})
    own_world.is_available("board")
    yield own_world
    exporter.end()


def test_unread_streams_cost_little_memory(world: World) -> None:
    command = ["jmp", "shell", "-l", "kind=board", "--", "python", "-c", PROGRAM]
    process = world.start(*command, env={"PYTHONPATH": str(FAULTS)})
    assert process.wait() == 0, process.text()
    growth = process.text().split("growth:")[1].split()[:2]
    print(f"MiB for a stream: {', '.join(f'{int(mib) / STREAMS:.1f}' for mib in growth)}")
    assert all(int(mib) <= STREAMS * MOST for mib in growth), growth
