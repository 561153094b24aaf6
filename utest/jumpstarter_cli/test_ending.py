"""The end of what `jmp shell` runs is orderly: SIGTERM, a grace, then force; reports and terminals are left whole."""

from __future__ import annotations

import os
import signal
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pytest

from utest.terminals import close, is_cooked

if TYPE_CHECKING:
    from .conftest import Cli, Running

SHELL = ("jmp", "shell", "--exporter", "simulated")

SUITE = """\
*** Settings ***
Library    JumpstarterLibrary

*** Test Cases ***
First
    Connect To Exporter
    Power On

Endless
    Log To Console    begun    stream=STDERR
    WHILE    True    limit=NONE
        Power Read    count=1
    END

Third
    Power On
"""


def suite(folder: Path) -> tuple[str, ...]:
    path = folder / "suite.robot"
    path.write_text(SUITE)
    return ("robot", "--outputdir", str(folder / "results"), str(path))


def results(folder: Path) -> dict[str, tuple[str, str]]:
    """Status and message of each test in output.xml; log and report are there, too."""
    assert (folder / "results" / "log.html").exists()
    assert (folder / "results" / "report.html").exists()
    root = ET.parse(folder / "results" / "output.xml").getroot()
    return {t.attrib["name"]: (t[-1].attrib["status"], t[-1].text or "") for t in root.iter("test")}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT], ids=str)
@pytest.mark.parametrize("wrapped", [False, True], ids=["robot", "sh -c robot"])
def test_robot_writes_whole_reports_when_the_shell_is_ended(
    cli: Cli, tmp_path: Path, start: Callable[..., Running], number: signal.Signals, wrapped: bool
) -> None:
    command = suite(tmp_path)
    if wrapped:
        command = ("sh", "-c", f"{' '.join(command)}; echo sh >&2")
    running = start(*SHELL, "--", *command)
    running.wait_for("begun")
    running.end(number)
    found = results(tmp_path)
    assert [status for status, _ in found.values()] == ["PASS", "FAIL", "FAIL"]
    if number is not signal.SIGINT:
        assert f"jmp shell got {number.name}" in found["Endless"][1]


def test_what_ignores_sigterm_is_killed_after_the_grace(
    cli: Cli, start: Callable[..., Running], tmp_path: Path
) -> None:
    script = f"trap '' TERM HUP; (trap '' TERM HUP; sleep 600)& echo $! > {tmp_path}/pid; echo up >&2; wait; sleep 600"
    running = start(*SHELL, "--grace", "1s", "--", "sh", "-c", script)
    running.wait_for("up")
    assert running.end(signal.SIGTERM) == 128 + signal.SIGKILL
    assert not lives(int((tmp_path / "pid").read_text()))


def lives(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] != "Z"  # a zombie waits for nothing but its parent


def test_reason_of_the_end_is_in_a_file_that_the_environment_names(
    cli: Cli, start: Callable[..., Running]
) -> None:
    script = (
        "import os, signal, sys\n"
        "from jumpstarter.common.end_reason import end_reason\n"
        "def told(*_):\n"
        "    print('reason:', open(os.environ['JMP_END_REASON_FILE']).read().strip(), file=sys.stderr)\n"
        "    print(end_reason(), file=sys.stderr, flush=True); sys.exit(3)\n"
        "signal.signal(signal.SIGTERM, told)\n"
        "assert end_reason() == ''\n"
        "print('up', file=sys.stderr, flush=True)\n"
        "while True: signal.pause()\n"
    )
    running = start(*SHELL, "--", sys.executable, "-c", script)
    running.wait_for("up")
    assert running.end(signal.SIGTERM) == 3
    assert "reason: jmp shell got SIGTERM\n" in running.seen
    assert "jmp shell got SIGTERM\n" in running.seen


def test_command_that_ends_by_itself_is_not_followed(cli: Cli) -> None:
    """What it left in the background is its own affair."""
    done = cli.run(*SHELL, "--", "sh", "-c", "sleep 30 >/dev/null 2>&1 & exit 4", timeout=25)
    assert done.code == 4


def console(cli: Cli, *command: str) -> pexpect.spawn:  # type: ignore[type-arg]
    """A terminal, in whose shell a serial console is open."""
    environment = {**cli.environment, "SHELL": "/bin/bash", "TERM": "dumb"}
    child = pexpect.spawn("/bin/bash", ["--norc"], env=environment, timeout=60, encoding="utf-8")
    child.sendline("PS1='outer> '")
    child.expect("\r\nouter> ")
    child.sendline(" ".join(command))
    return child


INSIDE = (*SHELL, "--grace", "5s")


@pytest.mark.parametrize(
    "kill",
    ["kill -TERM $jmp", "kill -HUP $jmp", "kill -9 $shell", "kill -9 $j"],
)
def test_terminal_of_a_serial_console_is_restored(cli: Cli, kill: str) -> None:
    child = console(cli, *INSIDE)
    try:
        child.expect("➤")
        child.sendline("j serial start-console")
        child.expect("leave with Ctrl")
        child.expect("\n")
        pids = _tree(child.pid)
        variables = dict(zip(("jmp", "shell", "j"), pids, strict=False))
        cli.ok("sh", "-c", "".join(f"{name}={pid}; " for name, pid in variables.items()) + kill)
        if kill == "kill -9 $j":
            child.expect("➤")
            child.sendline("exit")
        child.expect_exact("outer> ")
        child.sendline("stty -a | grep -o -e ' -icanon' -e ' -echo ' ; echo done")
        child.expect("done\r\n(.*)done\r\n")
        assert child.match is not None
        assert "-icanon" not in child.match.group(1)
        assert "Traceback" not in (child.before or "")
    finally:
        close(child)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=str)
def test_serial_console_that_gets_a_signal_restores_the_terminal_and_says_so(
    cli: Cli, number: signal.Signals
) -> None:
    child = console(cli, *INSIDE)
    try:
        child.expect("➤")
        child.sendline("j serial start-console")
        child.expect("leave with Ctrl")
        child.expect("\n")
        os.kill(_tree(child.pid)[2], number)
        child.expect_exact("The console was ended by a signal")
        assert is_cooked(child)
    finally:
        close(child)


def _tree(pid: int) -> list[int]:
    """The first child, its first child, and so on."""
    found: list[int] = []
    while children := Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        pid = int(children[0])
        found.append(pid)
    return found
