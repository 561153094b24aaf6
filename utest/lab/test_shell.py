"""`jmp shell` in a lab: exit codes, what commands share, and that the board is given back however the shell ends."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from .world import Process, World, wait_for


@pytest.fixture(scope="module")
def board(world: World) -> Iterator[Process]:
    world.add_exporter("board", "kind=board,vendor=acme")
    process = world.run_exporter("board")
    yield process
    process.end()


SELECTOR = ("shell", "-l", "kind=board")


def test_command_drives_the_leased_board(world: World, board: Process) -> None:
    done = world.jmp(*SELECTOR, "--", "j", "power", "on")
    assert (done.code, done.out) == (0, "ok\n")
    assert done.err.startswith("Using board: lease ")
    assert "power on" in board.text()
    world.nothing_is_leased()


def test_exit_code_is_that_of_the_command(world: World, board: Process) -> None:
    assert world.jmp(*SELECTOR, "--", "sh", "-c", "exit 7").code == 7
    assert world.jmp(*SELECTOR, "--", "no-such-command").code == 127
    world.nothing_is_leased()


def test_environment_tells_of_exporter_and_lease(world: World, board: Process) -> None:
    out = world.ok(
        *SELECTOR, "--", "sh", "-c", "echo $JMP_EXPORTER; echo $JMP_EXPORTER_LABELS; echo $JMP_LEASE"
    )
    name, labels, lease = out.splitlines()
    assert (name, labels) == ("board", "kind=board,vendor=acme")
    assert lease in [each["name"] for each in world.leases("--all")]


def test_commands_of_a_shell_share_one_dialled_connection(world: World, board: Process) -> None:
    def dials() -> int:
        audit = json.loads(world.ok("admin", "get", "audit", "--limit", "1000", "-o", "json"))
        return sum(entry["action"] == "lease.dial" for entry in audit)

    before = dials()
    world.ok(*SELECTOR, "--", "sh", "-c", "j power on && j power off && j power on")
    assert dials() == before + 1


def test_exporter_can_be_leased_by_name(world: World, board: Process) -> None:
    assert world.ok("shell", "-n", "board", "--", "sh", "-c", "echo $JMP_EXPORTER") == "board\n"


def test_unknown_exporter_fails_at_once(world: World, board: Process) -> None:
    done = world.jmp("shell", "-n", "nope", "--", "true")
    assert done.code == 1
    assert "cannot be satisfied" in done.err
    assert len(done.err.splitlines()) == 1


def test_existing_lease_is_used_and_kept(world: World, board: Process) -> None:
    lease = world.ok("create", "lease", "-l", "kind=board", "--wait", "30", "-o", "name").strip()
    try:
        shown = world.ok("shell", "--lease", lease, "--", "sh", "-c", "echo $JMP_LEASE")
        assert shown.strip() == lease
        assert (
            world.ok("shell", "--", "sh", "-c", "echo $JMP_LEASE", env={"JMP_LEASE": lease}).strip() == lease
        )
        assert [each["name"] for each in world.leases()] == [lease]
    finally:
        world.ok("delete", "lease", lease)
    world.nothing_is_leased()


def test_existing_lease_of_someone_else_is_refused(world: World, board: Process) -> None:
    world.add_client("bob")
    lease = world.ok("create", "lease", "--client", "bob", "-l", "kind=board", "-o", "name").strip()
    try:
        done = world.jmp("shell", "--client", "anna", "--lease", lease, "--", "true")
        assert done.code == 1
        assert "belongs to bob" in done.err
    finally:
        world.ok("delete", "lease", "--client", "bob", lease)


def test_existing_lease_for_another_selector_is_left_alone(world: World, board: Process) -> None:
    lease = world.ok(
        "create", "lease", "-l", "vendor=acme", "--begin-time", "2040-01-01T00:00Z", "-o", "name"
    ).strip()
    try:
        done = world.jmp(*SELECTOR, "--", "sh", "-c", "echo $JMP_LEASE", env={"JMP_LEASE": lease})
        assert done.code == 0
        assert done.out.strip() != lease
        assert "asking for a new one" in done.err
    finally:
        world.ok("delete", "lease", lease)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_while_the_command_runs_releases_the_board(
    world: World, board: Process, number: signal.Signals, code: int
) -> None:
    shell = world.start("jmp", *SELECTOR, "--", "sh", "-c", "echo started; exec sleep 600")
    shell.until("started")
    assert shell.end(number) == code
    world.nothing_is_leased()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_while_waiting_takes_the_request_back(
    world: World, board: Process, number: signal.Signals, code: int
) -> None:
    lease = world.ok("create", "lease", "-l", "kind=board", "--wait", "30", "-o", "name").strip()
    try:
        shell = world.start("jmp", *SELECTOR, "--", "true")
        shell.until("Waiting for an exporter (kind=board); position 1")
        assert len(world.leases()) == 2
        assert shell.end(number) == code
        assert [each["name"] for each in world.leases()] == [lease]
    finally:
        world.ok("delete", "lease", lease)


def test_waiting_has_a_time_limit_and_leaves_nothing(world: World, board: Process) -> None:
    lease = world.ok("create", "lease", "-l", "kind=board", "--wait", "30", "-o", "name").strip()
    try:
        done = world.jmp(*SELECTOR, "--acquisition-timeout", "1", "--", "true")
        assert done.code == 1
        assert "no exporter within 1s" in done.err
        assert [each["name"] for each in world.leases()] == [lease]
    finally:
        world.ok("delete", "lease", lease)


def test_waiter_gets_the_board_when_it_is_released(world: World, board: Process) -> None:
    lease = world.ok("create", "lease", "-l", "kind=board", "--wait", "30", "-o", "name").strip()
    shell = world.start("jmp", *SELECTOR, "--", "j", "power", "on")
    shell.until("position 1")
    world.ok("delete", "lease", lease)
    assert shell.wait() == 0
    assert "ok" in shell.text()


def test_lease_is_extended_while_it_is_used(own_world: World, tmp_path: Path) -> None:
    world = own_world
    world.add_exporter("board", "kind=board")
    world.run_exporter("board")
    go_on = tmp_path / "go-on"
    lease = world.start(
        "python",
        "-c",
        "import sys, time, pathlib\n"
        "from datetime import timedelta\n"
        "from jumpstarter.config.client import resolve_client_config\n"
        "from jumpstarter.connection.lease import LeaseRequest, lease, client_of\n"
        "request = LeaseRequest(selector='kind=board', duration=timedelta(seconds=6))\n"
        "with lease(resolve_client_config(), request) as leased, client_of(leased) as client:\n"
        "    print('leased', flush=True)\n"
        f"    while not pathlib.Path({str(go_on)!r}).exists(): time.sleep(0.1)\n"
        "    client.power.on()\n"
        "    print('still on', flush=True)\n",
    )
    lease.until("leased")

    def twice_extended() -> bool:
        return bool(world.leases()[0]["duration"] > 12)

    wait_for(twice_extended, "the lease was extended")
    go_on.touch()
    assert lease.wait() == 0, lease.text()
    assert "still on" in lease.text()
    world.nothing_is_leased()


def test_given_duration_ends_the_shell(world: World, board: Process) -> None:
    shell = world.start("jmp", *SELECTOR, "--duration", "10s", "--", "sleep", "600")
    assert shell.wait() == 143
    assert "has ended" in shell.text()
    world.nothing_is_leased()


def test_administrator_ends_a_lease_in_use(world: World, board: Process) -> None:
    shell = world.start("jmp", *SELECTOR, "--", "sh", "-c", "echo started; exec sleep 600")
    shell.until("started")
    world.ok("admin", "delete", "lease", world.leases()[0]["name"])
    assert shell.wait() == 143
    assert "has ended" in shell.text()


def test_transferred_lease_ends_the_shell_and_goes_on(world: World, board: Process) -> None:
    world.add_client("carol")
    shell = world.start("jmp", *SELECTOR, "--", "sh", "-c", "echo started; exec sleep 600")
    shell.until("started")
    name = world.leases()[0]["name"]
    world.ok("update", "lease", name, "--to-client", "carol")
    assert shell.wait() == 143
    assert "was transferred to carol" in shell.text()
    assert [(each["name"], each["client"]) for each in world.leases()] == [(name, "carol")]
    world.ok("delete", "lease", "--client", "carol")
