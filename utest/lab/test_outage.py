"""A controller that goes away ends nothing."""

from __future__ import annotations

import signal
import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from .world import PATIENCE, Process, World, wait_for


def start_board(world: World, **config: Any) -> Process:
    world.add_exporter("board", "kind=board", **config)
    return world.run_exporter("board")


def await_attempts(address: str, count: int) -> None:
    """Wait until somebody has connected *count* times to a server of which nothing is heard."""
    host, _, port = address.rpartition(":")
    with socket.create_server((host, int(port))) as server:
        server.settimeout(PATIENCE)
        for _ in range(count):
            server.accept()[0].close()


def test_shell_goes_on_after_the_controller_was_killed_and_started_again(
    own_world: World, tmp_path: Path
) -> None:
    world = own_world
    board = start_board(world, hooks={"afterLease": {"script": "echo AFTER-HOOK"}})
    back = tmp_path / "back"
    script = (
        f"j power on; echo started; while [ ! -e {back} ]; do sleep 0.1; done; j power off || j power off"
    )
    shell = world.start("jmp", "shell", "-l", "kind=board", "--", "sh", "-c", script)
    shell.until("started")
    lease = world.leases()[0]["name"]
    world.processes[0].end(signal.SIGKILL)
    shell.until("The controller does not answer")
    world.start_controller()
    wait_for(
        lambda: world.exporter("board")["status"]["exporterStatus"] == "LeaseReady", "the exporter is back"
    )
    assert [each["name"] for each in world.leases()] == [lease]
    back.touch()
    assert shell.wait() == 0, shell.text()
    assert "AFTER-HOOK" in shell.text()
    assert "Stream removed" not in shell.text()
    assert board.text().count("begins") == 1  # the session went on, too
    world.nothing_is_leased()


def test_exporter_is_back_without_a_registration_and_registers_where_it_is_not_known(
    own_world: World,
) -> None:
    world = own_world
    board = start_board(world)
    world.nothing_is_leased()
    world.processes[0].end(signal.SIGKILL)
    board.until("the line to the controller broke")
    await_attempts(world.endpoint, 3)
    world.start_controller()
    board.until("the line to the controller is there again")
    assert board.text().count("the line to the controller broke") == 1
    assert board.text().count("registered as board") == 1
    held = world.ok("create", "lease", "-l", "kind=board", "--wait", "30", "-o", "name").strip()
    world.ok("delete", "lease", held)
    world.nothing_is_leased()
    world.processes[-1].end()
    # The controller is put back to a state from before the exporter registered.
    (path,) = world.home.rglob("lab.sqlite3")
    with closing(sqlite3.connect(path)) as store, store:
        store.execute("UPDATE exporters SET body = json_set(body, '$.session', 0)")
    world.start_controller()
    board.until("registered as board", times=2)
    world.is_available("board")


def test_waiter_keeps_its_place_through_an_outage(own_world: World) -> None:
    world = own_world
    start_board(world)
    held = world.ok("create", "lease", "-l", "kind=board", "--wait", "30", "-o", "name").strip()
    shell = world.start("jmp", "shell", "-l", "kind=board", "--", "j", "power", "on")
    shell.until("position 1")
    world.processes[0].end(signal.SIGKILL)
    shell.until("Waiting for the controller")
    world.start_controller()
    world.ok("delete", "lease", held)
    assert shell.wait() == 0, shell.text()
    world.nothing_is_leased()


def test_release_while_the_controller_is_away_is_told(own_world: World) -> None:
    world = own_world
    start_board(world)
    shell = world.start("jmp", "shell", "-l", "kind=board", "--", "sh", "-c", "echo started; exec sleep 600")
    shell.until("started")
    world.processes[0].end(signal.SIGKILL)
    assert shell.end(signal.SIGTERM) == 143
    assert "could not be released" in shell.text()


def test_command_without_controller_says_so_in_one_line(own_world: World) -> None:
    world = own_world
    world.processes[0].end(signal.SIGKILL)
    for command in (
        ("get", "exporters"),
        ("create", "lease", "-l", "a=b"),
        ("shell", "-l", "a=b", "--", "true"),
    ):
        done = world.jmp(*command)
        assert done.code == 1
        assert len(done.err.splitlines()) == 1, done.err
        assert "the controller cannot be reached" in done.err
        assert "nothing listens there" in done.err


def test_exporter_started_before_its_controller_waits_for_it(own_world: World) -> None:
    world = own_world
    world.add_exporter("board", "kind=board")
    world.processes[0].end()
    exporter = world.start("jmp", "run", "--exporter", "board")
    exporter.until("the controller is not there")
    world.start_controller()
    exporter.until("registered as board")
    assert world.ok("shell", "-l", "kind=board", "--", "j", "power", "on") == "ok\n"
