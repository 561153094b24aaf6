"""Stock Jumpstarter 0.9.0 and 0.8.1 as client and exporter of our lab, unchanged."""

from __future__ import annotations

import json
import re
import subprocess
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jumpstarter_protocol import common_pb2
from jumpstarter_testing.eventually import eventually

from .lab import START, Installation, Lab, Process, RawClient

pytestmark = pytest.mark.usefixtures("board")


def cli(stock: Installation, config: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """`jmp VERB NOUN --client-config FILE ...`."""
    return stock.run("jmp", *command[:2], "--client-config", str(config), *command[2:])


def ok(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, f"{done.args}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def listed(stock: Installation, config: Path, *command: str) -> list[dict[str, Any]]:
    found = json.loads(ok(cli(stock, config, *command, "-o", "json")))
    return list(found["leases" if "leases" in found else "exporters"])


def test_exporter_is_available(lab: Lab, raw: RawClient) -> None:
    raw.wait_for_board("board=stock")
    # It has just been leased: it tells some time later that the lease is over.
    available = common_pb2.EXPORTER_STATUS_AVAILABLE
    eventually(lambda: lab.exporter("stock").status == available, timeout=START)
    exporter = lab.exporter("stock")
    assert exporter.online
    assert [
        dict(device.labels)["jumpstarter.dev/name"] for device in exporter.devices if device.parent_uuid
    ] == ["power"]


def test_shell_by_selector(stock: Installation, alice: Path, board: Process) -> None:
    before = board.text.count("power on")
    done = stock.run(
        "jmp", "shell", "--client-config", str(alice), "--selector", "board=stock", "--", "j", "power", "on"
    )
    ok(done)
    assert board.text.count("power on") == before + 1


def test_shell_by_exporter_name_and_selector(stock: Installation, alice: Path) -> None:
    command = ("sh", "-c", 'echo "shell on $JMP_EXPORTER"; exit 7')
    done = stock.run(
        "jmp", "shell", "--client-config", str(alice), "-n", "stock", "-l", "board=stock", "--", *command
    )
    assert done.returncode == 7, done.stderr
    # 0.8.1 does not tell the shell what it is on.
    assert ("shell on stock" if stock.version != "0.8.1" else "shell on ") in done.stdout.splitlines()


def test_shell_with_an_existing_lease_keeps_it(stock: Installation, alice: Path) -> None:
    ok(cli(stock, alice, "create", "lease", "-n", "stock", "--duration", "10m", "--lease-id", "kept"))
    done = stock.run(
        "jmp", "shell", "--client-config", str(alice), "--lease", "kept", "--", "j", "power", "off"
    )
    ok(done)
    assert "kept" in ok(cli(stock, alice, "get", "leases", "-o", "name"))
    ok(cli(stock, alice, "delete", "leases", "kept"))


def test_unknown_exporter_name_fails_fast(stock: Installation, alice: Path) -> None:
    done = stock.run("jmp", "shell", "--client-config", str(alice), "-n", "nowhere", "--", "true")
    assert done.returncode != 0
    assert "cannot be satisfied" in done.stderr + done.stdout


def test_client_configured_by_environment_only(stock: Installation, lab: Lab, alice: Path) -> None:
    fields = dict(line.partition(": ")[::2] for line in alice.read_text().splitlines())
    ca = re.search(r"ca: (\S+),", alice.read_text())
    assert ca is not None
    environment = {
        "JMP_NAMESPACE": "default",
        "JMP_NAME": "alice",
        "JMP_ENDPOINT": lab.endpoint,
        "JMP_TOKEN": fields["token"],
        "JMP_TLS": json.dumps({"ca": ca[1], "insecure": False}),
        "JMP_DRIVERS_ALLOW": "UNSAFE",
    }
    done = stock.run("jmp", "get", "exporters", more=environment)
    assert "stock" in ok(done)


def test_tls_is_verified_with_the_ca_of_the_configuration(
    stock: Installation, alice: Path, tmp_path: Path
) -> None:
    without = tmp_path / "without.yaml"
    without.write_text(re.sub(r"ca: \S+,", 'ca: "",', alice.read_text()))
    assert cli(stock, without, "get", "exporters").returncode != 0
    insecure = tmp_path / "insecure.yaml"
    insecure.write_text(re.sub(r"ca: \S+, insecure: false", 'ca: "", insecure: true', alice.read_text()))
    assert "stock" in ok(cli(stock, insecure, "get", "exporters"))


def test_create_list_update_delete(stock: Installation, alice: Path) -> None:
    tags = ("--tag", "job=7") if stock.version != "0.8.1" else ()
    made = ok(
        cli(stock, alice, "create", "lease", "-l", "board=stock", "--duration", "1h", *tags, "-o", "name")
    ).strip()
    try:
        table = ok(cli(stock, alice, "get", "leases"))
        if stock.version != "0.8.1":
            assert "EXPIRES AT" in table
            assert "REMAINING" in table
            assert "59m" in table
        assert [lease["name"] for lease in listed(stock, alice, "get", "leases", "-l", "board=stock")] == [
            made
        ]
        assert listed(stock, alice, "get", "leases", "-l", "board=other") == []
        ok(cli(stock, alice, "update", "lease", made, "--duration", "2h"))
        (lease,) = listed(stock, alice, "get", "leases")
        begun = datetime.fromisoformat(lease["effective_begin_time"])
        assert lease["exporter"] == "stock"
        assert datetime.now(begun.tzinfo) - begun < timedelta(minutes=2)
    finally:
        ok(cli(stock, alice, "delete", "leases", made))
    assert listed(stock, alice, "get", "leases") == []
    assert made in ok(cli(stock, alice, "get", "leases", "--all"))


def test_transfer(stock: Installation, alice: Path, bob: Path) -> None:
    ok(cli(stock, alice, "create", "lease", "-n", "stock", "--duration", "10m", "--lease-id", "moving"))
    ok(cli(stock, alice, "update", "lease", "moving", "--to-client", "bob"))
    try:
        refused = cli(stock, alice, "update", "lease", "moving", "--duration", "1h")
        assert refused.returncode != 0
        assert "permission denied" in refused.stderr
        done = stock.run(
            "jmp", "shell", "--client-config", str(bob), "--lease", "moving", "--", "j", "power", "on"
        )
        ok(done)
    finally:
        ok(cli(stock, bob, "delete", "leases", "moving"))


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (("create", "lease", "-l", "a=b=c", "--duration", "1h"), "is not a requirement"),
        (
            ("create", "lease", "-l", "a=b", "--duration", "1h", "--lease-id", "Not_Valid"),
            "lease name 'Not_Valid'",
        ),
        (("update", "lease", "nothing", "--duration", "1h"), "lease 'nothing' not found"),
        (("delete", "leases", "nothing"), "lease 'nothing' not found"),
    ],
)
def test_refusals_are_shown(stock: Installation, alice: Path, command: tuple[str, ...], text: str) -> None:
    done = cli(stock, alice, *command)
    assert done.returncode != 0
    assert text in " ".join(done.stderr.split())


@pytest.mark.parametrize("stock", ["0.9.0"], indirect=True, scope="session")  # 0.8.1 has no `jmp auth rotate`
def test_token_status_and_rotation(stock: Installation, lab: Lab) -> None:
    # Stock `jmp auth rotate` writes the new token to the file of the alias.
    config = stock.home / "config" / "jumpstarter" / "clients" / "carol.yaml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(lab.client_config("carol").read_text())
    assert "Status: Valid" in ok(stock.run("jmp", "auth", "status", "--client", "carol"))
    tokens = {config.read_text()}
    for _ in range(2):
        ok(stock.run("jmp", "auth", "rotate", "--client", "carol"))
        tokens.add(config.read_text())
    assert len(tokens) == 3
    assert "stock" in ok(stock.run("jmp", "get", "exporters", "--client", "carol"))
