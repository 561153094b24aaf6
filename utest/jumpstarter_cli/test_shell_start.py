"""What a shell of `jmp shell` has at its start: a line about the board, and completion of jmp and j, in real shells."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pexpect
import pytest

from utest.terminals import close

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import Cli

KINDS = ("bash", "zsh", "fish")
LABELLED = """\
apiVersion: jumpstarter.dev/v1alpha1
kind: ExporterConfig
metadata:
  name: labelled
  labels: {board: rpi4, rack: a}
export:
  power: {type: jumpstarter_driver_power.driver.MockPower}
"""


def shell_on_terminal(cli: Cli, kind: str, *options: str, **variables: str) -> Any:
    shell = shutil.which(kind)
    if shell is None:
        pytest.skip(f"there is no {kind}")
    environment = {**cli.environment, "SHELL": shell, "TERM": "xterm", **variables}
    command = [*options, "shell", "--exporter", "example-local"]
    return pexpect.spawn("jmp", command, env=environment, timeout=60, encoding="utf-8", dimensions=(40, 200))


@pytest.fixture(params=KINDS)
def shell(request: pytest.FixtureRequest, cli: Cli, board: Path) -> Iterator[Any]:
    child = shell_on_terminal(cli, request.param)
    try:
        child.expect("example-local.*➤")
        yield child
    finally:
        close(child)


def test_shell_completes_the_commands_of_drivers(shell: Any) -> None:
    shell.send("j pow\t")
    shell.expect("er")
    shell.send("of\t")
    shell.expect("off")
    shell.send("\r")
    shell.expect("ok")


def test_shell_completes_the_commands_of_jmp(shell: Any) -> None:
    shell.send("jmp vers\t")
    shell.expect("ion")
    shell.send("-o name\r")
    shell.expect(r"\d+\.\d+")


@pytest.mark.parametrize(
    ("kind", "variable", "value"),
    [
        ("bash", "PROMPT_COMMAND", "true 'a b'"),
        ("bash", "PROMPT_COMMAND", None),
        ("zsh", "ZDOTDIR", "/no/such folder's"),
        ("zsh", "ZDOTDIR", None),
    ],
)
def test_shell_keeps_the_variable_by_which_it_is_taught(
    cli: Cli, board: Path, kind: str, variable: str, value: str | None
) -> None:
    child = shell_on_terminal(cli, kind, **({variable: value} if value else {}))
    try:
        child.expect("➤")
        child.send(f'echo "is:${{{variable}-unset}}."\r')
        child.expect_exact(f"is:{value or 'unset'}.\r")
    finally:
        close(child)


@pytest.mark.parametrize("kind", KINDS)
def test_start_up_files_of_the_user_stay_unread(cli: Cli, board: Path, kind: str) -> None:
    for name in (".bashrc", ".zshrc", ".zshenv", "config/fish/config.fish"):
        file = cli.home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("echo the user's file was read\n")
    child = shell_on_terminal(cli, kind)
    try:
        child.expect("➤")
        assert "file was read" not in child.before
    finally:
        close(child)


def test_shell_tells_board_labels_and_time_at_its_start(cli: Cli) -> None:
    cli.exporter("labelled", LABELLED)
    done = cli.run("jmp", "shell", "--exporter", "labelled")
    assert done.code == 0
    assert done.err.splitlines() == [
        "Using labelled: a local exporter, until you leave the shell",
        "Labels: board=rpi4,rack=a. 'j' lists what the board can do, 'exit' leaves.",
    ]
    assert cli.run("jmp", "-q", "shell", "--exporter", "labelled").err == ""
    assert cli.run("jmp", "shell", "--exporter", "labelled", "--", "true").err == ""
