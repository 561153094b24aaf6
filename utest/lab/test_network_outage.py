"""A network between exporter and controller that swallows everything for a while."""

from __future__ import annotations

import os
import time
from pathlib import Path

from .blackhole import Network
from .world import World

#: An exporter that notices within seconds that its connection is dead.
QUICK = {
    "grpc.keepalive_time_ms": 1000,
    "grpc.keepalive_timeout_ms": 1000,
    "grpc.http2.ping_timeout_ms": 1000,
}
#: A controller that has to greet thousands at once may take so long.
SLOW = 5.0
#: A client that was called in vain waits for so long at the router.
IN_VAIN = 60.0
#: Seconds for which the network stays away after the exporter has noticed: TEST_CUT=60 is what a real outage may take.
CUT = float(os.environ.get("TEST_CUT", "0"))


def test_a_client_that_dialled_while_the_exporter_was_cut_off_is_served_when_it_is_back(
    own_world: World, tmp_path: Path
) -> None:
    world = own_world
    go = tmp_path / "go"
    with Network(world.endpoint) as network:
        world.add_exporter("board", "kind=board", endpoint=network.address, grpcOptions=QUICK)
        exporter = world.run_exporter("board")
        lease = world.ok("create", "lease", "-l", "kind=board", "--wait", "60", "-o", "name").strip()
        assert world.ok("shell", "--lease", lease, "--", "j", "power", "on") == "ok\n"
        network.swallow()
        client = world.start("jmp", "shell", "--lease", lease, "--", "sh", "-c", f"j power on; touch {go}")
        exporter.until("the line to the controller broke")
        time.sleep(CUT)
        network.mend()
        begun = time.monotonic()
        assert client.wait() == 0, client.text()
        assert time.monotonic() - begun < IN_VAIN / 2, client.text()
        assert go.exists()
        world.ok("delete", "lease", lease)


def test_an_exporter_waits_for_a_controller_that_takes_seconds_for_a_handshake(own_world: World) -> None:
    """Who began anew would make the controller slower still."""
    world = own_world
    with Network(world.endpoint) as network:
        world.add_exporter("board", "kind=board", endpoint=network.address)
        network.hold_up()
        exporter = world.start("jmp", "run", "--exporter", "board")
        assert network.connection(60)
        assert not network.connection(SLOW)
        network.let_go()
        exporter.until("registered as board")
        assert "the controller is not there" not in exporter.text()
