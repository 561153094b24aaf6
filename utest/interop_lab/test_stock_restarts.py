"""Clients of ours that live on when their exporter of stock Jumpstarter is started anew."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .lab import Installation, Lab, Process, RawClient

SHELL = """
import sys
from jumpstarter.utils.env import env
with env() as client:
    client.power.on()
    print("used", flush=True)
    open(sys.argv[2]).readline()
    client.power.off()
    print("used again", [reading.voltage for reading in client.power.read()], flush=True)
"""

PROGRAM = """
import logging, sys
logging.basicConfig()
from jumpstarter.config.client import ClientConfigV1Alpha1
config = ClientConfigV1Alpha1.from_file(sys.argv[1])
with config.lease(selector="board=restarted") as lease, lease.connect() as client:
    client.power.on()
    print("used", flush=True)
    open(sys.argv[2]).readline()
    client.power.off()
    print("used again", [reading.voltage for reading in client.power.read()], flush=True)
"""

FRESH = "was started anew: its drivers are fresh"


@pytest.fixture
def go(tmp_path: Path) -> Iterator[Path]:
    """What a client reads a line from."""
    path = tmp_path / "go"
    os.mkfifo(path)
    yield path


def kill(exporter: Process) -> None:
    """Kill a stock exporter: the process that serves, below the one that starts it again, and that one."""
    pid = exporter.popen.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    exporter.stop(signal.SIGKILL)
    for child in children:
        os.kill(int(child), signal.SIGKILL)


@pytest.mark.parametrize("way", ["shell", "program"])
def test_first_call_of_an_idle_client_reaches_a_restarted_stock_exporter(
    lab: Lab,
    ours: Installation,
    stock: Installation,
    raw: RawClient,
    alice: Path,
    go: Path,
    tmp_path: Path,
    way: str,
) -> None:
    script = tmp_path / "client.py"
    script.write_text(SHELL if way == "shell" else PROGRAM)
    config = lab.exporter_config(f"restarted-{way}", board="restarted")
    arguments = (str(script), str(alice), str(go))
    shell = ("jmp", "shell", "--client-config", str(alice), "-l", "board=restarted", "--", sys.executable)
    command = (*(shell if way == "shell" else ("python",)), *arguments)
    run = ("jmp", "run", "--exporter-config", str(config))
    with stock.start(*run, stop=signal.SIGKILL) as before:
        raw.wait_for_board("board=restarted")
        with ours.start(*command) as client:
            client.until("used")
            kill(before)
            with stock.start(*run) as after, go.open("w") as tell:
                after.until("LEASE_READY")
                tell.write("\n")
                tell.flush()
                client.until("used again")
                client.until(FRESH)
                assert client.popen.wait(60) == 0
