"""Interruptions of leases in a lab of real processes: the board is given back, whatever was interrupted."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from utest.lab.world import Process, World

HERE = Path(__file__).parent
#: Interruptions of one run; `make stress` has more of them.
COUNT = int(os.environ.get("TEST_INTERRUPTIONS", "100")) // 5
#: Seconds for all of them. A hang is told by the programs themselves.
LIMIT = 60.0 + 3 * COUNT

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
    process = world.start(
        "python", "-m", "robot", "-d", str(tmp_path), "-v", f"COUNT:{COUNT}", str(HERE / "polling.robot")
    )
    assert process.popen.wait(LIMIT) == 0, process.text()
    assert re.search(r"2 tests?, 2 passed", process.text())
    world.nothing_is_leased()
