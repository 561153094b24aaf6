"""A client that is cut off from the lab is told within seconds, and goes on by itself when the network is back."""

from __future__ import annotations

import signal
import time

from .world import World

#: Seconds within which a client is told.
TOLD = 15.0


def test_client_of_a_controller_that_fell_silent_is_told_and_goes_on(own_world: World) -> None:
    """A stopped process takes connections and answers nothing, as a network does that drops packets."""
    world = own_world
    world.add_exporter("board", "kind=any")
    world.run_exporter("board")
    shell = world.start("jmp", "shell", "-n", "board", "--", "sh", "-c", "echo started; exec sleep 600")
    shell.until("started")
    controller = world.processes[0].popen
    controller.send_signal(signal.SIGSTOP)
    before = time.monotonic()
    try:
        shell.until("The controller does not answer; the lease goes on")
        assert time.monotonic() - before < TOLD
    finally:
        controller.send_signal(signal.SIGCONT)
    assert [lease["exporter"] for lease in world.leases()] == ["board"]
    assert shell.end() == 143
    world.nothing_is_leased()


def test_waiter_whose_controller_fell_silent_is_told_and_served_afterwards(own_world: World) -> None:
    world = own_world
    world.add_exporter("board", "kind=any")
    world.run_exporter("board")
    held = world.ok("create", "lease", "-n", "board", "--wait", "30", "-o", "name").strip()
    shell = world.start("jmp", "shell", "-l", "kind=any", "--", "j", "power", "on")
    shell.until("Waiting for an exporter")
    controller = world.processes[0].popen
    controller.send_signal(signal.SIGSTOP)
    before = time.monotonic()
    try:
        shell.until("Waiting for the controller")
        assert time.monotonic() - before < TOLD
    finally:
        controller.send_signal(signal.SIGCONT)
    world.ok("delete", "lease", held)
    assert shell.wait() == 0, shell.text()


def test_board_that_dies_before_it_could_be_used_is_replaced_by_another(own_world: World) -> None:
    world = own_world
    for board in ("one", "two"):
        world.add_exporter(board, "kind=pair")
    first = world.run_exporter("one")
    # It is stopped: the controller does not know that yet, and grants it.
    first.popen.send_signal(signal.SIGSTOP)
    shell = world.start(
        "jmp", "shell", "-l", "kind=pair", "--", "sh", "-c", "j power on; echo on $JMP_EXPORTER"
    )
    second = world.run_exporter("two")
    try:
        assert shell.wait() == 0, shell.text()
        assert "on two" in shell.text()
        assert "Exporter one went away before it could be used" in shell.text()
    finally:
        first.popen.send_signal(signal.SIGCONT)
    world.nothing_is_leased()
    second.end()
