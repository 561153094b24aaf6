"""A console whose stream takes long to open: time-outs and Ctrl-C end the wait for it at once."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from .robot_runs import RobotRun

#: Seconds within which a run ends that is to end at once: processes start and end on a busy machine.
SOON = 30.0
SETTINGS = """\
*** Settings ***
Library    JumpstarterLibrary

*** Test Cases ***
Connect
    Connect To Exporter    config=${CONFIG}

"""


@pytest.fixture
def gate() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        server.settimeout(120)
        yield server


def run(tmp_path: Path, gate: socket.socket, tests: str) -> RobotRun:
    export = f"""\
    power: {{type: jumpstarter_driver_power.driver.MockPower}}
    serial:
      type: slow_console.SlowConsole
      config: {{url: "loop://", gate: {gate.getsockname()[1]}}}
    """
    return RobotRun(tmp_path, export, suite=SETTINGS + tests)


USES = (
    "Serial Read Until    never    timeout=10 min",
    "Serial Read    timeout=10 min",
    "Serial Write    x",
    "Power On",
)


def test_a_time_out_of_robot_ends_a_keyword_whose_console_is_opening(
    gate: socket.socket, tmp_path: Path
) -> None:
    tests = "".join(f"Use {number}\n    [Timeout]    1 s\n    {use}\n" for number, use in enumerate(USES))
    robot = run(tmp_path, gate, tests)
    assert robot.wait() == len(USES), robot.console
    for number, use in enumerate(USES):
        status = robot.test(f"Use {number}").find("status")
        assert status is not None
        assert "Test timeout 1 second exceeded" in (status.text or ""), use
        assert float(status.attrib["elapsed"]) < SOON, use


@pytest.mark.parametrize("use", [USES[0], USES[-1]])
def test_ctrl_c_ends_a_run_whose_console_is_opening(gate: socket.socket, tmp_path: Path, use: str) -> None:
    robot = run(tmp_path, gate, f"Use\n    {use}\n")
    opening, _ = gate.accept()
    with opening:
        os.killpg(robot.process.pid, signal.SIGINT)
        started = monotonic()
        code = robot.wait()
    assert monotonic() - started < SOON, robot.console
    assert code == 1, robot.console
    assert re.search("Execution terminated by signal", robot.test("Use").find("status").text or "")  # type: ignore[union-attr]
