"""Interruptions of leases in a lab of real processes: the board is given back, whatever was interrupted."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from utest.lab.world import Process, World

HERE = Path(__file__).parent
#: Interruptions of one run; `make stress` has more of them.
COUNT = int(os.environ.get("TEST_INTERRUPTIONS", "200")) // 10
#: Runs of Robot that Ctrl-C ends; each of them takes seconds.
RUNS = max(2, COUNT // 20)
#: Seconds for all of them. A hang is told by the programs themselves.
LIMIT = 60.0 + 3 * COUNT
#: Seconds for a run of Robot to start or to end on a busy machine.
SOON = 60.0

EXPORT = {
    "power": {"type": "jumpstarter_driver_power.driver.MockPower"},
    "serial": {"type": "jumpstarter_driver_pyserial.driver.PySerial", "config": {"url": "loop://"}},
    "storage": {"type": "jumpstarter_driver_opendal.driver.MockFlasher"},
}


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("lab"))
    try:
        world.start_controller()
        world.add_client("anna")
        world.add_exporter("board", "kind=board", export=EXPORT)
        yield world
    finally:
        world.close()


@pytest.fixture
def board(world: World) -> Iterator[Process]:
    process = world.run_exporter("board")
    yield process
    process.end()


@pytest.mark.timeout(LIMIT + 240)
def test_interrupted_leases_are_given_back(world: World, board: Process) -> None:
    process = world.start("python", str(HERE / "leasing.py"), "1", str(COUNT))
    assert process.popen.wait(LIMIT) == 0, process.text()
    assert f"{COUNT} interruptions" in process.text()
    world.nothing_is_leased()


@pytest.mark.timeout(LIMIT + 240)
def test_keywords_that_time_out_block_nothing_and_keep_no_lease(
    world: World, board: Process, tmp_path: Path
) -> None:
    process = world.start(*robot(tmp_path, 2 * COUNT))
    assert process.popen.wait(LIMIT) == 0, process.text()
    assert re.search(r"2 tests?, 2 passed", process.text())
    world.nothing_is_leased()


@pytest.mark.timeout(RUNS * 2 * SOON + 240)
def test_ctrl_c_at_a_random_moment_ends_robot_and_its_lease(
    world: World, board: Process, tmp_path: Path
) -> None:
    chance = random.Random(1)
    for _ in range(RUNS):
        process = world.start(*robot(tmp_path, 1_000_000))
        process.until("Polling")
        time.sleep(chance.uniform(0, 2))  # the moment is what is tried
        process.popen.send_signal(signal.SIGINT)
        assert process.popen.wait(SOON) not in (0, -signal.SIGKILL), process.text()
        assert "Execution terminated by signal" in process.text() or "Keyboard" in process.text()
        world.nothing_is_leased()


def robot(folder: Path, count: int) -> list[str]:
    """The command of a run in which *count* keywords time out."""
    return ["python", "-m", "robot", "-d", str(folder), "-v", f"COUNT:{count}", str(HERE / "polling.robot")]
