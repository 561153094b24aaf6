"""A real board in QEMU whose serial port is there while it has power, and not a moment longer."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from .robot_runs import RobotRun, messages

UBOOT = "/usr/lib/u-boot/qemu_arm64/u-boot.bin"
START = (
    "qemu-system-aarch64 -M virt -cpu cortex-a57 -m 256 -nodefaults -display none -bios " + UBOOT + " "
    "-serial tcp:127.0.0.1:{port},server=on,wait=on -daemonize -pidfile {folder}/pid"
)
#: The tool waits until the board is gone: its port is free for the next start then.
STOP = (
    "pid=$(cat {folder}/pid 2>/dev/null) || exit 0; kill -9 $pid; "
    "while kill -0 $pid 2>/dev/null; do sleep 0.05; done; rm -f {folder}/pid"
)

SETTINGS = """\
*** Settings ***
Library           JumpstarterLibrary    timeout=2 min
Suite Setup       Connect To Exporter    config=${CONFIG}
Suite Teardown    Power Off

*** Test Cases ***
"""


@pytest.fixture
def folder(tmp_path: Path, qemu: None) -> Iterator[Path]:
    yield tmp_path
    with suppress(OSError, ValueError):  # Robot has switched it off
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def run(folder: Path, tests: str) -> RobotRun:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    start, stop = START.format(port=port, folder=folder), STOP.format(folder=folder)
    export = f"""\
    power:
      type: jumpstarter_driver_shell.driver.Shell
      config: {{methods: {{"on": "sleep 1; {start}", "off": "{stop}", cycle: "{stop}; {start}"}}}}
    serial:
      type: jumpstarter_driver_pyserial.driver.PySerial
      config: {{url: "socket://127.0.0.1:{port}", check_existing: false}}
    uboot:
      type: jumpstarter_driver_uboot.driver.UbootConsole
      children: {{power: {{ref: power}}, serial: {{ref: serial}}}}
    """
    return RobotRun(folder, export, suite=SETTINGS + tests)


@pytest.mark.board
def test_a_console_that_comes_with_the_power_is_read_from_its_first_line(folder: Path) -> None:
    robot = run(
        folder,
        """\
The Boot Is Seen
    Power On
    Serial Read Until    ^U-Boot \\\\d{4}    regex=True
    Serial Read Until    autoboot
    Serial Write    x
    Serial Read Until    ^=> $    regex=True

Another Boot Is Another Console
    Serial Write    echo an old unread line\\r
    Power Off
    Run Keyword And Expect Error    *the console cannot be opened*    Serial Read Until    =>    timeout=200 ms
    Power On
    ${boot} =    Serial Read Until    ^U-Boot \\\\d{4}    regex=True
    Should Not Contain    ${boot}    old
    Power Cycle
    Serial Read Until    autoboot

Who Waits Before The Power Comes Sees It
    Power Off
    Power On
    Serial Read Until    autoboot
""",
    )
    assert robot.wait() == 0, robot.console + robot.text()


@pytest.mark.board
def test_u_boots_prompt_is_reached_on_a_console_that_comes_with_the_power(folder: Path) -> None:
    robot = run(
        folder,
        """\
The Prompt Is Reached
    Uboot Reboot To Console
    ${lines} =    Uboot Run Command Checked    echo here
    Should Be Equal    ${lines}    ${{['here']}}
    Uboot Leave Console
    Serial Write Line    echo again    newline=\\r
    Serial Read Until    again\\nagain
    Uboot Reboot To Console
    Uboot Set Env    one    two
    Uboot Leave Console
""",
    )
    assert robot.wait() == 0, robot.console + robot.text()
    assert "U-Boot 20" in messages(robot.test("The Prompt Is Reached"))
