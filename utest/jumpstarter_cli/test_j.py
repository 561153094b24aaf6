"""`j`: help, commands, errors, completion, and what it imports."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import termios
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Cli, Result, Running

SHELL = ("jmp", "shell", "--exporter", "example-local", "--")

DRIVER = """
import time
from dataclasses import dataclass
import click
from jumpstarter.client import DriverClient
from jumpstarter.driver import Driver, export

@dataclass(kw_only=True)
class Odd(Driver):
    @classmethod
    def client(cls): return "odd.OddClient"
    @export
    def fail(self, text: str): raise RuntimeError(text)
    @export
    def block(self):
        time.sleep(60)

@dataclass(kw_only=True)
class Silent(Driver):
    @classmethod
    def client(cls): return "odd.SilentClient"

@dataclass(kw_only=True)
class Gone(Driver):
    @classmethod
    def client(cls): return "odd.NoSuchClient"

@dataclass(kw_only=True)
class SilentClient(DriverClient):
    pass

@dataclass(kw_only=True)
class OddClient(DriverClient):
    def cli(self):
        @click.group()
        def base():
            "An odd driver"
        @base.command()
        @click.argument("text")
        def fail(text): self.call("fail", text)
        @base.command()
        def code(): return 5
        @base.command()
        def block():
            click.echo("calling", err=True)
            self.call("block")
        return base
"""

ODD = """\
metadata: {name: odd}
export:
  odd: {type: odd.Odd}
  silent: {type: odd.Silent}
  gone: {type: odd.Gone}
  power: {type: jumpstarter_driver_power.driver.MockPower, description: The board's supply}
"""


@pytest.fixture
def odd(cli: Cli, tmp_path: Path) -> Callable[..., Result]:
    """Runs `j` against an exporter with drivers that misbehave."""
    (tmp_path / "odd.py").write_text(DRIVER)
    cli.extra["PYTHONPATH"] = str(tmp_path)
    path = cli.exporter("odd", ODD)

    def run(*args: str) -> Result:
        return cli.run("jmp", "shell", "--exporter-config", str(path), "--", "j", *args)

    return run


def test_help_is_as_documented(cli: Cli, board: Path) -> None:
    out = cli.ok(*SHELL, "j")
    assert out == cli.ok(*SHELL, "j", "--help")
    lines = [line.strip() for line in out.splitlines()]
    assert lines[0] == "Usage: j [OPTIONS] COMMAND [ARGS]..."
    assert "Generic composite device" in lines
    assert [line.split(maxsplit=1) for line in lines[lines.index("Commands:") + 1 :]] == [
        ["power", "Generic power"],
        ["storage", "Generic storage mux"],
    ]


def test_driver_without_a_command_shows_its_help(cli: Cli, board: Path) -> None:
    result = cli.run(*SHELL, "j", "power")
    assert (result.code, result.err) == (0, "")
    assert result.out == cli.run(*SHELL, "j", "power", "--help").out


def test_power_prints_ok(cli: Cli, board: Path) -> None:
    assert cli.ok(*SHELL, "j", "power", "on") == "ok\n"
    assert cli.ok(*SHELL, "j", "power", "off") == "ok\n"


def test_help_of_a_driver(cli: Cli, board: Path) -> None:
    out = cli.ok(*SHELL, "j", "power", "--help")
    assert out.startswith("Usage: j power [OPTIONS] COMMAND [ARGS]...")
    assert " on " in out and " off " in out


def test_command_imports_its_own_client_only(cli: Cli, board: Path) -> None:
    code = (
        "import sys; sys.argv = ['j', 'power', 'on']\n"
        "from jumpstarter_cli.j import main\n"
        "code = main()\n"
        "names = set(sys.modules)\n"
        "assert 'jumpstarter_driver_power.client' in names\n"
        "others = {n for n in names if n.startswith('jumpstarter_driver_')} - {\n"
        "    'jumpstarter_driver_power', 'jumpstarter_driver_power.client',\n"
        "    'jumpstarter_driver_composite', 'jumpstarter_driver_composite.client'}\n"
        "heavy = {'pydantic', 'anyio', 'yaml', 'rich', 'asyncio.base_events', 'grpc.aio._channel'} & names\n"
        "print(code, sorted(others), sorted(heavy))\n"
    )
    assert cli.ok(*SHELL, "python", "-c", code) == "ok\n0 [] []\n"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("powr", "on"), ["No such command 'powr'", "did you mean 'power'?"]),
        (("power", "onn"), ["No such command 'onn'"]),
        (("power", "cycle", "--wait", "soon"), ["'soon' is not"]),
    ],
    ids=str,
)
def test_wrong_usage_is_one_line_and_2(
    cli: Cli, board: Path, args: tuple[str, ...], words: list[str]
) -> None:
    result = cli.run(*SHELL, "j", *args)
    assert (result.code, result.out) == (2, "")
    assert all(word in result.error for word in words)


def test_help_outside_a_shell_says_how_to_get_one(cli: Cli) -> None:
    out = cli.ok("j", "--help")
    assert out.startswith("Usage: j [OPTIONS] COMMAND [ARGS]...")
    assert "jmp shell" in out


@pytest.mark.parametrize("args", [(), ("power", "on"), ("power", "--help")], ids=str)
def test_outside_a_shell_is_one_line_and_1(cli: Cli, args: tuple[str, ...]) -> None:
    result = cli.j(*args)
    assert (result.code, result.out) == (1, "")
    assert result.error.count("Error:") == 1
    assert "jmp shell" in result.error


@pytest.mark.parametrize("host", ["/nonexistent/socket", "127.0.0.1:1"])
def test_exporter_that_is_gone_is_one_line(cli: Cli, host: str) -> None:
    result = cli.j("power", "on", env={"JUMPSTARTER_HOST": host, "JMP_GRPC_INSECURE": "1"})
    assert (result.code, result.out) == (1, "")
    assert result.error.startswith("Error: ")
    assert host in result.error


def test_error_of_a_driver_is_one_line(odd: Callable[..., Result]) -> None:
    result = odd("odd", "fail", "first\nsecond")
    assert (result.code, result.out) == (1, "")
    assert "RuntimeError: first; second" in result.error


def test_debug_shows_the_traceback(odd: Callable[..., Result]) -> None:
    result = odd("--log-level", "DEBUG", "odd", "fail", "text")
    assert result.code == 1
    assert "Traceback (most recent call last)" in result.err


def test_exit_code_of_a_driver_command(odd: Callable[..., Result]) -> None:
    assert odd("odd", "code").code == 5


def test_driver_without_commands_is_left_out(odd: Callable[..., Result]) -> None:
    out = odd("--help").out
    assert "odd" in out and "silent" not in out
    assert "The board's supply" in out
    assert odd("silent").code == 2


def test_missing_client_class_of_one_driver_leaves_the_others_usable(odd: Callable[..., Result]) -> None:
    assert odd("power", "on").out == "ok\n"
    shown = odd("--help")
    assert shown.code == 0 and "gone" not in shown.out


@pytest.mark.parametrize("args", [(), ("on",), ("--help",), ("on", "--fast")])
def test_missing_client_class_is_named_where_its_driver_is_used(
    args: tuple[str, ...], odd: Callable[..., Result]
) -> None:
    result = odd("gone", *args)
    assert (result.code, result.out) == (1, "")
    assert "odd has no class 'NoSuchClient'" in result.error


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_ends_a_blocked_call(
    cli: Cli,
    odd: Callable[..., Result],
    start: Callable[..., Running],
    signum: signal.Signals,
    code: int,
) -> None:
    cli.ok("jmp", "local", "start", "--exporter", "odd")
    try:
        running = start("j", "odd", "block")
        running.wait_for("calling")
        assert running.end(signum) == code
    finally:
        cli.jmp("local", "stop")
    assert "Traceback" not in "".join(running.seen)


def test_completion_of_drivers_and_commands(cli: Cli, board: Path, tmp_path: Path) -> None:
    script = tmp_path / "complete"
    script.write_text(
        'for words in "j p" "j power o" "j power cycle --w" "j nothing x"; do\n'
        "  set -- $words\n"
        '  COMP_WORDS="$words" COMP_CWORD=$(($# - 1)) _J_COMPLETE=bash_complete j || echo failed\n'
        "  echo .\n"
        "done\n"
    )
    out = cli.ok(*SHELL, "bash", str(script))
    offered = [[line.partition(",")[2] for line in part.splitlines() if line] for part in out.split(".\n")]
    assert offered[0] == ["power"]
    assert offered[1] == ["off", "on"]
    assert offered[2] == ["--wait"]
    assert offered[3] == []


def test_completion_outside_a_shell_is_silent(cli: Cli) -> None:
    assert cli.complete("j", [""]) == []


def test_log_lines_never_reach_standard_output(cli: Cli, board: Path) -> None:
    result = cli.run(*SHELL, "j", "--log-level", "INFO", "power", "cycle", "--wait", "0")
    assert (result.code, result.out) == (0, "ok\n")
    assert "Power cycling" in result.err


def on_a_terminal(cli: Cli, *command: str) -> tuple[str, str]:
    """Run *command*, which must succeed: its standard output, and what a terminal shows of its standard error."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    environment = {**cli.environment, "TERM": "xterm"}
    try:
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, stderr=theirs, text=True, check=True, timeout=60
        )
        os.write(theirs, b"<end>")
        shown = b""
        while not shown.endswith(b"<end>"):
            shown += os.read(ours, 65536)
    finally:
        os.close(ours)
        os.close(theirs)
    return done.stdout, shown.decode().removesuffix("<end>")


@pytest.mark.parametrize(
    ("jmp", "j", "quiet"),
    [
        ((), (), False),
        ((), ("-q",), True),
        ((), ("--log-level", "ERROR"), True),
        (("-q",), (), True),
        (("-q",), ("--log-level", "INFO"), False),
    ],
)
def test_progress_of_a_transfer_is_shown_unless_quiet(
    cli: Cli, board: Path, tmp_path: Path, jmp: tuple[str, ...], j: tuple[str, ...], quiet: bool
) -> None:
    image = tmp_path / "card.img"
    image.write_bytes(bytes(1000))
    shell = ("jmp", *jmp, *SHELL[1:])
    out, shown = on_a_terminal(cli, *shell, "j", *j, "storage", "write-local-file", str(image))
    assert out == "ok\n"
    assert shown == "" if quiet else "card.img: 100%" in shown


def test_a_quiet_shell_shows_errors_only(cli: Cli, board: Path) -> None:
    result = cli.run("jmp", "-q", *SHELL[1:], "j", "power", "cycle", "--wait", "0")
    assert (result.code, result.out, result.err) == (0, "ok\n", "")
    result = cli.run("jmp", "-q", *SHELL[1:], "j", "powr")
    assert result.code == 2
    assert "No such command 'powr'" in result.error
