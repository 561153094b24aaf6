"""What the end of a lease leaves behind: whole reports, a usable terminal, and the reason."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from utest.terminals import close, is_cooked

from .world import Process, World

SERIAL = {
    "power": {"type": "jumpstarter_driver_power.driver.MockPower"},
    "serial": {"type": "jumpstarter_driver_pyserial.driver.PySerial", "config": {"url": "loop://"}},
}
SUITE = """\
*** Settings ***
Library    JumpstarterLibrary

*** Test Cases ***
First
    Connect To Exporter
    Power On

Endless
    Serial Read Until    never    timeout=10 min

Third
    Power On
"""


@pytest.fixture(scope="module")
def board(world: World) -> Iterator[Process]:
    world.add_exporter("bench", "kind=bench", export=SERIAL)
    process = world.run_exporter("bench")
    yield process
    process.end()


def test_robot_writes_whole_reports_when_the_lease_ends(world: World, board: Process, tmp_path: Path) -> None:
    (tmp_path / "suite.robot").write_text(SUITE)
    robot = f"robot --outputdir {tmp_path}/results {tmp_path}/suite.robot"
    shell = world.start(
        "jmp", "shell", "-n", "bench", "--duration", "12s", "--", "sh", "-c", f"{robot}; true"
    )
    shell.wait()
    assert (tmp_path / "results" / "log.html").exists(), shell.text()
    root = ET.parse(tmp_path / "results" / "output.xml").getroot()
    found = {t.attrib["name"]: (t[-1].attrib["status"], t[-1].text or "") for t in root.iter("test")}
    assert [status for status, _ in found.values()] == ["PASS", "FAIL", "FAIL"]
    assert "has ended" in found["Endless"][1]
    assert "Lease " in found["Endless"][1]
    world.nothing_is_leased()


def test_serial_console_at_the_end_of_a_lease(world: World, board: Process) -> None:
    environment = {**world.environment(), "SHELL": "/bin/bash", "TERM": "dumb"}
    # The outer shell has no prompt: one that has repairs the terminal by itself.
    command = "jmp shell -n bench --duration 15s; echo the outer shell goes on; read line"
    child = pexpect.spawn("/bin/sh", ["-c", command], env=environment, timeout=120, encoding="utf-8")
    try:
        child.expect("➤")
        child.sendline("j serial start-console")
        child.expect("leave with Ctrl")
        child.expect("Lease [-0-9a-f]+ has ended")
        child.expect_exact("the outer shell goes on")
        assert "Traceback" not in child.before
        assert is_cooked(child)
    finally:
        close(child)
    world.nothing_is_leased()
