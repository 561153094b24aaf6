"""The core scenarios that need no cluster and no identity provider, numbered as in Jumpstarter's own end-to-end suite."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from jumpstarter_protocol import client_pb2

from utest.interop_lab.lab import ROOT, START, Installation
from utest.scenarios.peers import OURS, Board, Peers

CLIENTS = [OURS, "0.9.0", "0.8.1"]
EXPORTERS = {"one": OURS, "two": "0.9.0", "three": "0.8.1"}


@pytest.fixture(scope="module")
def boards(peers: Peers) -> Iterator[dict[str, Board]]:
    """Three exporters, with labels ``board=<name>`` and ``vendor=acme``."""
    with (
        peers.board(EXPORTERS["one"], "one", board="one", vendor="acme") as one,
        peers.board(EXPORTERS["two"], "two", board="two", vendor="acme") as two,
        peers.board(EXPORTERS["three"], "three", board="three", vendor="acme") as three,
    ):
        yield {"one": one, "two": two, "three": three}


@pytest.fixture
def ours(peers: Peers) -> Installation:
    return peers.installations[OURS]


def admin(peers: Peers, *command: str) -> str:
    """`jmp admin VERB NOUN ...` on the controller's machine; gives all that it printed."""
    done = run_admin(peers, *command)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stderr + done.stdout


def run_admin(peers: Peers, *command: str) -> subprocess.CompletedProcess[str]:
    where = ("--data-dir", str(peers.lab.data), "--endpoint", peers.lab.endpoint)
    return peers.installations[OURS].run("jmp", "admin", *command[:2], *where, *command[2:])


def create_client(peers: Peers, name: str) -> Path:
    """A client whose configuration our installation knows by its name."""
    admin(peers, "create", "client", name, "--save", "--unsafe")
    return peers.installations[OURS].home / "config" / "jumpstarter" / "clients" / f"{name}.yaml"


def token_of(config: Path) -> str:
    return str(yaml.safe_load(config.read_text())["token"])


def listed(peers: Peers, owner: str, *command: str, client: str = "alice") -> list[dict[str, Any]]:
    found = json.loads(peers.ok(owner, *command, "-o", "json", client=client))
    return list(next(found[key] for key in ("leases", "exporters", "items") if key in found))


def names(peers: Peers, owner: str, *command: str, client: str = "alice") -> set[str]:
    return set(peers.ok(owner, *command, "-o", "name", client=client).split())


def test_core_01_landing_page(peers: Peers) -> None:
    page = urllib.request.urlopen(f"http://{login_address(peers)}/", timeout=START).read().decode()
    assert "Jumpstarter" in page
    assert "jmp login" in page


def login_address(peers: Peers) -> str:
    return "127.0.0.1:" + peers.lab.process.until(r"login +port (\d+)")[1]


def test_core_09_login_by_address_fills_in_endpoint_and_authority(peers: Peers, ours: Installation) -> None:
    token = token_of(peers.client("nora"))
    done = ours.run(
        "jmp", "login", f"nora@{login_address(peers)}", "--token", token, "--unsafe", "--nointeractive"
    )
    assert done.returncode == 0, done.stderr
    config = yaml.safe_load((ours.home / "config" / "jumpstarter" / "clients" / "nora.yaml").read_text())
    assert config["endpoint"] == peers.lab.endpoint
    assert b"BEGIN CERTIFICATE" in base64.b64decode(config["tls"]["ca"])
    assert config["metadata"]["name"] == "nora"


def test_core_10_admin_rotate(peers: Peers) -> None:
    create_client(peers, "rotated")
    assert "Token rotated" in admin(peers, "rotate", "client", "rotated")


def test_core_11_admin_rotate_save_changes_the_local_token(peers: Peers) -> None:
    config = create_client(peers, "saved")
    before = token_of(config)
    assert "updated with new token" in admin(peers, "rotate", "client", "saved", "--save")
    assert token_of(config) != before


def test_core_12_self_rotate(peers: Peers, ours: Installation) -> None:
    config = create_client(peers, "self")
    before = token_of(config)
    assert ours.run("jmp", "auth", "rotate", "--client", "self").returncode == 0
    assert token_of(config) != before


def test_core_13_auth_status_is_valid(peers: Peers, ours: Installation) -> None:
    create_client(peers, "valid")
    done = ours.run("jmp", "auth", "status", "--client", "valid")
    assert done.returncode == 0
    assert "Status: Valid" in done.stdout


def test_core_14_two_rotations_give_two_tokens(peers: Peers, ours: Installation) -> None:
    config = create_client(peers, "twice")
    tokens = {token_of(config)}
    for _ in range(2):
        assert ours.run("jmp", "auth", "rotate", "--client", "twice").returncode == 0
        tokens.add(token_of(config))
    assert len(tokens) == 3


def test_core_15_rotation_of_an_unknown_client_fails(peers: Peers) -> None:
    done = run_admin(peers, "rotate", "client", "nobody")
    assert done.returncode == 1
    assert "nobody" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_core_16_rotated_token_works(peers: Peers, ours: Installation) -> None:
    config = create_client(peers, "works")
    old = config.read_text()
    admin(peers, "rotate", "client", "works", "--save")
    assert ours.run("jmp", "get", "exporters", "--client", "works").returncode == 0
    config.write_text(old)
    assert ours.run("jmp", "get", "exporters", "--client", "works").returncode == 1


def test_core_17_three_exporters_become_available(boards: dict[str, Board]) -> None:
    assert {name: board.status for name, board in boards.items()} == dict.fromkeys(
        boards, "EXPORTER_STATUS_AVAILABLE"
    )


@pytest.mark.parametrize("owner", CLIENTS)
def test_core_18_client_configured_by_its_environment_only(
    peers: Peers, boards: dict[str, Board], owner: str
) -> None:
    config = yaml.safe_load(peers.client("alice").read_text())
    environment = {
        "JMP_NAMESPACE": "default",
        "JMP_NAME": "alice",
        "JMP_ENDPOINT": peers.lab.endpoint,
        "JMP_TOKEN": config["token"],
        "JMP_TLS": json.dumps(config["tls"]),
        "JMP_DRIVERS_ALLOW": "UNSAFE",
    }
    done = peers.installations[owner].run("jmp", "get", "exporters", "-o", "name", more=environment)
    assert done.returncode == 0, done.stderr
    assert set(boards) <= set(done.stdout.split())


@pytest.mark.parametrize("owner", [OURS, "0.9.0"])
def test_core_19_authority_of_the_configuration_is_used(peers: Peers, owner: str, tmp_path: Path) -> None:
    assert peers.jmp(owner, "get", "exporters").returncode == 0
    config = yaml.safe_load(peers.client("alice").read_text())
    config["tls"]["ca"] = ""
    without = tmp_path / "without.yaml"
    without.write_text(yaml.safe_dump(config))
    assert (
        peers.installations[owner].run("jmp", "get", "exporters", "--client-config", str(without)).returncode
        != 0
    )


@pytest.mark.parametrize("owner", CLIENTS)
def test_core_20_lease_create_list_filter_delete(peers: Peers, boards: dict[str, Board], owner: str) -> None:
    first = peers.ok(owner, "create", "lease", "-l", "board=one", "--duration", "1h", "-o", "name").strip()
    second = peers.ok(
        owner, "create", "lease", "-l", "vendor=acme,board!=one", "--duration", "1h", "-o", "name"
    ).strip()
    try:
        assert {first, second} <= names(peers, owner, "get", "leases")
        assert names(peers, owner, "get", "leases", "-l", "board=one") == {first}
        assert second in names(peers, owner, "get", "leases", "-l", "vendor=acme")
        assert names(peers, owner, "get", "leases", "-l", "board=four") == set()
        peers.ok(owner, "update", "lease", first, "--duration", "2h")
        (updated,) = listed(peers, owner, "get", "leases", "-l", "board=one")
        assert updated["exporter"].endswith("one")
    finally:
        peers.ok(owner, "delete", "leases", first, second)
    assert not {first, second} & names(peers, owner, "get", "leases")
    assert {first, second} <= names(peers, owner, "get", "leases", "--all")


def test_core_21_context_of_a_lease_is_kept(peers: Peers) -> None:
    raw = peers.raw()
    lease = raw.lease(selector="board=four", context={"pipeline": "42"})
    assert dict(raw.get(lease).context) == {"pipeline": "42"}
    raw.release(lease)
    assert dict(raw.get(lease).context) == {"pipeline": "42"}


def test_core_22_pages_of_leases(peers: Peers) -> None:
    raw = peers.raw("pager")
    made = {raw.lease(exporter_name="one", tags={"page": "yes"}).name for _ in range(10)}
    try:
        pages = []
        request = client_pb2.ListLeasesRequest(parent=ROOT, page_size=5, tag_filter="page=yes")
        while True:
            page = raw.clients.ListLeases(request, metadata=raw.metadata, timeout=START)
            pages.append({lease.name for lease in page.leases})
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
        assert [len(page) for page in pages] == [5, 5]
        assert set.union(*pages) == made
        assert len(listed(peers, "0.9.0", "get", "leases", client="pager")) == 10
    finally:
        for name in made:
            raw.release(client_pb2.Lease(name=name))


def test_core_23_pages_of_exporters(peers: Peers) -> None:
    made = {f"paged-{number}" for number in range(10)}
    for name in made:
        peers.lab.exporter_config(name, paged="yes")
    raw = peers.raw()
    found: list[str] = []
    sizes = []
    request = client_pb2.ListExportersRequest(parent=ROOT, page_size=5, filter="paged=yes")
    while True:
        page = raw.clients.ListExporters(request, metadata=raw.metadata, timeout=START)
        sizes.append(len(page.exporters))
        found += [exporter.name.rpartition("/")[2] for exporter in page.exporters]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert sizes == [5, 5]
    assert sorted(found) == sorted(made)


@pytest.mark.parametrize("owner", [OURS, "0.9.0"])
def test_core_24_columns_of_expiry(peers: Peers, boards: dict[str, Board], owner: str) -> None:
    lease = peers.ok(owner, "create", "lease", "-n", "one", "--duration", "1h", "-o", "name").strip()
    try:
        # Ours has a narrow table, which tells until when, and this one.
        wide = ("-o", "wide") if owner == OURS else ()
        table = peers.ok(owner, "get", "leases", *wide)
        assert "EXPIRES AT" in table
        assert "REMAINING" in table
        assert re.search(r"\b(59m|1h)", table)
        (shown,) = listed(peers, owner, "get", "leases")
        begun = datetime.fromisoformat(shown["effective_begin_time"])
        assert datetime.now(UTC) - begun < timedelta(minutes=2)
    finally:
        peers.ok(owner, "delete", "leases", lease)


@pytest.mark.parametrize("owner", CLIENTS)
def test_core_25_transfer(peers: Peers, boards: dict[str, Board], owner: str) -> None:
    peers.client("bob")
    name = f"moving-{owner.replace('.', '-')}"
    peers.ok(owner, "create", "lease", "-n", "one", "--duration", "10m", "--lease-id", name)
    peers.ok(owner, "update", "lease", name, "--to-client", "bob")
    try:
        refused = peers.jmp(owner, "update", "lease", name, "--duration", "1h")
        assert refused.returncode != 0
        assert "permission denied" in " ".join(refused.stderr.split())
        peers.shell_with(owner, "--lease", name, "--", "j", "power", "on", client="bob").ok()
    finally:
        peers.ok(owner, "delete", "leases", name, client="bob")


@pytest.mark.parametrize("client", ["alice", "bob", "carol", "dave"])
def test_core_26_shell_by_selector_for_four_clients(
    peers: Peers, boards: dict[str, Board], client: str
) -> None:
    owner = {"alice": OURS, "bob": "0.9.0", "carol": "0.8.1", "dave": OURS}[client]
    board = {"alice": "two", "bob": "one", "carol": "one", "dave": "three"}[client]
    before = boards[board].log.count("power on")
    peers.shell_with(owner, "-l", f"board={board}", "--", "j", "power", "on", client=client).ok()
    assert boards[board].log.count("power on") == before + 1


@pytest.mark.parametrize("owner", CLIENTS)
def test_core_27_shell_by_name_and_selector(peers: Peers, boards: dict[str, Board], owner: str) -> None:
    show = ("--", "sh", "-c", "echo on $JMP_EXPORTER")
    if owner != "0.8.1":  # does not tell the name
        assert "on one" in peers.shell_with(owner, "-n", "one", *show).ok()
    shell = peers.shell_with(owner, "-n", "one", "-l", "board=one", "--", "j", "power", "off")
    shell.ok()
    mismatch = peers.shell_with(owner, "-n", "one", "-l", "board=two", "--", "true")
    assert mismatch.code != 0
    assert "cannot be satisfied" in " ".join(mismatch.text.split())


@pytest.mark.parametrize("owner", CLIENTS)
def test_core_28_unknown_exporter_fails_fast(peers: Peers, owner: str) -> None:
    shell = peers.shell(owner, "nowhere")
    assert shell.code != 0
    assert "cannot be satisfied" in " ".join(shell.text.split())


def test_core_29_admin_get(peers: Peers, boards: dict[str, Board]) -> None:
    raw = peers.raw()
    lease = raw.until(raw.lease(exporter_name="one"), "Ready")
    try:
        assert "raw" in admin(peers, "get", "client")
        assert re.search(r"one .*Leased|one .*\d", admin(peers, "get", "exporter"))
        assert "power" in admin(peers, "get", "exporter", "one", "--devices")
        table = admin(peers, "get", "lease")
        assert lease.name.rpartition("/")[2] in table
    finally:
        raw.release(lease)


def test_core_30_admin_delete_client(peers: Peers, ours: Installation) -> None:
    config = create_client(peers, "leaver")
    assert admin(peers, "delete", "client", "leaver", "-o", "name").strip() == "client.jumpstarter.dev/leaver"
    assert "leaver" not in admin(peers, "get", "client")
    assert ours.run("jmp", "get", "exporters", "--client-config", str(config)).returncode == 1


def test_core_31_admin_delete_exporter(peers: Peers) -> None:
    with peers.board(OURS, "removed") as board:
        admin(peers, "delete", "exporter", "removed")
        assert board.ends() != 0
        assert "removed" in board.log.splitlines()[-1]
    assert "removed" not in admin(peers, "get", "exporter")
