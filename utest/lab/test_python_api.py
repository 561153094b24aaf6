"""Leasing from Python programs, under the names of stock Jumpstarter."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .world import Process, World


@pytest.fixture(scope="module")
def board(world: World) -> Iterator[Process]:
    world.add_exporter("board", "kind=board")
    process = world.run_exporter("board")
    yield process
    process.end()


def run(world: World, program: str) -> str:
    process = world.start("python", "-c", program)
    assert process.wait() == 0, process.text()
    return process.text()


def test_program_leases_and_connects(world: World, board: Process) -> None:
    text = run(
        world,
        """
from jumpstarter.config.client import ClientConfigV1Alpha1
config = ClientConfigV1Alpha1.load("anna")
with config.lease(selector="kind=board") as lease, lease.connect() as client:
    client.power.on()
    print(lease.exporter_name, lease.exporter_labels, lease.ended)
with config.lab() as lab:
    print([exporter.name for exporter in lab.list_exporters()], lab.list_leases())
""",
    )
    assert text.splitlines() == ["board {'kind': 'board'} None", "['board'] []"]


def test_coroutine_leases(world: World, board: Process) -> None:
    text = run(
        world,
        """
import anyio
from anyio import to_thread
from jumpstarter.config.client import ClientConfigV1Alpha1

async def main():
    config = ClientConfigV1Alpha1.load("anna")
    async with config.lease_async(exporter_name="board") as lease:
        def use():
            with lease.connect() as client:
                client.power.on()
        await to_thread.run_sync(use)
        print(lease.exporter_name)

anyio.run(main)
""",
    )
    assert text == "board\n"
    world.nothing_is_leased()


def test_program_has_two_boards_at_once(world: World, board: Process) -> None:
    world.add_exporter("second", "kind=second")
    second = world.run_exporter("second")
    text = run(
        world,
        """
from jumpstarter.config.client import ClientConfigV1Alpha1
config = ClientConfigV1Alpha1.load("anna")
with (
    config.lease(selector="kind=board") as a,
    config.lease(selector="kind=second") as b,
    a.connect() as first,
    b.connect() as second,
):
    for client in (first, second, first):
        client.power.on()
    print("both")
""",
    )
    assert text == "both\n"
    second.end()
    world.nothing_is_leased()


def test_program_launches_a_shell_for_its_lease(world: World, board: Process) -> None:
    text = run(
        world,
        """
from jumpstarter.common.utils import launch_shell
from jumpstarter.config.client import ClientConfigV1Alpha1
config = ClientConfigV1Alpha1.load("anna")
with config.lease(exporter_name="board") as lease, lease.serve_unix() as path:
    script = "j power on && echo $JMP_EXPORTER $JMP_EXPORTER_LABELS && test -n $JMP_LEASE && exit 7"
    print(launch_shell(path, "remote", [], True, False, command=("sh", "-c", script), lease=lease))
""",
    )
    assert text.splitlines() == ["ok", "board kind=board", "7"]
    world.nothing_is_leased()
