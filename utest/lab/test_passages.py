"""Leased boards are reached through a passage where there is one, and dialled where there is none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .world import Process, World

#: Leases a board, and says how it is reached and what came through.
PROGRAM = """
import hashlib, os, sys
from jumpstarter.config.client import ClientConfigV1Alpha1
config = ClientConfigV1Alpha1.load("anna")
with config.lease(selector="kind=board") as lease, lease.connect() as client:
    print("passage" if lease._way.passage else "dialled")
    data = os.urandom(20_000_000)
    with client.echo.stream() as stream:
        import threading
        got = hashlib.sha256()
        def read():
            left = len(data)
            while left:
                part = stream.receive()
                got.update(part)
                left -= len(part)
        reader = threading.Thread(target=read)
        reader.start()
        for start in range(0, len(data), 1 << 16):
            stream.send(data[start:start + (1 << 16)])
        reader.join()
    print(got.hexdigest() == hashlib.sha256(data).hexdigest())
"""
EXPORT = {
    "power": {"type": "jumpstarter_driver_power.driver.MockPower"},
    "echo": {"type": "jumpstarter_driver_network.driver.EchoNetwork"},
}


@pytest.fixture(scope="module")
def board(world: World) -> Iterator[Process]:
    world.add_exporter("board", "kind=board", export=EXPORT)
    process = world.run_exporter("board")
    yield process
    process.end()


def run(world: World, **env: str) -> list[str]:
    process = world.start("python", "-c", PROGRAM, env=env)
    assert process.wait() == 0, process.text()
    world.nothing_is_leased()
    return process.text().splitlines()


def test_bytes_go_through_a_passage_as_they_are(world: World, board: Process) -> None:
    assert run(world) == ["passage", "True"]


@pytest.mark.parametrize("value", ["*", "localhost,127.0.0.1,.example.com,10.0.0.0/8"])
def test_a_passage_is_no_matter_of_the_networks_proxies(world: World, board: Process, value: str) -> None:
    assert run(world, no_proxy=value, NO_PROXY=value) == ["passage", "True"]


def test_a_lab_without_a_joint_dials(own_world: World) -> None:
    world = own_world
    world.processes[0].end()
    world.start_controller({"router": {"joint": {"listen": ""}}})
    world.add_exporter("board", "kind=board", export=EXPORT)
    world.run_exporter("board")
    assert run(world) == ["dialled", "True"]


def test_a_joint_that_nobody_can_reach_is_not_used(own_world: World) -> None:
    world = own_world
    world.processes[0].end()
    world.start_controller({"router": {"joint": {"endpoint": "127.0.0.1:1"}}})
    world.add_exporter("board", "kind=board", export=EXPORT)
    board = world.run_exporter("board")
    for _ in range(2):
        assert run(world) == ["dialled", "True"]
        world.is_available("board")
    # Every try would cost a client of a firewall's silence its time.
    assert board.text().count("cannot be reached from here") == 1
