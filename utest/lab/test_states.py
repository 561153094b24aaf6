"""One word for one state of a board or a lease, wherever people are told of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from .world import World, wait_for

SUITE = """
*** Settings ***
Library    JumpstarterLibrary

*** Test Cases ***
Show
    ${lease} =    Get Lease    %{LEASE}
    Log To Console    <${lease.status}|${lease.reason}>
"""


@pytest.fixture
def gate(world: World) -> Path:
    """While this file is not there, hooks wait."""
    return world.home / "gate"


@pytest.fixture
def board(world: World, gate: Path) -> Iterator[str]:
    wait = {"script": f"while [ ! -e {gate} ]; do sleep 0.1; done", "timeout": 60}
    world.add_exporter("board", "kind=board", hooks={"beforeLease": wait, "afterLease": wait})
    process = world.run_exporter("board")
    yield "board"
    process.end()


def cell(table: str, row: str, column: str) -> str:
    """What a table has in *column* of the line that begins with *row*."""
    heading, *lines = table.splitlines()
    line = next(line for line in lines if line.split()[0] == row)
    begin = heading.index(column)
    return line[begin : begin + re.match(rf"{column} *", heading[begin:]).end()].strip()  # type: ignore[union-attr]


def board_states(world: World, name: str) -> set[str]:
    listed = json.loads(world.ok("get", "exporters", name, "-o", "json"))["exporters"][0]["state"]
    return {
        listed,
        cell(world.ok("get", "exporters", name), name, "STATUS"),
        cell(world.ok("get", "exporters", name, "--with", "online,status"), name, "STATUS"),
        cell(world.ok("get", "exporters", name, "--with", "leases,status"), name, "STATUS"),
        cell(world.ok("admin", "get", "exporter", name), name, "STATUS"),
    }


def lease_states(world: World, name: str) -> set[str]:
    (listed,) = json.loads(world.ok("get", "leases", name, "-o", "json"))["leases"]
    of_admin = json.loads(world.ok("admin", "get", "lease", name, "-o", "json"))
    suite = world.home / "states.robot"
    suite.write_text(SUITE)
    robot = world.start(
        "robot", "--output", "NONE", "--log", "NONE", "--report", "NONE", str(suite), env={"LEASE": name}
    )
    assert robot.wait() == 0, robot.text()
    told = re.search(r"<(.*)[|](.*)>", robot.text())
    assert told is not None
    assert listed["reason"] == of_admin["reason"] == (told[2] or None)
    return {
        listed["status"],
        of_admin["status"],
        told[1],
        cell(world.ok("get", "leases", name), name, "STATUS").partition(" (")[0],
        cell(world.ok("get", "leases", name, "-o", "wide"), name, "STATUS").partition(" (")[0],
        cell(world.ok("admin", "get", "lease", name), name, "STATUS"),
    }


def test_board_has_one_word_at_a_time(world: World, board: str, gate: Path) -> None:
    def becomes(state: str) -> None:
        wait_for(lambda: board_states(world, board) == {state}, f"{state}: {board_states(world, board)}")

    becomes("Available")
    lease = world.ok("create", "lease", "-n", board, "--wait", "30", "-o", "name").strip()
    becomes("Preparing")
    gate.touch()
    becomes("In-Use")
    gate.unlink()
    shell = world.start("jmp", "shell", "--lease", lease, "--", "true")
    assert shell.wait() == 0
    world.ok("delete", "lease", lease)
    becomes("Cleaning")
    gate.touch()
    becomes("Available")
    world.ok("admin", "disable", "exporter", board)
    becomes("Disabled")
    world.ok("admin", "enable", "exporter", board)


def test_disabled_board_that_is_leased_or_off_is_told_with_both_words(world: World) -> None:
    world.add_exporter("shelved", "kind=shelved")
    world.ok("admin", "disable", "exporter", "shelved")
    for shown in (world.ok("get", "exporters", "shelved"), world.ok("admin", "get", "exporter", "shelved")):
        assert cell(shown, "shelved", "STATUS") == "Offline (disabled)"


def test_boards_that_are_not_shown_are_counted(world: World) -> None:
    world.add_exporter("hidden", "kind=hidden")
    world.ok("admin", "disable", "exporter", "hidden")
    done = world.jmp("get", "exporters", "-l", "kind=hidden")
    assert (done.out, done.err) == (
        "No resources found.\n",
        "1 disabled exporter is not shown: see --allow-disabled\n",
    )
    assert world.jmp("get", "exporters", "-l", "kind=hidden", "-o", "json").err == ""


def test_lease_has_one_word_at_a_time(world: World) -> None:
    world.add_exporter("words", "kind=words")
    name = world.ok("create", "lease", "-n", "words", "--duration", "1h", "-o", "name").strip()
    assert lease_states(world, name) == {"Waiting"}
    process = world.start("jmp", "run", "--exporter", "words")
    wait_for(lambda: world.leases()[0]["status"] == "In-Use", "it is in use")
    assert lease_states(world, name) == {"In-Use"}
    later = world.ok(
        "create", "lease", "-n", "words", "--begin-time", "2099-01-01T00:00", "-o", "name"
    ).strip()
    assert lease_states(world, later) == {"Scheduled"}
    for each in (name, later):
        world.ok("delete", "lease", each)
        assert lease_states(world, each) == {"Ended"}
    (ended,) = json.loads(world.ok("get", "leases", name, "-o", "json"))["leases"]
    assert ended["reason"] == "has ended: released by its owner"
    assert cell(world.ok("get", "leases", name), name, "STATUS") == "Ended (Released)"
    process.end()
