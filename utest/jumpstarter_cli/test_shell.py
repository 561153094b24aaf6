"""`jmp shell`: environment, exit codes, signals, prompts, local and direct mode."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pexpect
import pytest
from jumpstarter.connection.shell import user_shell
from jumpstarter.connection.shell_start import shell_command

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Cli, Running

SHELL = ("jmp", "shell", "--exporter", "example-local")


class Terminal(pexpect.spawn):  # type: ignore[type-arg]
    """Tells how a command ended that ended too early."""

    def expect(self, *args: Any, **options: Any) -> Any:
        try:
            return super().expect(*args, **options)
        except pexpect.EOF as error:
            self.close()
            raise AssertionError(
                f"exit status {self.exitstatus}, signal {self.signalstatus}: {error}"
            ) from None


def terminal(cli: Cli, *command: str) -> Terminal:
    """Run *command* on a terminal of its own."""
    environment = {**cli.environment, "SHELL": "/bin/bash", "TERM": "dumb"}
    return Terminal(command[0], list(command[1:]), env=environment, timeout=60, encoding="utf-8")


@pytest.mark.parametrize("script", ["exit 7", "exit 0", "kill -TERM $$"])
def test_exit_code_of_the_command_is_returned(cli: Cli, board: Path, script: str) -> None:
    expected = {"exit 7": 7, "exit 0": 0, "kill -TERM $$": 143}[script]
    result = cli.jmp("shell", "--exporter-config", str(board), "--", "sh", "-c", script)
    assert (result.code, result.out, result.err) == (expected, "", "")


def test_command_gets_the_documented_environment(cli: Cli, board: Path) -> None:
    names = "JUMPSTARTER_HOST JMP_DRIVERS_ALLOW JMP_LEASE JMP_GRPC_PASSPHRASE"
    script = f'for n in {names}; do eval echo "\\${{$n-unset}}"; done; test -S "$JUMPSTARTER_HOST" && echo y'
    outer = {"JMP_LEASE": "outer", "JMP_GRPC_PASSPHRASE": "outer"}
    host, *rest = cli.ok(*SHELL, "--", "sh", "-c", script, env=outer).split()
    assert rest == ["UNSAFE", "unset", "unset", "y"]
    assert not Path(host).exists()


def test_options_of_the_command_are_its_own(cli: Cli, board: Path) -> None:
    assert cli.ok(*SHELL, "echo", "--help", "-x") == "--help -x\n"


def test_j_and_env_work_inside(cli: Cli, board: Path, tmp_path: Path) -> None:
    script = tmp_path / "example.py"
    script.write_text(
        "from jumpstarter.common.utils import env\n"
        "with env() as client:\n"
        "    client.power.on()\n"
        "    client.power.off()\n"
        "    print('done')\n"
    )
    command = f"j power on && j power off && {sys.executable} {script}"
    assert cli.ok(*SHELL, "--", "sh", "-c", command) == "ok\nok\ndone\n"


def test_exporter_shell_is_the_same(cli: Cli, board: Path) -> None:
    result = cli.jmp("exporter", "shell", "-c", str(board), "--", "sh", "-c", "j power on; exit 5")
    assert (result.code, result.out, result.err) == (5, "ok\n", "")


def test_j_is_found_without_an_activated_environment(cli: Cli, board: Path) -> None:
    jmp = str(Path(sys.executable).parent / "jmp")
    environment = {"PATH": os.defpath}
    assert cli.ok(jmp, *SHELL[1:], "--", "j", "power", "on", env=environment) == "ok\n"


def test_exporter_logs_are_shown_on_request_only(cli: Cli, board: Path) -> None:
    command = ("--exporter", "example-local", "--", "j", "power", "on")
    assert cli.jmp("shell", *command).err == ""
    shown = cli.jmp("shell", "--exporter-logs", *command)
    assert shown.out == "ok\n"
    assert "INFO:driver.MockPower:power on" in shown.err


@pytest.mark.parametrize(
    ("command", "code", "error"),
    [
        (("nosuchcommand",), 127, "Error: nosuchcommand: command not found"),
        (("/etc/passwd",), 126, "Error: /etc/passwd: Permission denied"),
    ],
    ids=str,
)
def test_command_that_cannot_run(
    cli: Cli, board: Path, command: tuple[str, ...], code: int, error: str
) -> None:
    result = cli.jmp("shell", "--exporter", "example-local", "--", *command)
    assert (result.code, result.error) == (code, error)


def test_missing_exporter_names_the_places_and_the_nearest(cli: Cli, board: Path) -> None:
    result = cli.jmp("shell", "--exporter", "exmple-local", "--", "true")
    assert result.code == 1
    assert "exporters/exmple-local.yaml" in result.error
    assert "did you mean 'example-local'?" in result.error


def test_missing_file_is_named(cli: Cli) -> None:
    result = cli.jmp("shell", "--exporter-config", "missing.yaml", "--", "true")
    assert result.code == 1
    assert "missing.yaml" in result.error


def test_exporter_and_file_exclude_each_other(cli: Cli, board: Path) -> None:
    result = cli.jmp("shell", "--exporter", "example-local", "--exporter-config", str(board))
    assert result.code == 2
    assert "--exporter and --exporter-config exclude each other" in result.error


def test_every_problem_of_a_file_is_a_line(cli: Cli) -> None:
    path = cli.exporter("bad", "metadata: {name: bad}\nexprt: {}\nendpoint: [1]\n")
    result = cli.jmp("shell", "--exporter-config", str(path), "--", "true")
    assert result.code == 1
    lines = result.err.splitlines()
    assert len(lines) == 2
    assert "exprt" in lines[0] and "did you mean 'export'?" in lines[0]
    assert "endpoint" in lines[1]


def test_debug_shows_the_traceback(cli: Cli) -> None:
    result = cli.jmp("--log-level", "DEBUG", "shell", "--exporter", "nope", "--", "true")
    assert result.code == 1
    assert "Traceback (most recent call last)" in result.err
    assert result.err.splitlines()[-1].startswith("Error: ")


@pytest.mark.parametrize(
    ("signum", "comes_as"),
    [(signal.SIGTERM, "TERM"), (signal.SIGHUP, "TERM"), (signal.SIGINT, "INT")],
    ids=["term", "hup", "int"],
)
def test_signal_reaches_the_command(
    cli: Cli, board: Path, start: Callable[..., Running], signum: signal.Signals, comes_as: str
) -> None:
    script = f"trap 'echo got it >&2; exit 9' {comes_as}; echo ready >&2; while :; do sleep 0.05; done"
    running = start(*SHELL, "--", "sh", "-c", script)
    running.wait_for("ready")
    assert running.end(signum) == 9
    assert "got it\n" in running.seen


def test_command_killed_by_a_signal_gives_its_code(
    cli: Cli, board: Path, start: Callable[..., Running]
) -> None:
    running = start(*SHELL, "--", "sh", "-c", "echo up >&2; exec sleep 60")
    running.wait_for("up")
    assert running.end(signal.SIGTERM) == 128 + signal.SIGTERM


def test_drivers_are_closed_when_the_command_ends(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "closing.py").write_text(
        "from dataclasses import dataclass\n"
        "from jumpstarter.driver import Driver\n"
        "@dataclass(kw_only=True)\n"
        "class Closing(Driver):\n"
        "    file: str\n"
        "    @classmethod\n"
        "    def client(cls): return 'jumpstarter_driver_power.client.PowerClient'\n"
        "    def close(self):\n"
        "        open(self.file, 'a').write('closed ')\n"
        "        super().close()\n"
    )
    log = tmp_path / "log"
    path = cli.exporter(
        "closing",
        f"metadata: {{name: c}}\nexport:\n  a:\n    type: closing.Closing\n    config: {{file: {log}}}\n",
    )
    environment = {"PYTHONPATH": str(tmp_path)}
    assert cli.ok("jmp", "shell", "--exporter-config", str(path), "--", "true", env=environment) == ""
    assert log.read_text() == "closed "


def test_interactive_bash_has_the_prompt_and_its_exit_code(cli: Cli, board: Path) -> None:
    child = terminal(cli, *SHELL)
    try:
        child.expect("⚡.*example-local .*➤")
        child.sendline("j power on")
        child.expect("ok\r\n")
        child.sendintr()  # ends nothing but the line
        child.sendline("exit 3")
        child.expect(pexpect.EOF)
    finally:
        child.close()
    assert child.exitstatus == 3


def test_ctrl_c_ends_the_command_in_the_terminal(cli: Cli, board: Path) -> None:
    script = "import signal; print('up', flush=True); signal.pause()"
    child = terminal(cli, *SHELL, "--", sys.executable, "-c", script)
    try:
        child.expect("up")
        child.sendintr()
        child.expect(pexpect.EOF)
    finally:
        child.close()
    assert child.exitstatus == 130


def test_interactive_shell_ends_with_sigterm(cli: Cli, board: Path) -> None:
    child = terminal(cli, *SHELL)
    try:
        child.expect("➤")
        child.kill(signal.SIGTERM)
        child.expect(pexpect.EOF)
    finally:
        child.close()
    assert child.exitstatus == 128 + signal.SIGHUP


def test_shell_that_forgets_to_hang_up_is_told_again(cli: Cli, board: Path, tmp_path: Path) -> None:
    shell = tmp_path / "forgetful"
    shell.write_text("#!/bin/sh\ntrap 'trap - HUP' HUP\necho up\nwhile :; do sleep 0.1; done\n")
    shell.chmod(0o755)
    running = cli.popen(*SHELL, env={"SHELL": str(shell)})
    with running:
        assert running.stdout is not None
        assert running.stdout.readline() == "up\n"
        running.send_signal(signal.SIGTERM)
        assert running.wait(60) == 128 + signal.SIGHUP


@pytest.mark.parametrize("shell", ["/bin/bash", "/usr/bin/zsh", "/usr/bin/fish", "/bin/sh"])
def test_prompt_holds_the_name_and_nothing_a_shell_would_run(shell: str) -> None:
    command, variables = shell_command(shell, "lab-1.board")
    text = " ".join([*command, *variables.values()])
    assert "⚡" in text and "lab-1.board" in text
    command, variables = shell_command(shell, "$(reboot)'`x`\\")
    text = " ".join([*command, *variables.values()])
    assert "$(reboot)" not in text and "`x" not in text


@pytest.mark.parametrize(
    ("environ", "account", "expected"),
    [
        ({"SHELL": "/bin/zsh"}, "/bin/bash", "/bin/zsh"),
        ({}, "/bin/bash", "/bin/bash"),
        ({"SHELL": ""}, "/bin/bash", "/bin/bash"),
        ({}, "/usr/sbin/nologin", "/bin/sh"),
        ({}, "", "/bin/sh"),
        ({}, None, "/bin/sh"),
    ],
)
def test_user_shell(
    environ: dict[str, str], account: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def getpwuid(uid: int) -> Any:
        if account is None:
            raise KeyError(f"getpwuid(): uid not found: {uid}")
        return SimpleNamespace(pw_shell=account)

    monkeypatch.setattr("pwd.getpwuid", getpwuid)
    assert user_shell(environ) == expected
