"""Who lost a lease, or whose token was revoked, is cut off also where a router of the lab does not know of it."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from .test_router_process import free_port
from .world import Process, World


def start_other_router(world: World) -> Process:
    """Have the lab use another router than the controller's own."""
    world.processes[0].end()
    port = free_port()
    settings = {"router": {"listen": "", "others": {"second": {"endpoint": f"localhost:{port}"}}}}
    world.start_controller(settings, router_listen=None)
    data = world.home / "state" / "jumpstarter" / "controller"
    router = world.start("jmp", "router", "run", "--data-dir", str(data), "--listen", f"127.0.0.1:{port}")
    router.until("The router listens")
    return router


@pytest.mark.parametrize("cut", ["transfer", "revocation"])
def test_open_connection_through_another_router_ends_with_a_cut(
    own_world: World, tmp_path: Path, cut: str
) -> None:
    world, end = own_world, tmp_path / "end"
    start_other_router(world)
    world.add_client("bob")
    world.add_exporter("board", "kind=board")
    board = world.run_exporter("board")
    lease = world.ok("create", "lease", "-l", "kind=board", "--wait", "30", "-o", "name").strip()
    # One client that holds its connection, and calls without asking the controller.
    script = tmp_path / "client.py"
    script.write_text(HOLDER.format(end=end))
    # It is not ended with the lease: it goes on as long as it is let.
    shell = world.start(
        "jmp", "shell", "--lease", lease, "--", "sh", "-c", f"trap '' TERM HUP; python3 {script}"
    )
    shell.until("began")
    if cut == "transfer":
        world.ok("admin", "transfer", "lease", lease, "--to-client", "bob")
    else:
        world.ok("admin", "rotate", "client", "anna")
    shell.until("CUT")
    count = board.text().count("power on")
    end.touch()
    shell.wait()
    assert board.text().count("power on") == count


HOLDER = """
import os
from jumpstarter.common.exceptions import ConnectionError
from jumpstarter.utils.env import env
with env() as client:
    client.power.on()
    print("began", flush=True)
    while not os.path.exists("{end}"):
        try:
            client.power.on()
        except ConnectionError as error:
            print("CUT", error, flush=True)
            break
"""


def test_router_that_is_restarted_lets_the_holder_of_a_lease_go_on(own_world: World, tmp_path: Path) -> None:
    world, end = own_world, tmp_path / "end"
    router = start_other_router(world)
    command = router.popen.args
    world.add_exporter("board", "kind=board")
    world.run_exporter("board")
    script = f"while [ ! -e {end} ]; do j power on || exit 9; done; echo DONE"
    shell = world.start("jmp", "shell", "-l", "kind=board", "--", "sh", "-c", script)
    shell.until("ok")
    router.end(signal.SIGKILL)
    assert isinstance(command, tuple)
    world.start(*command).until("The router listens")
    shell.until("ok", times=shell.text().count("ok") + 3)
    end.touch()
    assert shell.wait() == 0, shell.text()
    world.nothing_is_leased()
