"""`jmp config`: client and exporter files, in every output form, and their validation."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pytest
import yaml

if TYPE_CHECKING:
    from .conftest import Cli

CLIENT = (
    "--namespace", "lab", "--name", "me", "--endpoint", "grpc.example.com:443", "--token", "secret",
    "--allow", "jumpstarter_driver_*", "--nointeractive",
)  # fmt: skip
EXPORTER = ("--namespace", "lab", "--name", "board", "--endpoint", "", "--token", "", "--nointeractive")


def client(cli: Cli, alias: str, *options: str) -> Path:
    return Path(cli.ok("jmp", "config", "client", "create", alias, *CLIENT, *options, "-o", "path").strip())


def test_created_client_file_is_private_and_as_documented(cli: Cli) -> None:
    path = client(cli, "hello")
    assert path == cli.home / "config" / "jumpstarter" / "clients" / "hello.yaml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    content = yaml.safe_load(path.read_text())
    assert content["kind"] == "ClientConfig"
    assert content["metadata"] == {"namespace": "lab", "name": "me"}
    assert (content["endpoint"], content["token"]) == ("grpc.example.com:443", "secret")
    assert content["drivers"] == {"allow": ["jumpstarter_driver_*"], "unsafe": False}


def test_first_client_becomes_current_and_the_second_does_not(cli: Cli) -> None:
    client(cli, "one")
    client(cli, "two")
    rows = [line.split() for line in cli.ok("jmp", "config", "client", "list").splitlines()]
    assert rows[0] == ["CURRENT", "ALIAS", "ENDPOINT", "PATH"]
    assert [row[:2] for row in rows[1:]] == [["*", "one"], ["two", "grpc.example.com:443"]]
    assert cli.ok("jmp", "config", "client", "use", "two") == "Using client configuration 'two'\n"
    assert json.loads(cli.ok("jmp", "config", "client", "list", "-o", "json"))["currentConfig"] == "two"
    assert cli.ok("jmp", "config", "client", "ls", "-o", "name").split() == ["one", "two"]
    listed = yaml.safe_load(cli.ok("jmp", "config", "client", "list", "-o", "yaml"))
    assert [item["alias"] for item in listed["items"]] == ["one", "two"]


@pytest.mark.parametrize("output", ["json", "yaml"])
def test_lists_show_no_secrets(cli: Cli, output: str) -> None:
    client(cli, "one")
    board = cli.exporter("board", BOARD_WITH_SECRETS)
    for kind, name in (("client", "one"), ("exporter", "board")):
        shown = cli.ok("jmp", "config", kind, "list", "-o", output)
        assert "secret-token" not in shown
        assert "admin:secret" not in shown
        (item,) = yaml.safe_load(shown)["items"]
        assert (item["alias"], item["token"]) == (name, "(not shown)")
    assert "secret" in board.read_text()


BOARD_WITH_SECRETS = """\
apiVersion: jumpstarter.dev/v1alpha1
kind: ExporterConfig
metadata: {namespace: lab, name: board}
endpoint: lab.example.com:8082
token: secret-token
export:
  ssh:
    type: jumpstarter_driver_power.driver.MockPower
    description: at http://admin:secret@pdu
"""


def test_use_prints_the_user_file_on_request(cli: Cli) -> None:
    client(cli, "one")
    path = cli.ok("jmp", "config", "client", "use", "one", "-o", "path").strip()
    assert yaml.safe_load(Path(path).read_text())["config"] == {"current-client": "one"}


def test_client_in_another_file(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "ci.yaml"
    assert client(cli, "ci", "--out", str(out), "--unsafe", "-k") == out
    content = yaml.safe_load(out.read_text())
    assert content["drivers"]["unsafe"] is True
    assert content["tls"]["insecure"] is True
    assert cli.ok("jmp", "config", "client", "list") == "No resources found.\n"


def test_existing_client_is_not_overwritten(cli: Cli) -> None:
    path = client(cli, "one")
    before = path.read_text()
    result = cli.jmp("config", "client", "create", "one", *CLIENT)
    assert result.code == 1
    assert "client config 'one' exists already" in result.error
    assert path.read_text() == before


def test_delete_client(cli: Cli) -> None:
    path = client(cli, "one")
    assert cli.ok("jmp", "config", "client", "delete", "one", "-o", "path") == f"{path}\n"
    assert not path.exists()
    assert json.loads(cli.ok("jmp", "config", "client", "list", "-o", "json"))["currentConfig"] is None


@pytest.mark.parametrize("command", ["client use", "client delete", "exporter delete"])
def test_unknown_alias_names_the_place_and_the_nearest(cli: Cli, command: str) -> None:
    client(cli, "board-1")
    cli.ok("jmp", "config", "exporter", "create", "board-1", *EXPORTER)
    result = cli.jmp("config", *command.split(), "bord-1")
    assert result.code == 1
    assert f"{command.split()[0]}s/bord-1.yaml" in result.error
    assert "did you mean 'board-1'?" in result.error


def test_missing_option_without_anyone_to_ask_is_wrong_usage(cli: Cli) -> None:
    result = cli.jmp("config", "client", "create", "x", "--nointeractive")
    assert result.code == 2
    assert result.error == (
        "Error: Missing option '-e' / '--endpoint'. Try 'jmp config client create --help'."
    )
    assert not (cli.home / "config").exists()


def test_missing_values_are_asked_for_on_a_terminal(cli: Cli) -> None:
    child = pexpect.spawn(
        "jmp", ["config", "client", "create", "asked"], env=cli.environment, timeout=60, encoding="utf-8"
    )
    try:
        for question, answer in (
            ("Client namespace", ""),
            ("Client name", ""),
            ("Service endpoint", "h:1"),
            ("Auth token", "t0ken"),
            ("Driver client packages", "a,b"),
        ):
            child.expect(question)
            child.sendline(answer)
        child.expect(pexpect.EOF)
        assert "t0ken" not in str(child.before)
    finally:
        child.close()
    content = yaml.safe_load((cli.home / "config" / "jumpstarter" / "clients" / "asked.yaml").read_text())
    assert content["metadata"] == {"namespace": "default", "name": "asked"}
    assert content["token"] == "t0ken"
    assert content["drivers"]["allow"] == ["a", "b"]


def test_exporter_is_created_listed_and_deleted(cli: Cli) -> None:
    assert cli.ok("jmp", "config", "exporter", "list") == "No resources found.\n"
    created = cli.ok("jmp", "config", "exporter", "create", "board", *EXPORTER, "-o", "path")
    path = cli.home / "config" / "jumpstarter" / "exporters" / "board.yaml"
    assert created == f"{path}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    content = yaml.safe_load(path.read_text())
    assert content["kind"] == "ExporterConfig"
    assert content["metadata"] == {"namespace": "lab", "name": "board"}
    assert content["export"] == {}
    assert cli.ok("jmp", "config", "exporter", "list").split() == ["ALIAS", "PATH", "board", str(path)]
    assert cli.ok("jmp", "config", "exporter", "list", "-o", "name") == "board\n"
    listed = json.loads(cli.ok("jmp", "config", "exporter", "list", "-o", "json"))
    assert listed == yaml.safe_load(cli.ok("jmp", "config", "exporter", "list", "-o", "yaml"))
    assert listed["items"][0]["metadata"]["name"] == "board"
    assert cli.ok("jmp", "config", "exporter", "delete", "board", "-o", "path") == f"{path}\n"
    assert not path.exists()


def test_exporter_alias_is_default_by_default(cli: Cli) -> None:
    cli.ok("jmp", "config", "exporter", "create", "--nointeractive")
    assert cli.ok("jmp", "config", "exporter", "list", "-o", "name") == "default\n"
    cli.ok("jmp", "config", "exporter", "delete")
    assert cli.ok("jmp", "config", "exporter", "list", "-o", "name") == ""


def test_broken_file_does_not_hide_the_others(cli: Cli, board: Path) -> None:
    cli.exporter("broken", "exprt: 1\n")
    result = cli.jmp("config", "exporter", "list", "-o", "name")
    assert (result.code, result.out) == (0, "example-local\n")
    assert all(line.startswith("Warning: ") and "broken.yaml" in line for line in result.err.splitlines())


def test_edit_opens_the_editor_and_checks_the_result(cli: Cli, board: Path) -> None:
    good = {"EDITOR": "sed -i s/example-local/renamed/"}
    assert cli.ok("jmp", "config", "exporter", "edit", "example-local", env=good) == ""
    assert "name: renamed" in board.read_text()
    bad = {"EDITOR": "sed -i s/MockPower/MokPower/"}
    result = cli.jmp("config", "exporter", "edit", "example-local", env=bad)
    assert result.code == 1
    assert "MokPower" in result.error


def test_edit_of_an_unknown_alias_creates_nothing(cli: Cli) -> None:
    result = cli.jmp("config", "exporter", "edit", "nope", env={"EDITOR": "false"})
    assert result.code == 1
    assert "exporter config 'nope' not found" in result.error


def test_valid_file(cli: Cli, board: Path) -> None:
    assert cli.ok("jmp", "config", "validate", str(board)) == f"{board}: valid ExporterConfig\n"
    assert cli.ok("jmp", "config", "validate", "--exporter", "example-local").endswith(
        ": valid ExporterConfig\n"
    )


def test_client_file_is_judged_as_one(cli: Cli) -> None:
    path = client(cli, "one")
    assert cli.ok("jmp", "config", "validate", str(path)) == f"{path}: valid ClientConfig\n"
    assert cli.ok("jmp", "config", "validate", "--client", "one") == f"{path}: valid ClientConfig\n"
    path.write_text(path.read_text() + "tokn: x\n")
    result = cli.jmp("config", "validate", str(path))
    assert result.code == 1
    assert "tokn: unknown key" in result.error


def test_all_problems_are_reported_at_once(cli: Cli) -> None:
    path = cli.exporter(
        "bad",
        "kind: ExporterConfig\nmetadata: {name: bad}\nexport:\n"
        "  a:\n    type: jumpstarter_driver_power.driver.MokPower\n"
        "  b:\n    ref: nowhere\n"
        "  c:\n    tpye: jumpstarter_driver_power.driver.MockPower\n",
    )
    result = cli.jmp("config", "validate", str(path))
    assert result.code == 1
    assert result.out == ""
    lines = result.err.splitlines()
    assert [word in text for word, text in zip(("MokPower", "nowhere", "tpye"), lines, strict=False)] == [
        True
    ] * 3
    assert all(line.startswith("Error: ") for line in lines)
    assert [int(line.split(":")[2]) for line in lines[:3]] == [5, 7, 9]


def test_validate_wants_one_thing(cli: Cli) -> None:
    assert cli.jmp("config", "validate").code == 2
    assert cli.jmp("config", "validate", "x", "--exporter", "y").code == 2


def test_the_file_of_the_current_client_is_checked_like_the_others(cli: Cli) -> None:
    create = "config client create lab -e localhost:8082 --namespace default --name lab --token t --allow x.*"
    cli.ok("jmp", *create.split(), "--nointeractive")
    cli.ok("jmp", "config", "client", "use", "lab")
    path = cli.home / "config" / "jumpstarter" / "config.yaml"
    assert cli.ok("jmp", "config", "validate", str(path)) == f"{path}: valid UserConfig\n"
    path.write_text(path.read_text().replace("current-client", "curent-client"))
    result = cli.jmp("config", "validate", str(path))
    assert result.code == 1
    assert "config.curent-client: unknown key" in result.error
