"""`jmp admin create -f` and `jmp admin apply -f`: clients, exporters and policies from files, in a lab."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from .world import World

HEAD = "apiVersion: jumpstarter.dev/v1alpha1\n"
CLIENT = HEAD + "kind: Client\nmetadata:\n  name: {name}\n  labels: {{team: ci}}\n"
EXPORTER = (
    HEAD + "kind: Exporter\nmetadata:\n  name: {name}\n  labels:\n    board: rpi4\nspec: {{enabled: false}}\n"
)


def file_of(world: World, text: str) -> Path:
    path = world.home / "objects.yaml"
    path.write_text(text)
    return path


def names(world: World, kind: str) -> list[str]:
    return [line.partition("/")[2] for line in world.ok("admin", "get", kind, "-o", "name").splitlines()]


def test_documents_become_clients_and_exporters(world: World) -> None:
    file = file_of(world, CLIENT.format(name="doc-c") + "---\n" + EXPORTER.format(name="doc-e"))
    done = world.ok("admin", "create", "-f", str(file))
    assert done.splitlines() == ['client "doc-c" created', 'exporter "doc-e" created']
    made = yaml.safe_load(world.ok("admin", "get", "client", "doc-c", "-o", "yaml"))
    assert made["metadata"]["labels"] == {"team": "ci"}
    made = yaml.safe_load(world.ok("admin", "get", "exporter", "doc-e", "-o", "yaml"))
    assert (made["metadata"]["labels"], made["spec"]["enabled"]) == ({"board": "rpi4"}, False)


def test_what_get_prints_can_be_created_again(world: World) -> None:
    world.ok("admin", "create", "client", "again-1", "--label", "team=a", "--nointeractive")
    world.ok("admin", "create", "client", "again-2", "--nointeractive", "--oidc-username", "who@else")
    kept = ("again-1", "again-2")
    shown = yaml.safe_load(world.ok("admin", "get", "clients", "-o", "yaml"))
    shown["items"] = [each for each in shown["items"] if each["metadata"]["name"] in kept]
    for name in kept:
        world.ok("admin", "delete", "client", name)
    for kind in ("ClientList", "List"):
        file = file_of(world, yaml.safe_dump({**shown, "kind": kind}))
        world.ok("admin", "create", "--filename", str(file))
        again = yaml.safe_load(world.ok("admin", "get", "client", "again-2", "-o", "yaml"))
        assert again["spec"] == {"username": "who@else"}
        for name in kept:
            world.ok("admin", "delete", "client", name)


def test_standard_input_is_read(world: World) -> None:
    done = subprocess.run(
        ["jmp", "admin", "create", "-f", "-", "-o", "name"],
        input=CLIENT.format(name="piped"),
        env=world.environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "client.jumpstarter.dev/piped\n", "")


def test_nothing_is_created_when_one_exists(world: World) -> None:
    world.ok("admin", "create", "client", "there", "--nointeractive")
    file = file_of(world, CLIENT.format(name="fresh") + "---\n" + CLIENT.format(name="there"))
    done = world.jmp("admin", "create", "-f", str(file))
    assert done.code != 0
    assert "objects.yaml:10: client 'there' already exists" in done.err
    assert "fresh" not in names(world, "client")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kind: Client", "kind: Clint", "2: kind: found text 'Clint'; expected Client or Exporter"),
        ("kind: Client\n", "", "kind: missing; expected Client or Exporter"),
        ("kind: Client", "kind: ExporterAccessPolicy", "2: kind: expected Client or Exporter; for policies"),
        ("team: ci", "team: 1", "5: metadata.labels.team: found the whole number 1; expected text"),
        ("  name: wrong", "  nam: wrong", "4: metadata.nam: unknown key"),
        ("  name: wrong", "  name: wrong\n  name: w2", "5: metadata.name: duplicate key"),
        (
            "metadata:",
            "metadata:\n  namespace: other",
            "metadata.namespace: found 'other'; expected 'default'",
        ),
        ("metadata:", "spec: {enabled: true}\nmetadata:", "3: spec.enabled: unknown key"),
        ("jumpstarter.dev/v1alpha1", "jumpstarter.dev/v2", "1: apiVersion: found text 'jumpstarter.dev/v2'"),
        ("metadata:", "\tmetadata:", "3: not valid YAML"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_created(world: World, old: str, new: str, message: str) -> None:
    text = CLIENT.format(name="wrong")
    assert old in text
    file = file_of(world, CLIENT.format(name="right") + "---\n" + text)
    file.write_text(text.replace(old, new, 1))
    done = world.jmp("admin", "create", "-f", str(file))
    assert done.code != 0 and "Traceback" not in done.err
    assert message in done.err
    assert "wrong" not in names(world, "client")


def test_problems_of_all_objects_are_told_at_once(world: World) -> None:
    items = [{"kind": "Nothing"}, {"kind": "Exporter", "metadata": {"name": 1}}, "text"]
    file = file_of(world, yaml.safe_dump({"kind": "List", "items": items}))
    told = world.jmp("admin", "create", "-f", str(file)).err
    for expected in ("items[0].kind", "items[1].metadata.name", "items[1].apiVersion", "items[2]"):
        assert expected in told


def test_name_twice_is_refused_but_not_of_two_kinds(world: World) -> None:
    text = CLIENT.format(name="twin") + "---\n"
    done = world.jmp("admin", "create", "-f", str(file_of(world, text + text)))
    assert "metadata.name: found 'twin' again; the first one is in line 4" in done.err
    world.ok("admin", "create", "-f", str(file_of(world, text + EXPORTER.format(name="twin"))))


@pytest.mark.parametrize("text", ["", "---\n", "kind: List\n", "kind: List\nitems: []\n"])
def test_file_without_objects_is_refused(world: World, text: str) -> None:
    done = world.jmp("admin", "create", "-f", str(file_of(world, text)))
    assert done.code != 0 and "objects.yaml:1" in done.err


def test_missing_file_and_missing_name_are_told(world: World) -> None:
    done = world.jmp("admin", "create", "-f", "no-such.yaml")
    assert done.code != 0 and "object file 'no-such.yaml' does not exist" in done.err
    assert world.jmp("admin", "create", "-f").code == 2
    assert world.jmp("admin", "create", "--nothing").code == 2


POLICY = (
    HEAD + "kind: ExporterAccessPolicy\nmetadata:\n  name: {name}\nspec:\n  exporterSelector: board=none\n"
    "  policies:\n    - priority: {priority}\n      from: [{{clientSelector: team=ci}}]\n"
)


def shown(world: World, kind: str, name: str) -> dict[str, Any]:
    return yaml.safe_load(world.ok("admin", "get", kind, name, "-o", "yaml"))  # type: ignore[no-any-return]


def test_file_is_applied_again_and_again(world: World) -> None:
    text = "---\n".join(
        (CLIENT.format(name="app-c"), EXPORTER.format(name="app-e"), POLICY.format(name="app-p", priority=1))
    )
    file = file_of(world, text)
    objects = ('client "app-c"', 'exporter "app-e"', 'policy "app-p"')
    for done in ("created", "unchanged"):
        assert world.ok("admin", "apply", "-f", str(file)).splitlines() == [f"{x} {done}" for x in objects]
    file = file_of(
        world,
        text.replace("team: ci}\n", "team: qa, site: oslo}\nspec: {username: who@else}\n", 1)
        .replace("enabled: false", "enabled: true")
        .replace("priority: 1", "priority: 2"),
    )
    assert world.ok("admin", "apply", "-f", str(file)).splitlines() == [f"{x} updated" for x in objects]
    client = shown(world, "client", "app-c")
    assert (client["metadata"]["labels"], client["spec"]) == (
        {"team": "qa", "site": "oslo"},
        {"username": "who@else"},
    )
    assert shown(world, "exporter", "app-e")["spec"]["enabled"] is True
    assert shown(world, "policy", "app-p")["spec"]["policies"][0]["priority"] == 2
    assert world.ok("admin", "apply", "-f", str(file), "-o", "name").splitlines() == [
        "client.jumpstarter.dev/app-c",
        "exporter.jumpstarter.dev/app-e",
        "exporteraccesspolicy.jumpstarter.dev/app-p",
    ]
    for kind, name in (("client", "app-c"), ("exporter", "app-e"), ("policy", "app-p")):
        world.ok("admin", "delete", kind, name)


def test_what_a_file_leaves_out_stays(world: World) -> None:
    world.ok(
        "admin", "create", "exporter", "stays", "--label", "a=b", "--oidc-username", "x", "--nointeractive"
    )
    world.ok("admin", "disable", "exporter", "stays")
    file = file_of(world, HEAD + "kind: Exporter\nmetadata: {name: stays}\n")
    assert world.ok("admin", "apply", "-f", str(file)) == 'exporter "stays" unchanged\n'
    exporter = shown(world, "exporter", "stays")
    assert exporter["metadata"]["labels"] == {"a": "b"}
    assert exporter["spec"] == {"username": "x", "enabled": False}
    file_of(world, HEAD + "kind: Exporter\nmetadata: {name: stays, labels: {}}\nspec: {username: ''}\n")
    assert world.ok("admin", "apply", "-f", str(file)) == 'exporter "stays" updated\n'
    exporter = shown(world, "exporter", "stays")
    assert ("labels" in exporter["metadata"], exporter["spec"]) == (False, {"enabled": False})


def test_new_labels_count_at_once_and_the_lease_stays(world: World) -> None:
    world.add_exporter("moves", "site=old")
    process = world.run_exporter("moves")
    lease = world.ok("create", "lease", "-l", "site=old", "--wait", "30", "-o", "name").strip()
    waiting = world.start(
        "jmp", "shell", "-l", "site=old", "--client", "anna", "--acquisition-timeout", "60", "--", "true"
    )
    file = file_of(world, HEAD + "kind: Exporter\nmetadata: {name: moves, labels: {site: new}}\n")
    world.ok("admin", "apply", "-f", str(file))
    assert waiting.wait() != 0
    assert [(each["name"], each["exporter"]) for each in world.leases()] == [(lease, "moves")]
    world.ok("delete", "lease", lease)
    world.is_available("moves")
    assert world.ok("shell", "-l", "site=new", "--", "j", "power", "on") == "ok\n"  # its token is valid still
    process.end()


def test_nothing_is_applied_when_something_is_wrong(world: World) -> None:
    text = CLIENT.format(name="half") + "---\n" + POLICY.format(name="half", priority="high")
    done = world.jmp("admin", "apply", "-f", str(file_of(world, text)))
    assert done.code != 0 and "spec.policies[0].priority" in done.err
    assert "half" not in names(world, "client")
    done = world.jmp("admin", "apply", "-f", str(file_of(world, "kind: Lease\n")))
    assert "expected Client, Exporter or ExporterAccessPolicy" in done.err


def test_names_are_taken_as_they_are_printed(world: World) -> None:
    world.ok("admin", "create", "client", "printed", "--nointeractive")
    name = "client.jumpstarter.dev/printed"
    assert name in world.ok("admin", "get", "clients", "-o", "name").splitlines()
    assert world.ok("admin", "get", "client", name, "-o", "name").strip() == name
    done = world.jmp("admin", "delete", "exporter", name)
    assert done.code == 2 and "expected NAME, or exporter.jumpstarter.dev/NAME" in done.err
    world.ok("admin", "delete", "client", name)
