"""`jmp admin` in a lab."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest
import yaml

from .world import Process, World, wait_for


@pytest.fixture(scope="module")
def board(world: World) -> Iterator[Process]:
    world.add_exporter("board", "kind=board")
    process = world.run_exporter("board")
    yield process
    process.end()


def client_file(world: World, name: str) -> Path:
    return world.home / "config" / "jumpstarter" / "clients" / f"{name}.yaml"


def test_documented_command_lines_work(world: World) -> None:
    world.ok(
        "admin",
        "create",
        "exporter",
        "example-distributed",
        "--label",
        "foo=bar",
        "--save",
        "--insecure-tls-config",
    )
    path = world.home / "config" / "jumpstarter" / "exporters" / "example-distributed.yaml"
    content = yaml.safe_load(path.read_text())
    assert content["tls"] == {"insecure": True}
    path.write_text(
        yaml.safe_dump(
            {
                **content,
                "export": {
                    "storage": {"type": "jumpstarter_driver_opendal.driver.MockStorageMux"},
                    "power": {"type": "jumpstarter_driver_power.driver.MockPower"},
                },
            }
        )
    )
    world.ok("admin", "create", "client", "hello", "--save", "--unsafe", "--insecure-tls-config")
    exporter = world.run_exporter("example-distributed")
    try:
        done = world.ok("shell", "--client", "hello", "--selector", "foo=bar", "--", "j", "power", "on")
        assert done == "ok\n"
    finally:
        exporter.end()


def test_client_is_created_shown_and_deleted(world: World) -> None:
    created = json.loads(world.ok("admin", "create", "client", "temp", "-l", "team=qa", "-o", "json"))
    assert created["metadata"]["labels"] == {"team": "qa"}
    assert created["kind"] == "Client"
    assert not client_file(world, "temp").exists()
    assert "temp" in world.ok("admin", "get", "clients")
    assert world.ok("admin", "get", "client", "temp", "-o", "name") == "client.jumpstarter.dev/temp\n"
    assert world.ok("admin", "delete", "client", "temp", "-o", "name") == "client.jumpstarter.dev/temp\n"
    done = world.jmp("admin", "get", "client", "temp")
    assert done.code == 1
    assert "temp" in done.err


@pytest.mark.parametrize("kind", ["client", "exporter"])
def test_name_is_asked_for_on_a_terminal(world: World, kind: str) -> None:
    labels = ["-l", "a=b"] if kind == "exporter" else []
    for command, answer in ((["create", kind, *labels, "--nointeractive"], ""), (["delete", kind], "")):
        done = world.jmp("admin", *command)
        assert (done.code, answer + "Missing argument 'NAME'" in done.err) == (2, True), done.err
    for command, words in ((["create", kind, *labels], "created"), (["delete", kind], "deleted")):
        terminal: Any = pexpect.spawn(
            "jmp", ["admin", *command], env=world.environment(), encoding="utf-8", timeout=60
        )
        terminal.expect("Name:")
        terminal.sendline(f"asked-{kind}")
        if words == "created":
            terminal.expect("Save the")
            terminal.sendline("n")
        terminal.expect(f'{kind} "asked-{kind}" {words}')
        terminal.expect(pexpect.EOF)
        terminal.close()
        assert terminal.exitstatus == 0


def test_deleted_client_is_refused_from_then_on(world: World) -> None:
    world.add_client("gone")
    world.ok("get", "leases", "--client", "gone")
    copy = world.home / "gone-copy.yaml"
    copy.write_text(client_file(world, "gone").read_text())
    world.ok("admin", "delete", "client", "gone", "--delete")
    assert not client_file(world, "gone").exists()
    done = world.jmp("get", "leases", "--client-config", str(copy))
    assert done.code == 1
    assert "refuses this client" in done.err


def test_exporters_are_shown_with_their_devices(world: World, board: Process) -> None:
    headings, *rows = world.ok("admin", "get", "exporters").splitlines()
    assert headings.split() == ["NAME", "STATUS", "ENDPOINT", "DEVICES", "AGE", "LABELS"]
    assert any(row.split()[:2] == ["board", "Available"] for row in rows)
    devices = world.ok("admin", "get", "exporter", "board", "--devices").splitlines()
    assert len(devices) == 1 + len(world.exporter("board")["status"]["devices"])


def test_rotation_with_save_replaces_the_token_of_the_file(world: World) -> None:
    world.add_client("rita")
    before = yaml.safe_load(client_file(world, "rita").read_text())["token"]
    done = world.jmp("admin", "rotate", "client", "rita", "--save")
    assert "Token rotated" in done.out
    assert "updated with new token" in done.err
    assert yaml.safe_load(client_file(world, "rita").read_text())["token"] != before
    world.ok("get", "leases", "--client", "rita")
    done = world.jmp("admin", "rotate", "client", "nobody")
    assert done.code == 1
    assert "nobody" in done.err


def test_import_writes_a_configuration_that_works(world: World, tmp_path: Path) -> None:
    world.ok("admin", "create", "client", "imported")
    out = tmp_path / "imported.yaml"
    assert world.ok("admin", "import", "client", "imported", "--out", str(out), "-o", "path") == f"{out}\n"
    world.ok("get", "leases", "--client-config", str(out))
    again = world.ok("admin", "import", "client", "imported", "--out", str(out), "--unsafe")
    assert again == f"Client configuration saved to {out}\n"
    assert yaml.safe_load(out.read_text())["drivers"]["unsafe"] is True
    world.ok("get", "leases", "--client-config", str(out))


def test_created_again_after_a_deletion_its_file_works(world: World, tmp_path: Path) -> None:
    out = tmp_path / "again.yaml"
    for _ in range(2):
        world.jmp("admin", "delete", "client", "again")
        done = world.jmp("admin", "create", "client", "again", "--out", str(out), "--unsafe")
        assert done.code == 0, done.err
        world.ok("get", "leases", "--client-config", str(out))
    assert [path.name for path in tmp_path.iterdir()] == ["again.yaml"]


def test_new_credential_leaves_an_exporters_drivers_as_they_are(world: World, tmp_path: Path) -> None:
    out = tmp_path / "kept.yaml"
    world.jmp("admin", "create", "exporter", "kept", "-l", "kind=kept", "--out", str(out))
    content = yaml.safe_load(out.read_text())
    content["export"] = {"power": {"type": "jumpstarter_driver_power.driver.MockPower"}}
    content["hooks"] = {"beforeLease": {"script": "true"}}
    out.write_text(yaml.safe_dump(content))
    for command in (("import", "exporter", "kept"), ("create", "exporter", "kept", "-l", "kind=kept")):
        done = world.jmp("admin", *command, "--out", str(out))
        assert done.code == 0, done.err
        found = yaml.safe_load(out.read_text())
        assert found["export"] == content["export"]
        assert "beforeLease" in found["hooks"]
        assert found["token"] != content["token"]
        content["token"] = found["token"]
        world.ok("admin", "delete", "exporter", "kept")


@pytest.mark.parametrize("what", ["text", "another client", "an exporter"])
def test_file_of_something_else_is_kept_beside_the_new_one(world: World, tmp_path: Path, what: str) -> None:
    out = tmp_path / "file"
    if what == "text":
        out.write_text("a private key, say")
    elif what == "another client":
        out.write_text(client_file(world, "anna").read_text())
    else:
        out.write_text(client_file(world, "anna").read_text().replace("ClientConfig", "ExporterConfig"))
    before = out.read_text()
    name = f"beside-{what.replace(' ', '-')}"
    world.ok("admin", "create", "client", name)
    for copy in ("file.bak", "file.bak1"):
        done = world.jmp("admin", "import", "client", name, "--out", str(out), "--unsafe")
        assert done.code == 0, done.err
        assert f"Kept the file that was there as {tmp_path / copy}" in done.err
        assert (tmp_path / copy).read_text() == before
        world.ok("get", "leases", "--client-config", str(out))
        out.unlink()
        out.write_text(before)


def test_configuration_goes_to_standard_output(world: World, tmp_path: Path) -> None:
    for number, command in enumerate(
        (
            ("create", "client", "piped", "--unsafe", "--out", "-"),
            ("import", "client", "piped", "--unsafe", "--out", "-"),
            ("import", "client", "piped", "--unsafe", "--out", "/dev/stdout"),
        )
    ):
        done = world.jmp("admin", *command)
        assert done.code == 0, done.err
        file = tmp_path / f"{number}.yaml"
        file.write_text(done.out.split("Client configuration saved")[0])
        world.ok("get", "leases", "--client-config", str(file))
    assert not (Path.cwd() / "-").exists()
    done = world.jmp("admin", "rotate", "client", "piped", "--out", "-")
    assert yaml.safe_load(done.out)["kind"] == "ClientConfig"


@pytest.mark.parametrize("out", ["", ".", "/tmp"])
def test_out_that_is_no_file_is_wrong_usage_and_creates_nothing(world: World, out: str) -> None:
    done = world.jmp("admin", "create", "client", "nowhere", "--out", out)
    assert done.code == 2
    assert "'--out'" in done.err
    assert "nowhere" not in world.ok("admin", "get", "clients")


@pytest.mark.parametrize("kind", ["client", "exporter"])
def test_what_was_created_though_its_file_could_not_be_written_is_told(world: World, kind: str) -> None:
    done = world.jmp("admin", "create", kind, f"full-{kind}", "-l", "a=b", "--out", "/dev/full")
    assert done.code == 1
    assert done.err == (
        f"Error: /dev/full: cannot be written: no space left on device; {kind} 'full-{kind}' was created: write its "
        f"configuration with 'jmp admin import {kind} full-{kind} --out FILE'\n"
    )
    assert world.jmp("admin", "import", kind, f"full-{kind}", "--out", "-").code == 0


def test_exporter_is_saved_where_services_look_if_that_is_there(own_world: World) -> None:
    world = own_world
    done = world.jmp("admin", "create", "exporter", "first", "-l", "a=b", "--save")
    assert "config/jumpstarter/exporters/first.yaml" in done.err
    (world.home / "etc").mkdir()  # as 'sudo mkdir /etc/jumpstarter' makes it
    done = world.jmp("admin", "create", "exporter", "second", "-l", "a=b", "--save")
    path = world.home / "etc" / "exporters" / "second.yaml"
    assert done.err == f"Exporter configuration saved to {path}\n"
    assert path.stat().st_mode & 0o777 == 0o600
    done = world.jmp("admin", "delete", "exporter", "second", "--delete")
    assert done.err == f"Deleted {path}\n"
    assert not path.exists()


def test_anyones_lease_is_transferred_and_ended(world: World, board: Process) -> None:
    world.add_client("dora")
    name = world.ok("create", "lease", "-l", "kind=board", "--wait", "60", "-o", "name").strip()
    world.ok("admin", "transfer", "lease", name, "--to-client", "dora")
    assert [each["client"] for each in world.leases()] == ["dora"]
    assert name in world.ok("admin", "get", "leases")
    assert world.ok("admin", "delete", "lease", name, "-o", "name") == f"lease.jumpstarter.dev/{name}\n"
    assert world.leases() == []
    assert (
        json.loads(world.ok("admin", "get", "lease", name, "-o", "json"))["conditions"][-1]["reason"]
        == "Released"
    )


POLICY = """\
apiVersion: jumpstarter.dev/v1alpha1
kind: ExporterAccessPolicy
metadata: {name: boards}
spec:
  exporterSelector: {matchLabels: {kind: board}}
  policies:
    - priority: 5
      description: for the team only
      from: [{clientSelector: {matchLabels: {team: qa}}}]
      maximumDuration: 1h
"""


def test_policy_decides_who_may_lease(own_world: World) -> None:
    world = own_world
    world.add_exporter("board", "kind=board")
    world.run_exporter("board")
    world.add_client("quinn", "-l", "team=qa")
    file = world.home / "policy.yaml"
    file.write_text(POLICY)
    assert world.ok("admin", "create", "policy", "-f", str(file)) == 'policy "boards" in force\n'
    shown = yaml.safe_load(world.ok("admin", "get", "policy", "boards", "-o", "yaml"))
    assert shown["spec"] == yaml.safe_load(POLICY)["spec"]
    assert "for the team only" in world.ok("admin", "get", "policies")
    done = world.jmp("create", "lease", "-l", "kind=board", "--client", "anna")
    assert done.code == 1
    assert "for the team only" in done.err
    assert world.jmp("create", "lease", "-l", "kind=board", "--client", "quinn", "--duration", "2h").code == 1
    done = world.jmp("shell", "-l", "kind=board", "--client", "quinn", "--", "true")
    assert done.code == 0, done.err
    world.ok("admin", "delete", "policy", "boards")
    assert world.ok("shell", "-l", "kind=board", "--", "j", "power", "on") == "ok\n"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            ("kind: ExporterAccessPolicy", "kind: Policy"),
            "kind: found text 'Policy'; expected 'ExporterAccessPolicy'",
        ),
        (("priority: 5", "priority: high"), "bad.yaml:7: spec.policies[0].priority: found text 'high'"),
        (("maximumDuration: 1h", "maximumDuration: soon"), "spec.policies[0].maximumDuration"),
        (("maximumDuration: 1h", "maximumDuraton: 1h"), "did you mean 'maximumDuration'"),
        (("{kind: board}", "{kind: b c}"), "spec.exporterSelector"),
        (("{name: boards}", "{name: Bad_Name}"), "Bad_Name"),
        (("metadata: {name: boards}", "metadata: {}"), "metadata.name"),
    ],
)
def test_bad_policy_is_refused_with_its_place(world: World, change: tuple[str, str], words: str) -> None:
    file = world.home / "bad.yaml"
    file.write_text(POLICY.replace(*change))
    done = world.jmp("admin", "create", "policy", "-f", str(file))
    assert done.code == 1
    assert words in done.err


def test_policy_that_names_nobody_is_told_and_shown(own_world: World) -> None:
    world = own_world
    file = world.home / "policy.yaml"
    file.write_text(POLICY.partition("  policies:")[0])
    done = world.jmp("admin", "create", "policy", "-f", str(file))
    assert (done.code, done.out) == (0, 'policy "boards" in force\n')
    assert "names no client: it lets nobody use exporters with kind=board" in done.err
    assert world.ok("admin", "get", "policies").split()[-3:] == ["kind=board", "none", "0"]


def test_wrong_namespace_is_told_as_that(world: World) -> None:
    file = world.home / "elsewhere.yaml"
    file.write_text(POLICY.replace("{name: boards}", "{name: boards, namespace: elsewhere}"))
    done = world.jmp("admin", "create", "policy", "-f", str(file))
    assert done.code == 1
    assert "elsewhere.yaml:3: metadata.namespace: found 'elsewhere'; expected 'default'" in done.err
    done = world.jmp("admin", "get", "clients", "-n", "elsewhere")
    assert done.code == 1
    assert "this lab serves namespace 'default', not 'elsewhere'" in done.err
    assert "log in" not in done.err


def test_audit_tells_who_did_what(world: World, board: Process) -> None:
    world.ok("shell", "-l", "kind=board", "--", "j", "power", "on")
    entries = json.loads(world.ok("admin", "get", "audit", "-o", "json"))
    actions = [(entry["action"], entry["actor"]) for entry in entries]
    assert any("anna" in actor for action, actor in actions if action == "lease.dial")
    wait_for(lambda: "anna" in world.ok("admin", "get", "audit", "--limit", "20"), "anna in the table")


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        (("create", "client"), 2, "NAME"),
        (("create", "client", " "), 2, "NAME"),
        (("create", "exporter", "x"), 2, "--label"),
        (("create", "exporter", "x", "-l", "foo"), 2, "'foo' is not KEY=VALUE"),
        (("create", "client", "Not_A_Name"), 1, "Not_A_Name"),
        (("create", "client", "anna"), 1, "anna"),
        (("create", "client", "x", "-n", "elsewhere"), 1, "elsewhere"),
        (("delete", "exporter", "nope"), 1, "nope"),
        (("delete", "lease", "nope"), 1, "nope"),
        (("enable", "exporter", "nope"), 1, "nope"),
        (("get", "client", "--kubeconfig", "x"), 2, "Kubernetes"),
        (("create", "cluster", "--kind"), 1, "jmp controller run"),
        (("install",), 1, "jmp controller run"),
        (("get", "clients", "--token-file", "/nonexistent"), 1, "/nonexistent"),
    ],
)
def test_bad_input_is_one_line(world: World, command: tuple[str, ...], code: int, words: str) -> None:
    done = world.jmp("admin", *command)
    assert done.code == code, done.err
    assert words in done.err
    assert len(done.err.splitlines()) == 1, done.err


def test_client_is_no_administrator(world: World, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(yaml.safe_load(client_file(world, "anna").read_text())["token"])
    done = world.jmp("admin", "get", "clients", "--token-file", str(token))
    assert done.code == 1
    assert "the token is that of a client" in done.err
