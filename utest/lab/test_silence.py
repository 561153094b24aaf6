"""A cable is pulled between the lab and a client, or the lab and an exporter: packets vanish, and nobody is told.

Everything that is under way is told within 15 s what was cut, whichever way its bytes take; a slow line is no cut one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .distance import DistantWorld, can_be_made, distant_world
from .world import Process, wait_for

pytestmark = pytest.mark.skipif(not can_be_made(), reason="only root can make networks, on Linux")

FAULTS = {"PYTHONPATH": str(Path(__file__).resolve().parents[1] / "faults")}
#: Seconds within which everything is told: 15 are promised, and a busy machine may take more. Without what is tested it is 40.
TOLD = 20.0
#: What a lab without a joint has: clients dial.
DIALLED = {"router": {"joint": {"listen": ""}}}

PROGRAM = """
import sys, threading, time
from pathlib import Path
from jumpstarter.config.client import ClientConfigV1Alpha1

go = Path(sys.argv[1])

def chunks():
    while not go.exists():
        yield b"x" * 65536
        time.sleep(0.05)

class Sink:
    def write(self, data):
        return len(data)

def call():
    client.one.call("block")

def items():
    for _ in client.two.streamingcall("ticks"):
        pass

def stream():
    with client.one.open_stream("port") as port:
        port.send(b"hello")
        while port.receive():
            pass

def upload():
    with client.one.sending(chunks()) as handle:
        client.one.call("take", handle)

def download():
    with client.two.receiving(Sink()) as handle:
        client.two.call("give", handle, 1 << 40)

def run(what):
    try:
        what()
        tell(f"[{what.__name__}] went well")
    except BaseException as error:
        tell(f"[{what.__name__}] {type(error).__name__}: {error}")

def tell(line):
    # In one piece: the lines of several threads may come at once.
    sys.stdout.write(line + "\\n")
    sys.stdout.flush()

with ClientConfigV1Alpha1.load("anna").lease(selector="kind=board") as lease, lease.connect() as client:
    works = [threading.Thread(target=run, args=(globals()[name],), daemon=True) for name in sys.argv[2:]]
    for work in works:
        work.start()
    held = {"call": "block", "stream": "port", "upload": "take", "items": "ticks", "download": "give"}
    wanted = {held[name] for name in sys.argv[2:]}
    while not wanted <= {*client.one.call("held"), *client.two.call("held")}:
        time.sleep(0.1)
    print("all is under way", flush=True)
    for work in works:
        work.join()
    print("all is over", flush=True)
"""


@pytest.fixture
def distant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DistantWorld]:
    with distant_world(tmp_path_factory.mktemp("distant")) as world:
        yield world


def start_board(world: DistantWorld, route: str) -> None:
    """An exporter in a lab whose bytes take *route*."""
    if route == "dialled":
        world.processes[0].end()
        world.start_controller(DIALLED)
    export = {name: {"type": "faulty.Faulty"} for name in ("one", "two")}
    path = world.add_exporter("board", "kind=board", export=export)
    with world.at("exporter"):
        world.start("jmp", "run", "--exporter-config", str(path), env=FAULTS)
    world.is_available("board")


def busy(world: DistantWorld, route: str, *works: str) -> Process:
    """A client in a process of its own that does *works* at the board."""
    start_board(world, route)
    with world.at("client"):
        client = world.start("python", "-c", PROGRAM, str(world.home / "go"), *works, env=FAULTS)
    client.until("all is under way")
    return client


def told(client: Process, work: str) -> str:
    """What the client says of the end of *work*; a call waits for the exporter, and says so."""
    begin = "Waiting for exporter board: " if work == "call" else f"[{work}]"
    return next((line for line in client.text().splitlines() if line.startswith(begin)), "")


def all_told(client: Process, works: tuple[str, ...]) -> None:
    """All of *works* are told within the time for it, which begins now."""
    begun = time.monotonic()
    for work in works:
        left = max(begun + TOLD - time.monotonic(), 0)
        wait_for(lambda work=work: told(client, work), f"{work} is told", left)  # type: ignore[misc]


@pytest.mark.parametrize("place", ["client", "exporter"])
@pytest.mark.parametrize("route", ["passage", "dialled"])
def test_everything_that_is_under_way_is_told_what_was_cut(
    distant: DistantWorld, route: str, place: str
) -> None:
    works = ("call", "items", "stream", "upload", "download")
    client = busy(distant, route, *works)
    distant.places.pull(place)
    all_told(client, works)
    # The controller may find out about an exporter a little later than its client.
    silent = "exporter" if place == "exporter" else "neither exporter board nor the controller"
    for work in works:
        assert silent in told(client, work), client.text()
    assert "items had arrived" in told(client, "items")
    assert "the stream was cut when 5 bytes had been sent" in told(client, "stream")
    assert "the transfer was cut when" in told(client, "upload")
    assert "bytes had arrived" in told(client, "download")


@pytest.mark.parametrize("route", ["passage", "dialled"])
def test_what_is_idle_is_told_what_was_cut(distant: DistantWorld, route: str) -> None:
    """Nothing was sent for a while: gRPC's pings find out."""
    client = busy(distant, route, "call", "stream")
    distant.places.pull("exporter")
    all_told(client, ("call", "stream"))


@pytest.mark.parametrize("place", ["client", "exporter"])
@pytest.mark.parametrize("route", ["passage", "dialled"])
def test_a_slow_line_that_is_busy_is_not_taken_for_a_cut_one(
    distant: DistantWorld, route: str, place: str
) -> None:
    client = busy(distant, route, "upload")
    distant.places.slow(place, "2mbit")
    # More than a cut would take to be told, with all buffers full on the way.
    deadline = time.monotonic() + 1.5 * TOLD
    while time.monotonic() < deadline:
        assert not told(client, "upload"), client.text()
        time.sleep(0.5)
    (distant.home / "go").touch()
    client.until("[upload] went well")


@pytest.mark.parametrize("place", ["client", "exporter"])
@pytest.mark.parametrize("route", ["passage", "dialled"])
def test_a_shell_is_told_and_goes_on_when_the_cable_is_back(
    distant: DistantWorld, route: str, place: str
) -> None:
    start_board(distant, route)
    end = distant.home / "end"
    script = f"while [ ! -e {end} ]; do j one call ping || exit 9; done; echo DONE"
    with distant.at("client"):
        shell = distant.start("jmp", "shell", "-l", "kind=board", "--", "sh", "-c", script, env=FAULTS)
    shell.until("pong")
    distant.places.pull(place)
    wait_for(lambda: "Waiting for exporter board" in shell.text(), f"it is told: {shell.text()}", TOLD)
    distant.places.plug(place)
    shell.until("answers again")
    end.touch()
    assert shell.wait() == 0, shell.text()
