"""Streams go on while the controller is away: the router is a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import time
from pathlib import Path

import pytest

from .world import Process, World, wait_for


def routers(world: World) -> list[int]:
    """The ids of the lab's router processes."""
    folder = world.home / "state" / "jumpstarter" / "controller" / "routers"
    return sorted(int(path.stem) for path in folder.glob("*.sock"))


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def start_board(world: World) -> Process:
    world.add_exporter("board", "kind=board")
    return world.run_exporter("board")


def calling(world: World, end: Path) -> Process:
    """A shell that calls the board until the file *end* is there, and fails with the first call that does."""
    script = f"while [ ! -e {end} ]; do j power on || exit 9; done; echo DONE"
    return world.start("jmp", "shell", "-l", "kind=board", "--", "sh", "-c", script)


def test_no_call_fails_while_the_controller_is_killed_and_started_again(
    own_world: World, tmp_path: Path
) -> None:
    world = own_world
    start_board(world)
    end = tmp_path / "end"
    shell = calling(world, end)
    shell.until("ok")
    before, controller = routers(world), world.processes[0]
    for _ in range(2):
        controller.end(signal.SIGKILL)
        count = shell.text().count("ok")
        shell.until("ok", times=count + 3)
        controller = world.start_controller()
        shell.until("ok", times=shell.text().count("ok") + 3)
    assert routers(world) == before
    end.touch()
    assert shell.wait() == 0, shell.text()
    assert "DONE" in shell.text()


def test_controller_that_is_told_to_end_ends_its_router(own_world: World) -> None:
    world = own_world
    (pid,) = routers(world)
    assert alive(pid)
    assert world.processes[0].end(signal.SIGINT) == 130
    assert not alive(pid)
    assert not routers(world)


def test_router_that_was_killed_is_started_again_at_the_same_address(own_world: World) -> None:
    world = own_world
    start_board(world)
    (pid,) = routers(world)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: [each for each in routers(world) if each != pid and alive(each)], "another router")
    assert world.ok("shell", "-l", "kind=board", "--", "j", "power", "on") == "ok\n"


def test_lease_that_ends_while_the_controller_is_away_is_cut_at_its_time(own_world: World) -> None:
    world = own_world
    start_board(world)
    lease = world.ok(
        "create", "lease", "-l", "kind=board", "--duration", "20s", "--wait", "30", "-o", "name"
    ).strip()
    script = "while j power on; do echo went; done; echo CUT"
    shell = world.start("jmp", "shell", "--lease", lease, "--retry-timeout", "0", "--", "sh", "-c", script)
    shell.until("went")
    world.processes[0].end(signal.SIGKILL)
    shell.until("CUT")
    world.start_controller()
    world.nothing_is_leased()


def test_lease_that_was_released_is_cut_by_the_router_that_a_controller_took_over(own_world: World) -> None:
    world = own_world
    start_board(world)
    lease = world.ok("create", "lease", "-l", "kind=board", "--wait", "30", "-o", "name").strip()
    # What is left of the shell when it is told to end shows that the call was cut.
    script = "trap '' TERM; while j power on; do echo went; done; echo CUT"
    shell = world.start("jmp", "shell", "--lease", lease, "--retry-timeout", "0", "--", "sh", "-c", script)
    shell.until("went")
    world.processes[0].end(signal.SIGKILL)
    world.start_controller()
    world.ok("delete", "lease", lease)
    shell.until("CUT")


def test_router_with_another_key_is_replaced_and_ends_with_its_last_stream(
    own_world: World, tmp_path: Path
) -> None:
    world = own_world
    start_board(world)
    end = tmp_path / "end"
    shell = calling(world, end)
    shell.until("ok")
    (before,) = routers(world)
    world.processes[0].end(signal.SIGKILL)
    (world.home / "state" / "jumpstarter" / "controller" / "keys" / "router.key").unlink()
    world.start_controller()
    assert len(routers(world)) == 2
    shell.until("ok", times=shell.text().count("ok") + 3)
    end.touch()
    assert shell.wait() == 0, shell.text()
    wait_for(lambda: not alive(before), "the router before has ended")
    assert world.ok("shell", "-l", "kind=board", "--", "j", "power", "on") == "ok\n"


def test_data_directory_may_have_a_long_name(tmp_path_factory: pytest.TempPathFactory) -> None:
    world = World(tmp_path_factory.mktemp("lab") / ("long" * 20))
    world.home.mkdir()
    try:
        world.start_controller()
        world.processes[0].end(signal.SIGKILL)
        world.start_controller()
        assert len(routers(world)) == 1
    finally:
        world.close()


def test_router_as_a_service_outlives_a_controller_that_is_restarted_in_order(
    own_world: World, tmp_path: Path
) -> None:
    world = own_world
    world.processes[0].end()
    config = str(world.home / "controller.yaml")
    address = world.router
    router = world.start("jmp", "router", "run", "--own", "--config", config, "--listen", address)
    router.until("The router listens")
    controller = world.start_controller()
    assert routers(world) == [router.popen.pid]
    start_board(world)
    end = tmp_path / "end"
    shell = calling(world, end)
    shell.until("ok")
    controller.end()
    shell.until("ok", times=shell.text().count("ok") + 3)
    world.start_controller()
    end.touch()
    assert shell.wait() == 0, shell.text()
    assert router.end() == 143


@pytest.mark.parametrize("port", ["controller", "router", "joint"])
def test_connections_that_say_nothing_are_closed_within_seconds(own_world: World, port: str) -> None:
    host, _, number = (own_world.endpoint if port == "controller" else own_world.router).rpartition(":")
    begun = time.monotonic()
    with socket.create_connection((host, int(number) + (4 if port == "joint" else 0))) as sock:
        sock.settimeout(60)
        if port != "joint":
            # Half of a TLS handshake.
            sock.sendall(b"\x16\x03\x01\x02\x00\x01")
        while sock.recv(4096):
            pass
    assert time.monotonic() - begun < 40


def test_tls_without_a_word_of_http2_is_closed_within_seconds(own_world: World) -> None:
    host, _, number = own_world.router.rpartition(":")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    begun = time.monotonic()
    with (
        socket.create_connection((host, int(number))) as plain,
        context.wrap_socket(plain, server_hostname=host) as sock,
    ):
        sock.settimeout(60)
        while sock.recv(4096):
            pass
    assert time.monotonic() - begun < 40
