"""What a command is connected to is named by its user, or told, or an error: never left to chance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Cli

POWER = ("--", "j", "power", "on")
SIMULATED = "Using a simulated board: no exporter is named, and no client of a lab is configured"


@pytest.mark.parametrize(
    "command",
    [
        ("jmp", "shell", "-l", ""),
        ("jmp", "shell", "-l", "a=b", "-l", ""),
        ("jmp", "shell", "-l", " "),
        ("jmp", "shell", "--selector="),
        ("jmp", "shell", "-n", ""),
        ("jmp", "shell", "--name", "", "--duration", "1h"),
        ("jmp", "shell", "--lease", ""),
        ("jmp", "shell", "--client", ""),
        ("jmp", "shell", "--client-config", ""),
        ("jmp", "shell", "--exporter", ""),
        ("jmp", "shell", "--exporter-config", ""),
        ("jmp", "shell", "--tls-grpc", ""),
        ("jmp", "exporter", "shell", "-c", ""),
        ("jmp", "--endpoint", "", "shell"),
        ("jmp", "run", "--exporter", ""),
        ("jmp", "run", "--exporter-config", ""),
        ("jmp", "local", "start", "--exporter", ""),
        ("jmp", "local", "start", "-c", ""),
        ("jmp", "create", "lease", "-l", ""),
        ("jmp", "create", "lease", "-n", ""),
        ("jmp", "create", "lease", "-n", "a", "--lease-id", ""),
        ("jmp", "get", "exporters", "--client", ""),
        ("jmp", "get", "leases", "-l", ""),
        ("jmp", "get", "leases", "--tag-filter", ""),
        ("jmp", "delete", "lease", ""),
        ("jmp", "delete", "lease", "a", ""),
        ("jmp", "delete", "lease", "-l", ""),
        ("jmp", "update", "lease", ""),
        ("jmp", "update", "lease", "a", "--to-client", ""),
        ("jmp", "config", "client", "use", ""),
        ("jmp", "config", "client", "delete", ""),
        ("jmp", "config", "validate", ""),
        ("jmp", "admin", "get", "client", "--namespace", ""),
        ("jmp", "admin", "--log-level", ""),
    ],
    ids=" ".join,
)
def test_empty_choice_is_wrong_usage(cli: Cli, command: tuple[str, ...]) -> None:
    result = cli.run(*command)
    assert (result.code, result.out) == (2, "")
    assert result.error.startswith("Error: ")
    assert ". Try 'jmp" in result.error


CHOOSING = (
    "JMP_LEASE",
    "JUMPSTARTER_HOST",
    "JMP_CLIENT",
    "JMP_CLIENT_CONFIG",
    "JMP_ENDPOINT",
    "JMP_NAMESPACE",
    "JMP_NAME",
    "JMP_CLIENT_CONFIG_HOME",
)


@pytest.mark.parametrize("variable", CHOOSING)
@pytest.mark.parametrize("value", ["", "  "])
def test_empty_variable_that_chooses_is_wrong_usage(cli: Cli, variable: str, value: str) -> None:
    result = cli.jmp("shell", *POWER, env={variable: value})
    assert (result.code, result.out) == (2, "")
    assert result.error == f"Error: {variable} is set, but empty: set it to what is meant, or unset it"


def test_j_does_not_take_another_exporter_for_an_empty_host(cli: Cli) -> None:
    cli.ok("jmp", "local", "start")
    try:
        result = cli.j("power", "on", env={"JUMPSTARTER_HOST": ""})
    finally:
        cli.ok("jmp", "local", "stop")
    assert (result.code, result.out) == (2, "")
    assert "JUMPSTARTER_HOST is set, but empty" in result.error


@pytest.mark.parametrize(
    "command",
    ["shell --", "shell --exporter simulated --", "exporter shell -c none.yaml --"],
)
def test_empty_command_is_wrong_usage_before_anything_is_leased(cli: Cli, command: str) -> None:
    result = cli.jmp(*command.split(), "", "power", "on")
    assert (result.code, result.out) == (2, "")
    assert "its name is empty: give a command, or leave it out. Try 'jmp " in result.error


@pytest.mark.parametrize(
    "command",
    [
        "shell -n a --duration 0",
        "create lease -n a --duration 0s",
        "update lease a --duration 00:00:00",
        "update lease a --extend 0",
        "create lease -n a --duration=--5",
        "get leases --tag-filter ===",
    ],
)
def test_what_chooses_no_time_or_nothing_is_wrong_usage(cli: Cli, command: str) -> None:
    result = cli.jmp(*command.split())
    assert (result.code, result.out) == (2, "")
    assert result.error.startswith("Error: Invalid value for '--")


@pytest.mark.parametrize(
    "command",
    [
        "shell -n a -n b",
        "shell --name a -n b",
        "shell --lease a --lease b",
        "shell --client a --client b -l a=b",
        "shell --exporter simulated --exporter other",
        "run --exporter a --exporter b",
        "--endpoint a:1 --endpoint b:1 get leases",
        "create lease -n a --lease-id a --lease-id b",
        "update lease a --to-client b --to-client c",
        "get leases --client-config a --client-config b",
        "admin get clients -n a -n b",
        "admin create client a --out b --out c",
        "admin apply -f a -f b",
    ],
)
def test_two_choices_of_one_are_wrong_usage(cli: Cli, command: str) -> None:
    result = cli.jmp(*command.split())
    assert (result.code, result.out) == (2, "")
    assert " is given twice: give it once. Try 'jmp" in result.error


def test_empty_argument_of_the_shells_command_is_its_own(cli: Cli) -> None:
    assert cli.ok("jmp", "shell", "--exporter", "simulated", "--", "printf", "<%s>", "") == "<>"


def test_simulated_board_that_nobody_asked_for_is_told(cli: Cli) -> None:
    result = cli.jmp("shell", *POWER)
    assert (result.code, result.out, result.error) == (0, "ok\n", SIMULATED)
    assert cli.ok("jmp", "-q", "shell", *POWER) == "ok\n"


def test_simulated_board_can_be_asked_for(cli: Cli) -> None:
    assert cli.ok("jmp", "shell", "--exporter", "simulated", *POWER) == "ok\n"
    cli.ok("jmp", "local", "start", "--exporter", "simulated")
    cli.ok("jmp", "local", "stop")
    assert "simulated" in cli.complete("jmp", ["shell", "--exporter", ""])


def test_exporter_file_called_simulated_comes_first(cli: Cli) -> None:
    cli.exporter("simulated", "metadata: {name: mine}\nexport: {}\n")
    out = cli.ok("jmp", "shell", "--exporter", "simulated", "--", "sh", "-c", "j power on 2>&1 || true")
    assert "No such command" in out


def test_shell_in_a_shell_gives_its_exporter_and_says_so(cli: Cli, board: Path) -> None:
    inner = "jmp shell -- sh -c 'echo $JUMPSTARTER_HOST'"
    result = cli.jmp(
        "shell", "--exporter", "example-local", "--", "sh", "-c", f"echo $JUMPSTARTER_HOST; {inner}"
    )
    outer, same = result.out.splitlines()
    assert outer == same
    assert result.error == "Using the exporter of the surrounding shell: example-local"


def test_exporter_of_jmp_local_start_is_told(cli: Cli, board: Path) -> None:
    cli.ok("jmp", "local", "start", "--exporter", "example-local")
    try:
        result = cli.jmp("shell", *POWER)
    finally:
        cli.ok("jmp", "local", "stop")
    assert (result.code, result.error) == (0, "Using the exporter of 'jmp local start': example-local")


CLIENT = "kind: ClientConfig\nmetadata: {name: me, namespace: lab}\nendpoint: 127.0.0.1:1\ntoken: t\n"


def client(cli: Cli, text: str = CLIENT, alias: str = "default") -> None:
    path = cli.home / "config" / "jumpstarter" / "clients" / f"{alias}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("apiVersion: jumpstarter.dev/v1alpha1\n" + text)


def test_with_a_client_configured_nothing_runs_on_a_simulated_board(cli: Cli) -> None:
    client(cli)
    result = cli.jmp("shell", *POWER)
    assert (result.code, result.out) == (1, "")
    assert "the controller cannot be reached" in result.err


def test_broken_client_is_an_error_and_not_no_client(cli: Cli) -> None:
    client(cli, "kind: ClientConfig\nmetadata: {name: me}\nendpont: x\n")
    result = cli.jmp("shell", *POWER)
    assert (result.code, result.out) == (1, "")
    assert "endpont" in result.err


def test_current_client_that_is_gone_is_not_replaced_by_another(cli: Cli) -> None:
    client(cli)
    client(cli, alias="lab")
    cli.ok("jmp", "config", "client", "use", "lab")
    (cli.home / "config" / "jumpstarter" / "clients" / "lab.yaml").unlink()
    result = cli.jmp("get", "leases")
    assert result.code == 1
    assert "the current client is 'lab'" in result.error
    assert "jmp config client use" in result.error


def labelled(cli: Cli, alias: str, labels: str) -> None:
    cli.exporter(
        alias,
        f"metadata: {{name: {alias}, labels: {{{labels}}}}}\n"
        "export:\n  power:\n    type: jumpstarter_driver_power.driver.MockPower\n",
    )


def test_selector_without_a_lab_needs_the_one_exporter_with_these_labels(cli: Cli, board: Path) -> None:
    result = cli.jmp("shell", "-l", "board=rpi4", *POWER)
    assert (result.code, result.out) == (1, "")
    assert "no exporter file has these labels" in result.error
    labelled(cli, "a", "board: rpi4, side: left")
    result = cli.jmp("shell", "-l", "board=rpi4", *POWER)
    assert (result.code, result.out) == (0, "ok\n")
    assert result.error == "Using the exporter of this machine with these labels: a"
    labelled(cli, "b", "board: rpi4")
    result = cli.jmp("shell", "-l", "board=rpi4", *POWER)
    assert (result.code, result.out) == (1, "")
    assert "a, b have them" in result.error
    assert cli.jmp("shell", "-l", "board=rpi4,!side", *POWER).code == 0


def test_selector_without_a_lab_is_parsed(cli: Cli) -> None:
    result = cli.jmp("shell", "-l", "board in rpi4", *POWER)
    assert (result.code, result.out) == (2, "")


def test_labels_of_a_file_are_known_in_its_shell(cli: Cli) -> None:
    labelled(cli, "a", "board: rpi4, side: left")
    out = cli.ok(
        "jmp", "shell", "--exporter", "a", "--", "sh", "-c", "echo $JMP_EXPORTER $JMP_EXPORTER_LABELS"
    )
    assert out == "a board=rpi4,side=left\n"


def test_robot_suite_refuses_a_board_that_its_selector_does_not_select(cli: Cli, tmp_path: Path) -> None:
    suite = tmp_path / "suite.robot"
    suite.write_text(
        "*** Settings ***\nLibrary    JumpstarterLibrary\n*** Test Cases ***\nBoard\n"
        "    Connect To Exporter    selector=board=rpi4\n    Power On\n"
    )
    robot = ("robot", "--output", "NONE", "--log", "NONE", "--report", "NONE", str(suite))
    simulated = cli.jmp("shell", "--", *robot)
    assert simulated.code == 1
    assert "does not select" in simulated.out
    alone = cli.run(*robot)
    assert alone.code == 1
    assert "no local exporter has these labels" in alone.out
    labelled(cli, "a", "board: rpi4")
    assert cli.run(*robot).code == 0
    assert cli.jmp("shell", "--exporter", "a", "--", *robot).code == 0


@pytest.mark.parametrize("argument", ["selector", "exporter", "config", "host", "name", "lease", "client"])
def test_empty_argument_of_connect_to_exporter_fails(cli: Cli, tmp_path: Path, argument: str) -> None:
    suite = tmp_path / "suite.robot"
    suite.write_text(
        "*** Settings ***\nLibrary    JumpstarterLibrary\n*** Test Cases ***\nBoard\n"
        f"    Connect To Exporter    {argument}=${{EMPTY}}\n"
    )
    result = cli.run("robot", "--output", "NONE", "--log", "NONE", "--report", "NONE", str(suite))
    assert result.code == 1
    assert f"{argument}= is empty" in result.out


def test_pytest_class_with_a_selector_refuses_the_simulated_board(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "test_board.py").write_text(
        "from jumpstarter_testing.pytest import JumpstarterTest\n"
        "class TestBoard(JumpstarterTest):\n"
        "    selector = 'board=rpi4'\n"
        "    def test_power(self, client):\n"
        "        client.power.on()\n"
    )
    command = ("pytest", "-q", "-p", "no:cacheprovider", str(tmp_path))
    refused = cli.jmp("shell", "--exporter", "simulated", "--", *command)
    assert refused.code == 1
    assert "does not select the exporter of the surrounding shell" in refused.out
    labelled(cli, "a", "board: rpi4")
    assert cli.jmp("shell", "--exporter", "a", "--", *command).code == 0


def test_pytest_class_with_an_empty_selector_fails(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "test_board.py").write_text(
        "from jumpstarter_testing.pytest import JumpstarterTest\n"
        "class TestBoard(JumpstarterTest):\n"
        "    selector = ''\n"
        "    def test_power(self, client):\n"
        "        client.power.on()\n"
    )
    result = cli.jmp("shell", "--exporter", "simulated", "--", "pytest", "-q", str(tmp_path))
    assert result.code == 1
    assert "the selector of TestBoard is empty" in result.out


@pytest.mark.parametrize("argument", ["exporter", "config", "host"])
def test_python_refuses_an_empty_choice(argument: str) -> None:
    from jumpstarter.common.exceptions import ArgumentError
    from jumpstarter.connection import connect

    with pytest.raises(ArgumentError, match=f"{argument} is empty"), connect(**{argument: ""}):
        pass


def write_client(cli: Cli, alias: str, more: str = "endpoint: 127.0.0.1:1\ntoken: t\n") -> Path:
    path = cli.home / "config" / "jumpstarter" / "clients" / f"{alias}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    head = "apiVersion: jumpstarter.dev/v1alpha1\nkind: ClientConfig\n"
    path.write_text(f"{head}metadata: {{name: {alias}, namespace: lab}}\n{more}")
    return path


@pytest.mark.parametrize(
    "command",
    [
        ("shell", *POWER),
        ("shell", "-l", "a=b", *POWER),
        ("get", "exporters"),
        ("create", "lease", "-l", "a=b"),
        ("auth", "status"),
        ("info",),
    ],
    ids=" ".join,
)
def test_clients_of_which_none_is_current_are_listed(cli: Cli, command: tuple[str, ...]) -> None:
    write_client(cli, "alice")
    write_client(cli, "bob")
    result = cli.jmp(*command)
    assert (result.code, result.out) == (1, "")
    assert (
        "no client is the current one, and there are these: alice, bob; name one with --client"
        in result.error
    )


def test_local_exporter_needs_no_client(cli: Cli) -> None:
    write_client(cli, "alice")
    assert cli.ok("jmp", "shell", "--exporter", "simulated", *POWER) == "ok\n"


def test_client_by_two_names_is_wrong_usage(cli: Cli) -> None:
    write_client(cli, "alice")
    path = write_client(cli, "bob")
    for command in (("shell", *POWER), ("get", "leases"), ("create", "lease", "-l", "a=b")):
        at = command.index("--") if "--" in command else len(command)
        result = cli.jmp(*command[:at], "--client", "alice", "--client-config", str(path), *command[at:])
        assert result.code == 2, result
        assert "alice" in result.error and str(path) in result.error


def test_client_without_its_token_is_no_reason_for_a_simulated_board(cli: Cli) -> None:
    """As in the run of a fork, which gets no secrets."""
    lab = {"JMP_ENDPOINT": "127.0.0.1:1", "JMP_NAMESPACE": "lab", "JMP_NAME": "ci"}
    result = cli.jmp("shell", *POWER, env={**lab, "JMP_TOKEN": ""})
    assert (result.code, result.out) == (2, "")
    assert result.error == "Error: JMP_TOKEN is set, but empty: set it to what is meant, or unset it"
    result = cli.jmp("shell", *POWER, env=lab)
    assert (result.code, result.out) == (1, "")
    assert "token not set" in result.error


@pytest.mark.parametrize("variable", ["ENDPOINT", "TOKEN", "TOKEN_FILE", "CA"])
def test_empty_variable_of_an_administrator_is_wrong_usage(cli: Cli, variable: str) -> None:
    result = cli.jmp("admin", "get", "clients", env={f"JMP_ADMIN_{variable}": ""})
    assert (result.code, result.out) == (2, "")
    assert f"JMP_ADMIN_{variable} is set, but empty" in result.error
