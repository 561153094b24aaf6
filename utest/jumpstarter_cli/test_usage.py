"""What every command has in common: -h, help, closed streams, the order of options."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Cli


@pytest.mark.parametrize(
    "command", ["", "shell", "get", "get exporters", "admin create exporter", "config validate"]
)
def test_short_help_option(cli: Cli, command: str) -> None:
    words = command.split()
    assert cli.ok("jmp", *words, "-h") == cli.ok("jmp", *words, "--help") == cli.ok("jmp", "help", *words)


@pytest.mark.parametrize("command", ["", "power", "power cycle"])
def test_short_help_option_of_drivers_commands(cli: Cli, command: str) -> None:
    short, long = (
        cli.ok("jmp", "shell", "--exporter", "simulated", "--", "j", *command.split(), option)
        for option in ("-h", "--help")
    )
    assert "-h, --help" in short
    assert short == long


def test_short_help_option_of_j_without_an_exporter(cli: Cli) -> None:
    assert cli.ok("j", "-h") == cli.ok("j", "--help")


def test_usage_error_of_a_drivers_command_says_which_help_to_read(cli: Cli) -> None:
    result = cli.jmp("shell", "--exporter", "simulated", "--", "j", "power", "cycle", "--wait")
    assert result.code == 2
    assert result.error == "Error: Option '--wait' requires an argument. Try 'j power cycle --help'."


def test_help_of_what_does_not_exist(cli: Cli) -> None:
    result = cli.jmp("help", "shel")
    assert result.code == 2
    assert "did you mean 'shell'?" in result.error


def test_help_groups_commands_and_has_examples(cli: Cli) -> None:
    out = cli.ok("jmp", "--help")
    assert "Use a board:" in out and "Run a lab:" in out and "Examples:" in out


@pytest.mark.parametrize(
    ("command", "own", "connection"),
    [
        ("create lease", "--duration", "--client-config"),
        ("get leases", "-l, --selector", "--client-config"),
        ("update lease", "--duration", "--client-config"),
        ("admin create exporter", "-l, --label", "--data-dir"),
    ],
)
def test_own_options_come_before_those_of_the_connection(
    cli: Cli, command: str, own: str, connection: str
) -> None:
    out = cli.ok("jmp", *command.split(), "--help")
    assert out.index(f"\n  {own}") < out.index(f"\n  {connection}")


@pytest.mark.parametrize(
    ("command", "default"), [("create lease", "30m"), ("shell", "30s"), ("router run", "[::]:8083")]
)
def test_defaults_are_shown(cli: Cli, command: str, default: str) -> None:
    assert f"[default: {default}]" in cli.ok("jmp", *command.split(), "--help")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(
    ("command", "code"),
    [("jmp get exporters", 1), ("jmp version", 0), ("jmp --help", 0), ("jmp nonsense", 2), ("j", 1)],
)
def test_closed_streams_change_no_exit_code(cli: Cli, closed: str, command: str, code: int) -> None:
    result = cli.run("sh", "-c", f"{command} {closed}")
    assert result.code == code
    assert "Traceback" not in result.err
    assert "AttributeError" not in result.err


def test_version_has_the_key_of_stock_jumpstarter(cli: Cli) -> None:
    facts = json.loads(cli.ok("jmp", "version", "-o", "json"))
    assert facts["gitVersion"] == f"v{facts['version']}"


def test_info_in_json_is_json_also_without_a_client(cli: Cli) -> None:
    result = cli.jmp("info", "-o", "json")
    assert result.code == 1
    assert json.loads(result.out)["problem"]


@pytest.mark.parametrize(
    "command",
    [
        "shell --nope",
        "run --tls-port x",
        "create lease a b",
        "create lease",
        "config client create",
        "admin create policy",
        "completion tcsh",
        "get exporters --with x",
        "config validate",
        "gett",
        "shell -l",
        "get leases --watch -o json",
        "get exporters -w -o name",
        "--endpoint",
        "admin --nope",
        "admin create exporter x --label",
        "completion",
    ],
)
def test_a_usage_error_is_a_sentence_that_ends_before_what_to_try(cli: Cli, command: str) -> None:
    result = cli.jmp(*command.split())
    assert result.code == 2
    assert re.fullmatch(r"Error: .*[^.?!][.?!]\)? Try 'jmp[^']*'\.", result.error)
