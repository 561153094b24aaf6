"""`jmp` itself: groups, aliases, suggestions, version, completion, drivers."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
import yaml
from jumpstarter_cli.groups import ALIASES, Group, resolve_name
from jumpstarter_cli.table import JMP

if TYPE_CHECKING:
    from .conftest import Cli

LEAVES = [
    (*path, name)
    for path, group in (((), JMP), *(((n,), g.commands) for n, g in JMP.items() if isinstance(g, Group)))
    for name, source in group.items()
    if not isinstance(source, Group)
]


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_command_of_the_table_has_help(cli: Cli, path: tuple[str, ...]) -> None:
    out = cli.ok("jmp", *path, "--help")
    assert out.startswith(f"Usage: jmp {' '.join(path)} ")


def test_help_imports_nothing_of_ours_but_the_table() -> None:
    code = (
        "import sys; sys.argv = ['jmp', '--help']\n"
        "from jumpstarter_cli.jmp import main\n"
        "main()\n"
        "names = {n.partition('.')[0] for n in sys.modules}\n"
        "heavy = {'grpc', 'google', 'pydantic', 'anyio', 'yaml', 'asyncio', 'jumpstarter'} & names\n"
        "assert not heavy, heavy\n"
        "print(sorted(n for n in sys.modules if n.startswith('jumpstarter_cli')))\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    names = (
        "",
        ".admin_table",
        ".empty",
        ".ending",
        ".entry",
        ".groups",
        ".jmp",
        ".jmp_group",
        ".logs",
        ".once",
        ".silence",
        ".table",
    )
    assert out.splitlines()[-1] == str([f"jumpstarter_cli{name}" for name in names])


def test_bare_group_prints_its_help_and_succeeds(cli: Cli) -> None:
    assert cli.ok("jmp") == cli.ok("jmp", "--help")
    assert cli.ok("jmp", "config", "client") == cli.ok("jmp", "config", "client", "--help")


@pytest.mark.parametrize(
    ("short", "full"),
    [
        (("ver",), ("version",)),
        (("driver", "ls"), ("driver", "list")),
        (("drivers", "list"), ("driver", "list")),
        (("conf", "c", "ls"), ("config", "client", "list")),
        (("config", "clients", "ls"), ("config", "client", "list")),
        (("config", "e", "ls"), ("config", "exporter", "list")),
        (("config", "exporters", "rm"), ("config", "exporter", "delete")),
        (("sh",), ("shell",)),
    ],
    ids=str,
)
def test_alias_means_the_command(cli: Cli, short: tuple[str, ...], full: tuple[str, ...]) -> None:
    assert cli.ok("jmp", *short, "--help") == cli.ok("jmp", *full, "--help")


@pytest.mark.parametrize("alias", ALIASES)
def test_alias_never_hides_a_command(alias: str) -> None:
    known = [*JMP, "create", "client", "clients"]
    assert resolve_name(alias, known, ALIASES) in (*known, None)


def test_alias_that_could_mean_two_commands_means_none() -> None:
    assert resolve_name("c", ["create", "client"], ALIASES) is None


@pytest.mark.parametrize(
    ("args", "error"),
    [
        (("vrsion",), "Error: No such command 'vrsion'; did you mean 'version'? Try 'jmp --help'."),
        (
            ("config", "client", "lst"),
            "Error: No such command 'lst'; did you mean 'list'? Try 'jmp config client --help'.",
        ),
        (("qqqq",), "Error: No such command 'qqqq'. Try 'jmp --help'."),
    ],
    ids=str,
)
def test_mistyped_command_names_the_nearest(cli: Cli, args: tuple[str, ...], error: str) -> None:
    result = cli.jmp(*args)
    assert (result.code, result.out, result.error) == (2, "", error)


def test_mistyped_option_names_the_nearest(cli: Cli) -> None:
    result = cli.jmp("shell", "--exportr", "x")
    assert result.code == 2
    assert "--exporter" in result.error


def test_version_in_every_form(cli: Cli) -> None:
    number = cli.ok("jmp", "version", "-o", "name").strip()
    assert number in cli.ok("jmp", "version")
    assert cli.ok("jmp", "--version") == cli.ok("jmp", "version") == cli.ok("jmp", "driver", "version")
    assert json.loads(cli.ok("jmp", "version", "-o", "json"))["version"] == number
    assert yaml.safe_load(cli.ok("jmp", "version", "--output", "yaml"))["version"] == number


def test_driver_list_is_sorted_complete_and_not_cut(cli: Cli) -> None:
    drivers = json.loads(cli.ok("jmp", "driver", "list", "-o", "json"))
    names = [driver["name"] for driver in drivers]
    assert names == sorted(names)
    mock = next(driver for driver in drivers if driver["name"] == "MockPower")
    assert mock == {
        "name": "MockPower",
        "type": "jumpstarter_driver_power.driver.MockPower",
        "package": "robotframework-jumpstarter",
        "version": cli.ok("jmp", "version", "-o", "name").strip(),
    }
    assert yaml.safe_load(cli.ok("jmp", "driver", "list", "-o", "yaml")) == drivers
    assert cli.ok("jmp", "driver", "list", "-o", "name").split() == names
    lines = [line.split() for line in cli.ok("jmp", "driver", "list", env={"COLUMNS": "40"}).splitlines()]
    assert lines[0] == ["NAME", "TYPE", "PACKAGE", "VERSION"]
    assert lines[1:] == [list(driver.values()) for driver in drivers]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_covers_both_tools(cli: Cli, shell: str, tmp_path: Path) -> None:
    script = cli.ok("jmp", "completion", shell)
    assert "_JMP_COMPLETE" in script and "_J_COMPLETE" in script
    if shutil.which(shell):
        file = tmp_path / "script"
        file.write_text(script)
        assert cli.ok(shell, "-n", str(file)) == ""


def test_completion_for_an_unknown_shell_is_wrong_usage(cli: Cli) -> None:
    assert cli.jmp("completion", "csh").code == 2


def test_completion_in_bash_itself(cli: Cli) -> None:
    script = (
        'eval "$(jmp completion bash)"; COMP_WORDS=(jmp config cl); COMP_CWORD=2; '
        '_jmp_completion jmp; echo "${COMPREPLY[@]}"'
    )
    assert cli.ok("bash", "-c", script).split() == ["client"]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["con"], ["config", "controller"]),
        (["config", ""], ["client", "exporter", "validate"]),
        (["shell", "--exporter-c"], ["--exporter-config"]),
        (["driver", "list", "-o", ""], ["json", "yaml", "name"]),
        (["shell", "--exporter", "bo"], ["board"]),
        (["help", "con"], ["config", "controller"]),
        (["help", "config", ""], ["client", "exporter", "validate"]),
        (["help", "get", "exporters", ""], [""]),
        (["help", "no-such", ""], [""]),
    ],
    ids=str,
)
def test_completion_offers(cli: Cli, words: list[str], offered: list[str]) -> None:
    cli.exporter("board", "")
    cli.exporter("other", "")
    assert cli.complete("jmp", words) == offered


def test_output_into_a_closed_pipe_is_no_error(cli: Cli) -> None:
    result = cli.run("bash", "-c", "jmp driver list | true")
    assert (result.code, result.err) == (0, "")


def test_help_texts_of_table_and_command_agree() -> None:
    for name, source in JMP.items():
        command = source.load(name)
        if isinstance(command, click.Group):
            continue
        assert command.help is not None, name


@pytest.mark.parametrize("reads", [True, False])
def test_a_broken_pipe_is_quiet_only_where_it_is_that_of_the_output(tmp_path: Path, reads: bool) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import sys, click\n"
        "from jumpstarter_cli.entry import run\n"
        "@click.command\n"
        "def command():\n"
        "    sys.stdin.read()\n"
        "    raise BrokenPipeError(32, 'a socket')\n"
        "sys.exit(run(lambda: command, 'program'))\n"
    )
    with subprocess.Popen(
        [sys.executable, program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin and process.stdout and process.stderr
        if not reads:
            process.stdout.close()
        process.stdin.close()  # now it goes on
        errors = process.stderr.read()
    assert (process.returncode, errors) == ((1, "Error: a socket\n") if reads else (141, ""))
