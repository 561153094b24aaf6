"""The commands of clients in a lab: what they print, and what they say about bad input."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from .world import Process, World

HOUR = ("--duration", "1h")


@pytest.fixture(scope="module")
def board(world: World) -> Iterator[Process]:
    world.add_exporter("board", "kind=board,vendor=acme")
    world.add_exporter("other", "kind=other,vendor=acme")
    process = world.run_exporter("board")
    yield process
    process.end()


@pytest.fixture
def clean(world: World, board: Process) -> Iterator[World]:
    yield world
    for lease in world.leases():
        world.ok("admin", "delete", "lease", lease["name"])


def create(world: World, *options: str) -> str:
    return world.ok("create", "lease", "-l", "kind=board", *options, "-o", "name").strip()


def test_created_lease_has_its_options(clean: World) -> None:
    text = clean.ok(
        "create", "lease", "-l", "kind=board", *HOUR, "--lease-id", "mine", "--tag", "team=qa", "-o", "json"
    )
    lease = json.loads(text)
    assert lease["name"] == "mine"
    assert lease["duration"] == 3600
    assert lease["tags"] == {"team": "qa"}
    assert lease["selector"] == "kind=board"


def test_created_lease_has_a_default_duration(clean: World) -> None:
    assert json.loads(clean.ok("create", "lease", "-l", "kind=board", "-o", "json"))["duration"] == 1800


def test_wait_returns_with_the_exporter(clean: World) -> None:
    text = clean.ok("create", "lease", "-l", "kind=board", "--wait", "60", "-o", "yaml")
    assert yaml.safe_load(text)["exporter"] == "board"


def test_wait_in_vain_leaves_no_lease(clean: World) -> None:
    held = create(clean, "--wait", "60")
    done = clean.jmp("create", "lease", "-l", "kind=board", "--wait", "5")
    assert done.code == 1
    assert "position 1" in done.err
    assert "no exporter within 5s" in done.err
    assert [each["name"] for each in clean.leases()] == [held]


def test_scheduled_lease(clean: World) -> None:
    create(clean, "--begin-time", "2040-01-31T10:00:00Z", "--lease-id", "later")
    (lease,) = json.loads(clean.ok("get", "leases", "-o", "json"))["leases"]
    assert (lease["name"], lease["begin_time"]) == ("later", "2040-01-31T10:00:00Z")
    assert lease["exporter"] == ""
    assert "Scheduled" in clean.ok("get", "leases")


def test_table_of_leases(clean: World) -> None:
    name = create(clean, *HOUR, "--wait", "60")
    headings, row = clean.ok("get", "leases").splitlines()
    assert headings.split("  ")[0] == "NAME"
    assert "UNTIL" in headings
    assert "REMAINING" in clean.ok("get", "leases", "-o", "wide")
    assert row.split()[:5] == [name, "anna", "board", "kind=board", "In-Use"]


def test_leases_are_filtered(clean: World) -> None:
    clean.add_client("berta") if not (clean.home / "config/jumpstarter/clients/berta.yaml").exists() else None
    first = create(clean, "--begin-time", "2040-01-01T00:00Z", "--tag", "team=qa")
    second = clean.ok(
        "create",
        "lease",
        "--client",
        "berta",
        "-l",
        "vendor=acme",
        "--begin-time",
        "2040-01-01T00:00Z",
        "-o",
        "name",
    ).strip()

    def names(*options: str) -> set[str]:
        return set(clean.ok("get", "leases", *options, "-o", "name").split())

    assert names() == {first}
    assert names("-A") == {first, second}
    assert names("-A", "-l", "vendor=acme") == {second}
    assert names("-A", "--tag-filter", "team=qa") == {first}
    clean.ok("delete", "leases", first)
    assert names() == set()
    assert first in names("-a")


def test_many_leases_come_in_pages(clean: World) -> None:
    for number in range(10):
        create(clean, "--begin-time", "2040-01-01T00:00Z", "--lease-id", f"page-{number}")
    script = (
        "from jumpstarter.client import lab; lab.PAGE_SIZE = 3\n"
        "from jumpstarter.config.client import resolve_client_config\n"
        "from jumpstarter.connection.controller import controller\n"
        "with controller(resolve_client_config()) as c: print(*sorted(l.name for l in c.list_leases()))"
    )
    process = clean.start("python", "-c", script)
    assert process.wait() == 0, process.text()
    assert process.text().split() == [f"page-{number}" for number in range(10)]


def test_update_changes_times_and_owner(clean: World) -> None:
    clean.add_client("cleo")
    name = create(clean, *HOUR, "--wait", "60")
    assert json.loads(clean.ok("update", "lease", name, "--duration", "2h", "-o", "json"))["duration"] == 7200
    assert (
        json.loads(clean.ok("update", "lease", name, "--to-client", "cleo", "-o", "json"))["client"] == "cleo"
    )
    done = clean.jmp("update", "lease", name, "--duration", "3h")
    assert done.code == 1
    assert "permission denied" in done.err


def test_scheduled_lease_can_be_moved(clean: World) -> None:
    name = create(clean, "--begin-time", "2040-01-01T00:00Z")
    moved = json.loads(clean.ok("update", "lease", name, "--begin-time", "2041-01-01T00:00Z", "-o", "json"))
    assert moved["begin_time"] == "2041-01-01T00:00:00Z"


def test_delete_by_name_selector_and_all(clean: World) -> None:
    a, b, c = (create(clean, "--begin-time", "2040-01-01T00:00Z") for _ in range(3))
    assert clean.ok("delete", "lease", a) == f'lease "{a}" deleted\n'
    assert set(clean.ok("delete", "leases", "-l", "kind=board", "-o", "name").split()) == {b, c}
    assert clean.ok("delete", "leases", "--all") == "No resources found.\n"


def test_delete_without_a_name(clean: World) -> None:
    a, b = (create(clean, "--begin-time", "2040-01-01T00:00Z") for _ in range(2))
    done = clean.jmp("delete", "lease")
    assert done.code == 2
    assert a in done.err
    assert b in done.err
    assert clean.ok("delete", "lease", env={"JMP_LEASE": a}) == f'lease "{a}" deleted\n'
    assert clean.ok("delete", "lease") == f'lease "{b}" deleted\n'
    assert clean.jmp("delete", "lease").code == 2


def test_exporters_with_everything(clean: World) -> None:
    create(clean, *HOUR, "--wait", "60")
    text = clean.ok("get", "exporters", "--with", "leases,online", "--with", "status")
    rows = {line.split()[0]: line for line in text.splitlines()}
    assert rows["NAME"].split()[:5] == ["NAME", "ONLINE", "STATUS", "LABELS", "LEASED"]
    assert re.search(r"yes +In-Use +kind=board,vendor=acme +anna +In-Use +\d{4}-", rows["board"])
    assert re.search(r"no +\w+ +kind=other,vendor=acme +Offline", rows["other"])
    items = json.loads(clean.ok("get", "exporters", "--with", "leases", "-l", "kind=board", "-o", "json"))[
        "exporters"
    ]
    assert [(item["name"], item["lease"]["client"]) for item in items] == [("board", "anna")]
    assert clean.ok("get", "exporters", "-l", "kind in (other)", "-o", "name") == "other\n"
    assert clean.ok("get", "exporters", "-l", "kind=nope") == "No resources found.\n"


def test_disabled_exporters(clean: World) -> None:
    clean.ok("admin", "disable", "exporter", "board")
    try:
        assert clean.ok("get", "exporters", "-o", "name") == "other\n"
        assert clean.ok("get", "exporters", "--allow-disabled", "-o", "name") == "board\nother\n"
        done = clean.jmp("create", "lease", "-n", "board")
        assert done.code == 1
        assert "disabled" in done.err
        clean.ok("create", "lease", "-n", "board", "--allow-disabled", "--wait", "30")
    finally:
        clean.ok("admin", "enable", "exporter", "board")


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        (("create", "lease"), 2, "give -l/--selector or -n/--name"),
        (("create", "lease", "-l", "a=b", "--duration", "soon"), 2, "'soon' is not a duration"),
        (("create", "lease", "-l", "a=b", "--duration", "0"), 2, "more than 0s"),
        (("create", "lease", "-l", "a=b,,c"), 2, "is not a requirement"),
        (("create", "lease", "-l", "a=b", "--begin-time", "tomorrow"), 2, "ISO 8601"),
        (("create", "lease", "-l", "a=b", "--tag", "x"), 2, "'x' is not KEY=VALUE"),
        (("create", "lease", "-l", "kind=board", "--tag", "a/b=c"), 1, "a/b"),
        (("create", "lease", "-l", "kind=board", "--lease-id", "No Name"), 1, "No Name"),
        (("create", "lease", "-l", "kind=nope"), 1, "no exporter matches selector kind=nope"),
        (("create", "lease", "-n", "nope"), 1, "there is no exporter nope"),
        (("create", "lease", "-n", "board", "-l", "kind=other"), 1, "board"),
        (("update", "lease", "nope", "--duration", "1h"), 1, "lease 'nope' not found"),
        (("update", "lease", "nope"), 2, "give --duration, --extend, --begin-time or --to-client"),
        (("delete", "lease", "nope"), 1, "lease 'nope' not found"),
        (("shell", "--lease", "nope", "--", "true"), 1, "lease 'nope' not found"),
        (("shell", "--client", "nope", "-l", "a=b", "--", "true"), 1, "nope"),
        (("shell", "--exporter", "board", "-l", "a=b", "--", "true"), 2, "exclude each other"),
        (("get", "exporters", "--with", "leasse"), 2, "did you mean 'leases'"),
        (("get", "leases", "--tag-filter", "a b"), 2, "--tag-filter"),
        (("run", "--exporter", "nope"), 1, "nope"),
    ],
)
def test_bad_input_is_one_line_with_what_to_do(
    world: World, board: Process, command: tuple[str, ...], code: int, words: str
) -> None:
    done = world.jmp(*command)
    assert done.code == code, done.err
    assert words in done.err
    assert len(done.err.splitlines()) == 1, done.err
    assert done.out == ""


def test_client_of_the_environment_alone(world: World, board: Process) -> None:
    path = world.home / "config" / "jumpstarter" / "clients" / "anna.yaml"
    config = yaml.safe_load(path.read_text())
    env = {
        "JMP_CLIENT_CONFIG_HOME": str(world.home / "nothing"),
        "JMP_NAMESPACE": "default",
        "JMP_NAME": "anna",
        "JMP_ENDPOINT": config["endpoint"],
        "JMP_TOKEN": config["token"],
        "JMP_TLS": json.dumps(config["tls"]),
        "JMP_DRIVERS_ALLOW": "jumpstarter_driver_power.*,jumpstarter_driver_composite.*",
    }
    assert world.ok("shell", "-l", "kind=board", "--", "j", "power", "on", env=env) == "ok\n"


def test_drivers_that_are_not_allowed_are_refused(world: World, board: Process) -> None:
    env = {"JMP_DRIVERS_ALLOW": "none.*", "JMP_DRIVERS_UNSAFE": "false"}
    done = world.jmp("shell", "-l", "kind=board", "--", "j", "power", "on", env=env)
    assert done.code == 1
    assert "not allowed" in done.err


# Login and tokens


def test_login_by_token_and_host(world: World, board: Process) -> None:
    out = world.ok("admin", "create", "client", "lena", "-o", "name")
    assert out == "client.jumpstarter.dev/lena\n"
    token = world.ok("admin", "rotate", "client", "lena").splitlines()[-1]
    host = f"localhost:{world.login_port}"
    done = world.jmp("login", f"lena@{host}", "--token", token, "--unsafe", "--nointeractive")
    assert done.code == 0, done.err
    assert "Logged in as lena" in done.out
    assert world.ok("shell", "--client", "lena", "-l", "kind=board", "--", "j", "power", "on") == "ok\n"


def test_login_as_an_exporter(world: World, board: Process) -> None:
    world.ok("admin", "create", "exporter", "lore", "-l", "kind=lore")
    token = world.ok("admin", "rotate", "exporter", "lore").splitlines()[-1]
    host = f"http://localhost:{world.login_port}"
    assert "Exporter lore" in world.ok("login", host, "--exporter", "lore", "--token", token)
    process = world.run_exporter("lore")
    assert process.end() == 143


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("x@localhost:1", "--token", "a.b.c"), "no login service at localhost:1"),
        (("--client", "x", "--endpoint", "localhost:1", "--token", "abc"), "not a token"),
        (("--client", "x", "--token", "a.e30.c"), "give HOST, or --endpoint"),
        (
            ("--client", "x", "--issuer", "https://dex", "--token", "a.e30.c"),
            "identity provider is not supported",
        ),
        (("--client", "x", "--endpoint", "localhost:1"), "Missing option '--token'"),
    ],
)
def test_login_refuses_with_what_to_do(world: World, arguments: tuple[str, ...], words: str) -> None:
    done = world.jmp("login", *arguments, "--nointeractive")
    assert done.code != 0
    assert words in done.err
    assert len(done.err.splitlines()) == 1, done.err


def test_login_with_a_token_that_is_not_accepted_writes_nothing(world: World, board: Process) -> None:
    world.ok("admin", "create", "client", "rudi")
    revoked = world.ok("admin", "rotate", "client", "rudi").splitlines()[-1]
    world.ok("admin", "rotate", "client", "rudi")
    host = f"http://localhost:{world.login_port}"
    done = world.jmp("login", host, "--client", "rudi", "--token", revoked)
    assert done.code == 1
    assert "refuses this client" in done.err
    assert not (world.home / "config" / "jumpstarter" / "clients" / "rudi.yaml").exists()


def test_status_of_a_token_is_what_the_controller_says(world: World) -> None:
    world.add_client("rene")
    path = world.home / "config" / "jumpstarter" / "clients" / "rene.yaml"
    world.ok("admin", "rotate", "client", "rene")
    done = world.jmp("auth", "status", "--client", "rene")
    assert done.code == 1
    assert "Status: REFUSED" in done.out
    assert "the token is revoked" in done.out
    world.ok("admin", "rotate", "client", "rene", "--save")
    assert "Status: Valid" in world.ok("auth", "status", "--client", "rene")
    config = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**config, "endpoint": "127.0.0.1:1"}))
    done = world.jmp("auth", "status", "--client", "rene")
    assert (done.code, "Status: Valid" in done.out) == (0, True)
    assert "The controller was not asked" in done.err
    path.write_text(yaml.safe_dump(config))
    world.ok("admin", "delete", "client", "rene")
    done = world.jmp("auth", "status", "--client", "rene")
    assert (done.code, "client 'rene' does not exist" in done.out) == (1, True)


def test_token_status_and_rotation(world: World, board: Process) -> None:
    world.add_client("tina")
    path = world.home / "config" / "jumpstarter" / "clients" / "tina.yaml"
    assert "Status: Valid" in world.ok("auth", "status", "--client", "tina")
    tokens = [yaml.safe_load(path.read_text())["token"]]
    for _ in range(2):
        assert "Token rotated. New expiry: " in world.ok("auth", "rotate", "--client", "tina")
        tokens.append(yaml.safe_load(path.read_text())["token"])
    assert len(set(tokens)) == 3
    world.ok("get", "leases", "--client", "tina")
    # What has the old token at this moment goes on for a while; an administrator revokes it at once.
    world.ok("get", "leases", "--client", "tina", env={"JMP_TOKEN": tokens[1]})
    world.ok("admin", "rotate", "client", "tina")
    done = world.jmp("get", "leases", "--client", "tina", env={"JMP_TOKEN": tokens[1]})
    assert done.code == 1
    assert "refuses this client" in done.err
    done = world.jmp("auth", "refresh", "--client", "tina")
    assert done.code == 1
    assert "jmp auth rotate" in done.err


def test_info_of_the_controller(world: World, board: Process, tmp_path: Path) -> None:
    out = world.ok("--endpoint", world.endpoint, "info")
    assert f"Endpoint: {world.endpoint}" in out
    assert "Health: serving" in out
    assert "Client: default/anna" in out
    bare = {"JMP_CLIENT_CONFIG_HOME": str(tmp_path)}
    assert (
        json.loads(world.ok("--endpoint", world.endpoint, "info", "-o", "json", env=bare))["client"] is None
    )
    done = world.jmp("--endpoint", "localhost:1", "info")
    assert done.code == 1
    assert "does not answer" in done.out
