"""A client that leases in its own process waits when the way to its exporter breaks, and goes on: each call runs once."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from .test_data_plane import alive, routers, start_board
from .world import Process, World, wait_for

#: What a lab without a joint has: clients dial.
DIALLED = {"router": {"joint": {"listen": ""}}}

PROGRAM = """
import sys, time
from pathlib import Path
from jumpstarter.config.client import ClientConfigV1Alpha1

end = Path(sys.argv[1])
calls = 0
with ClientConfigV1Alpha1.load("anna").lease(**eval(sys.argv[2])) as lease, lease.connect() as client:
    while not end.exists():
        client.power.on()
        calls += 1
        print("CALLED", flush=True)
        time.sleep(float(sys.argv[3]))
print("DONE", calls, flush=True)
"""


def calling(
    world: World, end: Path, lease: str = "dict(selector='kind=board')", pause: float = 0.05
) -> Process:
    """A program that leases the board and calls it until the file *end* is there."""
    script = world.home / "program.py"
    script.write_text(PROGRAM)
    return world.start(sys.executable, str(script), str(end), lease, str(pause))


def goes_on(program: Process, calls: int = 3) -> None:
    program.until("CALLED", times=program.text().count("CALLED") + calls)


def kill_router(world: World) -> None:
    (pid,) = wait_for(lambda: [each for each in routers(world) if alive(each)], "a router")
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: [each for each in routers(world) if each != pid and alive(each)], "one more")


def ends_well(program: Process, exporter: Process, end: Path) -> None:
    """It has called as often as the driver was."""
    end.touch()
    assert program.wait() == 0, program.text()
    calls = int(program.text().rpartition("DONE")[2])
    assert exporter.text().count("power on") == calls


@pytest.mark.parametrize("route", ["passage", "dialled"])
def test_each_call_runs_once_however_often_the_router_is_killed(
    own_world: World, tmp_path: Path, route: str
) -> None:
    world, end = own_world, tmp_path / "end"
    if route == "dialled":
        world.processes[0].end()
        world.start_controller(DIALLED)
    exporter = start_board(world)
    program = calling(world, end)
    goes_on(program)
    for _ in range(3):
        kill_router(world)
        goes_on(program)
    assert "Waiting for exporter board: " in program.text()
    assert "Exporter board answers again" in program.text()
    ends_well(program, exporter, end)


def test_each_call_runs_once_while_controller_and_router_are_killed_and_started_again(
    own_world: World, tmp_path: Path
) -> None:
    world, end = own_world, tmp_path / "end"
    exporter = start_board(world)
    program = calling(world, end)
    goes_on(program)
    (pid,) = routers(world)
    world.processes[0].end(signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    program.until("Waiting for exporter board: ")
    world.start_controller()
    goes_on(program)
    ends_well(program, exporter, end)


def test_calls_wait_for_an_exporter_that_was_killed(own_world: World, tmp_path: Path) -> None:
    world, end = own_world, tmp_path / "end"
    board = start_board(world)
    # The pause is long: nothing is under way when the exporter is killed.
    program = calling(world, end, pause=1.0)
    goes_on(program)
    board.end(signal.SIGKILL)
    program.until("Waiting for exporter board: ")
    world.run_exporter_again("board")
    goes_on(program)
    assert "the exporter was started anew: its drivers are fresh" in program.text()
    end.touch()
    assert program.wait() == 0, program.text()


def test_calls_fail_when_the_lease_is_over(own_world: World, tmp_path: Path) -> None:
    world = own_world
    start_board(world)
    lease = world.ok("create", "lease", "-l", "kind=board", "--wait", "30", "-o", "name").strip()
    program = calling(world, tmp_path / "end", f"dict(lease_name={lease!r})")
    goes_on(program)
    world.ok("delete", "lease", lease)
    assert program.wait() == 1
    assert f"lease {lease}" in program.text().splitlines()[-1]


SUITE = """
*** Settings ***
Library    OperatingSystem
Library    JumpstarterLibrary

*** Test Cases ***
Calls Go On
    Connect To Exporter    selector=kind=board
    Power On
    Create File    {begun}
    WHILE    not __import__('os').path.exists('{end}')    limit=NONE
        Power On
    END
    Disconnect From Exporter
"""

PYTEST = """
from pathlib import Path
from jumpstarter_testing import JumpstarterTest

class TestBoard(JumpstarterTest):
    selector = "kind=board"

    def test_calls_go_on(self, client):
        client.power.on()
        Path("{begun}").touch()
        while not Path("{end}").exists():
            client.power.on()
"""


@pytest.mark.parametrize("kind", ["robot", "pytest"])
def test_suites_go_on_when_the_router_is_killed(own_world: World, tmp_path: Path, kind: str) -> None:
    world, end, begun = own_world, tmp_path / "end", tmp_path / "begun"
    start_board(world)
    suite = tmp_path / ("suite.robot" if kind == "robot" else "test_suite.py")
    suite.write_text((SUITE if kind == "robot" else PYTEST).format(end=end, begun=begun))
    command = (
        ("robot", "--outputdir", str(tmp_path))
        if kind == "robot"
        else ("pytest", "-q", "-p", "no:cacheprovider")
    )
    program = world.start(*command, str(suite))
    wait_for(begun.exists, "the suite has begun")
    kill_router(world)
    program.until("Exporter board answers again")
    end.touch()
    assert program.wait() == 0, program.text()
    if kind == "robot":
        assert "were waited for it" in (tmp_path / "output.xml").read_text()


def test_wait_ends_with_the_retry_timeout(own_world: World, tmp_path: Path) -> None:
    world = own_world
    board = start_board(world)
    config = world.home / "config" / "jumpstarter" / "clients" / "anna.yaml"
    config.write_text(config.read_text() + "leases: {retry_timeout: 4}\n")
    program = calling(world, tmp_path / "end", pause=0.5)
    goes_on(program)
    board.end(signal.SIGKILL)
    begun = time.monotonic()
    assert program.wait() == 1
    assert time.monotonic() - begun > 3
    assert "exporter board did not come back within 4s" in program.text()
