"""Why a lease has ended is told in the same words everywhere: by the shell, by commands in it, by exceptions, and in JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from .world import Process, World, wait_for

SCRIPT = """
import time
from jumpstarter.common.exceptions import ConnectionError
from jumpstarter.config.client import ClientConfigV1Alpha1
from jumpstarter.connection.lease import LeaseRequest, client_of, lease
from jumpstarter.config.client import resolve_client_config
from datetime import timedelta

request = LeaseRequest(exporter_name="board", duration=timedelta(minutes=10), extend=False)
with lease(resolve_client_config(), request) as leased, client_of(leased) as client:
    client.power.on()
    print("on", leased.name, flush=True)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            client.power.on()
        except ConnectionError as error:
            print("ERROR", error, flush=True)
            break
        time.sleep(0.1)
"""


@pytest.fixture(scope="module")
def board(world: World) -> Iterator[Process]:
    world.add_exporter("board", "kind=any")
    process = world.run_exporter("board")
    yield process
    process.end()


def delete(world: World, name: str) -> None:
    world.ok("delete", "lease", name)


def end_as_administrator(world: World, name: str) -> None:
    world.ok("admin", "delete", "lease", name)


def let_its_time_run_out(world: World, name: str) -> None:
    world.ok("update", "lease", name, "--duration", "1s")


SUITE = """
*** Settings ***
Library    JumpstarterLibrary

*** Test Cases ***
Board Is Used
    Connect To Exporter    lease=%{LEASE}
    Log To Console    connected
    WHILE    True    limit=60 s
        Power On
        Sleep    0.1 s
    END
"""


def give_to_another_client(world: World, name: str) -> None:
    if not (world.home / "config" / "jumpstarter" / "clients" / "bert.yaml").exists():
        world.add_client("bert")
    world.ok("update", "lease", name, "--to-client", "bert")


def replace_the_token(world: World, name: str) -> None:
    world.ok("admin", "rotate", "client", "anna", "--save")


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (end_as_administrator, "lease {name} has ended: ended by administrator admin"),
        (give_to_another_client, "lease {name} was transferred to bert"),
        (replace_the_token, "the controller refuses this client: the token is revoked"),
    ],
)
def test_reason_is_the_same_in_a_shell_and_in_a_failing_keyword(
    world: World, board: Process, end: Callable[[World, str], None], reason: str
) -> None:
    name = world.ok("create", "lease", "-n", "board", "--wait", "30", "-o", "name").strip()
    (world.home / "reason.robot").write_text(SUITE)
    robot = world.start(
        "robot", "--output", "NONE", "--log", "NONE", "--report", "NONE", str(world.home / "reason.robot"),
        env={"LEASE": name},
    )  # fmt: skip
    inside = world.start(
        "jmp", "shell", "--lease", name, "--grace", "60s", "--", "sh", "-c",
        "trap '' HUP TERM; echo on; while j power on > /dev/null 2> $HOME/said; do sleep 0.1; done; cat $HOME/said",
    )  # fmt: skip
    robot.until("connected")
    inside.until("on\n")
    end(world, name)
    assert robot.wait() == 1
    inside.wait()
    told = reason.format(name=name)
    keyword = next(line for line in robot.text().splitlines() if "ConnectionError: " in line)
    command = next(line for line in inside.text().splitlines() if line.startswith("Error: "))
    for line in (keyword, command):
        assert told in line.replace("Lease", "lease"), (robot.text(), inside.text())
    world.jmp("admin", "delete", "lease", name)
    world.nothing_is_leased()
    world.is_available("board")


def test_exporter_that_has_gone_is_told_by_its_name_and_the_lease_goes_on(world: World) -> None:
    world.add_exporter("leaves", "kind=leaves")
    process = world.run_exporter("leaves")
    lease = world.ok("create", "lease", "-n", "leaves", "--wait", "30", "-o", "name").strip()
    inside = world.start(
        "jmp", "shell", "--lease", lease, "--retry-timeout", "0", "--", "sh", "-c",
        "echo on; while j power on > /dev/null 2> $HOME/gone; do sleep 0.1; done; cat $HOME/gone",
    )  # fmt: skip
    inside.until("on\n")
    process.end()
    inside.wait()
    told = next(line for line in inside.text().splitlines() if "cannot be reached" in line)
    assert "exporter leaves is offline (" in told and "HTTP proxy" not in told
    assert f"lease {lease} goes on" in told
    assert [each["name"] for each in world.leases()] == [lease]
    world.ok("delete", "lease", lease)


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (delete, "has ended: released by its owner"),
        (end_as_administrator, "has ended: ended by administrator admin"),
        (let_its_time_run_out, "has ended: its time ran out"),
    ],
)
def test_reason_is_the_same_for_all(
    world: World, board: Process, end: Callable[[World, str], None], reason: str
) -> None:
    program = world.start("python", "-c", SCRIPT)
    program.until("on ")
    name = world.leases()[0]["name"]
    inside = world.start(
        "jmp", "shell", "--lease", name, "--", "sh", "-c",
        "trap '' HUP TERM; while j power on 2> $HOME/said; do sleep 0.1; done; cat $HOME/said",
    )  # fmt: skip
    inside.until("ok\n")
    end(world, name)
    program.until("ERROR")
    assert f"ERROR the exporter cannot be reached or went away: lease {name} {reason}" in program.text()
    wait_for(lambda: f"Lease {name} {reason}" in inside.text(), f"the shell says so: {inside.text()}")
    inside.wait()
    leases = json.loads(world.ok("get", "leases", "--all", "-o", "json"))["leases"]
    messages = [c["message"] for lease in leases if lease["name"] == name for c in lease["conditions"]]
    assert reason.removeprefix("has ended: ") in messages
    program.wait()
    world.nothing_is_leased()
    world.is_available("board")


def test_command_in_a_shell_says_why_its_lease_has_ended(world: World, board: Process) -> None:
    inside = world.start(
        "jmp", "shell", "-n", "board", "--", "sh", "-c",
        "trap '' HUP TERM; echo on; until ! j power on 2> $HOME/said; do sleep 0.1; done; cat $HOME/said",
    )  # fmt: skip
    inside.until("on\n")
    name = world.leases()[0]["name"]
    end_as_administrator(world, name)
    said = inside.until("Error: ")
    error = next(line for line in said.splitlines() if line.startswith("Error: "))
    assert f"ease {name} has ended: ended by administrator admin" in error
    inside.wait()
