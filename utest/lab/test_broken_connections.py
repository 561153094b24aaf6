"""Commands in a shell wait when the way to the shell's exporter breaks, and go on."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from .blackhole import Network
from .test_data_plane import alive, routers, start_board
from .test_router_process import free_port
from .world import Process, World, wait_for


def calling(world: World, end: Path) -> Process:
    """A shell that calls the board until the file *end* is there, and fails with the first call that does."""
    script = f"while [ ! -e {end} ]; do j power on || exit 9; echo CALLED; done; echo DONE"
    return world.start("jmp", "shell", "-l", "kind=board", "--", "sh", "-c", script)


def the_router(world: World) -> int:
    """The process of the router, 0 while there is none."""
    return next((each for each in routers(world) if alive(each)), 0)


def goes_on(shell: Process, calls: int = 3) -> None:
    """Wait for some more calls of a shell that calls in a loop."""
    shell.until("CALLED", times=shell.text().count("CALLED") + calls)


def ends_well(shell: Process, end: Path) -> None:
    end.touch()
    assert shell.wait() == 0, shell.text()
    assert "DONE" in shell.text()


def test_no_call_fails_while_the_router_is_killed_and_started_again(own_world: World, tmp_path: Path) -> None:
    world, end = own_world, tmp_path / "end"
    start_board(world)
    shell = calling(world, end)
    goes_on(shell)
    for _ in range(2):
        killed = the_router(world)
        os.kill(killed, signal.SIGKILL)
        wait_for(lambda killed=killed: the_router(world) not in (0, killed), "there is another router")  # type: ignore[misc]
        # A call that comes when it is there already waits for nothing, and says nothing.
        goes_on(shell)
    ends_well(shell, end)


def test_no_call_fails_while_controller_and_router_are_killed_and_started_again(
    own_world: World, tmp_path: Path
) -> None:
    world, end = own_world, tmp_path / "end"
    start_board(world)
    shell = calling(world, end)
    goes_on(shell)
    (pid,) = routers(world)
    world.processes[0].end(signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    shell.until("Waiting for exporter board: ")
    world.start_controller()
    goes_on(shell)
    ends_well(shell, end)


def test_commands_wait_for_an_exporter_that_was_killed_and_are_told_of_fresh_drivers(
    own_world: World, tmp_path: Path
) -> None:
    world, end, hold = own_world, tmp_path / "end", tmp_path / "hold"
    board = start_board(world)
    # The command comes while the exporter is away.
    script = f"j power on; echo started; until [ -e {hold} ]; do sleep 0.1; done; j power on && touch {end}"
    shell = world.start("jmp", "shell", "-l", "kind=board", "--", "sh", "-c", script)
    shell.until("started")
    board.end(signal.SIGKILL)
    hold.touch()
    shell.until("Waiting for exporter board: ")
    world.run_exporter_again("board")
    assert shell.wait() == 0, shell.text()
    assert end.exists()
    assert shell.text().count("Exporter board was started anew: its drivers are fresh") == 1


def test_wait_for_an_exporter_ends_with_the_retry_timeout(own_world: World, tmp_path: Path) -> None:
    world, hold = own_world, tmp_path / "hold"
    board = start_board(world)
    script = f"j power on; echo started; until [ -e {hold} ]; do sleep 0.1; done; j power on; echo code $?"
    shell = world.start("jmp", "shell", "-l", "kind=board", "--retry-timeout", "4s", "--", "sh", "-c", script)
    shell.until("started")
    board.end(signal.SIGKILL)
    hold.touch()
    begun = time.monotonic()
    shell.until("code 1")
    assert time.monotonic() - begun > 3
    assert "exporter board did not come back within 4s" in shell.text()


def test_commands_fail_at_once_when_the_lease_is_over(own_world: World, tmp_path: Path) -> None:
    world = own_world
    start_board(world)
    lease = world.ok("create", "lease", "-l", "kind=board", "--wait", "30", "-o", "name").strip()
    script = "trap '' TERM; while j power on; do echo went; done; echo CUT"
    shell = world.start("jmp", "shell", "--lease", lease, "--", "sh", "-c", script)
    shell.until("went")
    world.ok("delete", "lease", lease)
    shell.until("CUT")
    assert "Waiting for exporter" not in shell.text()


CLIENT = """
import time
from jumpstarter.utils.env import env
with env() as client:
    begun = time.monotonic()
    client.power.on()
    print("started", flush=True)
    while time.monotonic() - begun < {seconds}:
        client.power.off()
    print("went on", flush=True)
"""


def test_client_that_calls_without_a_pause_never_fails_while_the_router_is_killed(
    own_world: World, tmp_path: Path
) -> None:
    world = own_world
    start_board(world)
    script = tmp_path / "client.py"
    script.write_text(CLIENT.format(seconds=8))
    shell = world.start("jmp", "shell", "-l", "kind=board", "--", sys.executable, str(script))
    shell.until("started")
    (pid,) = routers(world)
    os.kill(pid, signal.SIGKILL)
    shell.until("answers again")
    assert shell.wait() == 0, shell.text()
    assert "went on" in shell.text()


@pytest.mark.parametrize("times", [5])
def test_driver_hears_each_call_once_however_often_the_router_is_killed(
    own_world: World, tmp_path: Path, times: int
) -> None:
    world, end = own_world, tmp_path / "end"
    exporter = start_board(world)
    shell = calling(world, end)
    goes_on(shell)
    for _ in range(times):
        (pid,) = wait_for(lambda: [each for each in routers(world) if alive(each)], "a router")
        os.kill(pid, signal.SIGKILL)
        wait_for(
            lambda before=pid: [each for each in routers(world) if each != before and alive(each)], "one more"
        )
        goes_on(shell)
    ends_well(shell, end)
    assert exporter.text().count("power on") == shell.text().count("CALLED")


def test_router_as_a_service_that_was_killed_is_waited_for_and_taken_over(
    own_world: World, tmp_path: Path
) -> None:
    world, end = own_world, tmp_path / "end"
    world.processes[0].end()
    config, address = str(world.home / "controller.yaml"), world.router
    command = ("jmp", "router", "run", "--own", "--config", config, "--listen", address)
    router = world.start(*command)
    router.until("The router listens")
    controller = world.start_controller()
    start_board(world)
    shell = calling(world, end)
    goes_on(shell)
    router.end(signal.SIGKILL)
    controller.until("waiting for it")
    again = world.start(*command)
    again.until("The router listens")
    controller.until("the router that runs as a service is back")
    goes_on(shell)
    ends_well(shell, end)
    assert [each for each in routers(world) if alive(each)] == [again.popen.pid]


def test_no_call_fails_while_the_network_drops_everything(own_world: World, tmp_path: Path) -> None:
    world, end = own_world, tmp_path / "end"
    world.processes[0].end()
    listen = f"127.0.0.1:{free_port()}"
    with Network(listen) as network:
        # Client and exporter meet at the router through the network.
        router = {"listen": listen, "endpoint": network.address, "joint": {"listen": ""}}
        world.start_controller({"router": router}, router_listen=None)
        start_board(world)
        shell = calling(world, end)
        goes_on(shell)
        network.swallow()
        shell.until("Waiting for exporter board: ")
        network.mend()
        goes_on(shell)
        ends_well(shell, end)
