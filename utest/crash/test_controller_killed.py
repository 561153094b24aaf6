"""The controller is killed under load, again and again: no lease is lost, doubled or shortened, and everybody goes on.

Clients try again, exporters keep their sessions, and leases expire in time. What is told to several clients that try
nothing again is looked at by `utest/interop_lab/test_killed_controller.py`.
"""

from __future__ import annotations

import random
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc
import pytest
from jumpstarter.config.client import ClientConfigV1Alpha1
from jumpstarter.config.grpc import identity
from jumpstarter_controller.model import Lease, LeaseState
from jumpstarter_controller.store import open_store
from jumpstarter_protocol import lab_pb2, lab_pb2_grpc

from utest.lab.world import World

from .boards import running_boards
from .clients import HELD, Load, keep, let_expire, turn_over, watched

KILLS = 20
ROOT = Path(__file__).parents[2]
COUNTING = {"counting": {"type": "utest.crash.counting.Counting"}}
TURNING = [f"turning-{number}" for number in range(5)]
#: Fewer than there are clients, so that some of them wait.
MANY = [f"many-{number}" for number in range(4)]
KEPT = ["kept-0", "kept-1"]
PATIENCE = 60.0


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    try:
        yield world
    finally:
        world.close()


class Administrator:
    """Raw calls of AdminService, which wait for the controller."""

    def __init__(self, data: Path, endpoint: str) -> None:
        self.authority = (data / "ca" / "ca.pem").read_bytes()
        options = (("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 500))
        self.channel = grpc.secure_channel(endpoint, grpc.ssl_channel_credentials(self.authority), options)
        self._stub: Any = lab_pb2_grpc.AdminServiceStub(self.channel)  # type: ignore[no-untyped-call]
        token = (data / "admin.token").read_text().strip()
        self._how: dict[str, Any] = {
            "metadata": identity("Administrator", "default", "admin", token),
            "timeout": PATIENCE,
            "wait_for_ready": True,
        }

    def board(self, name: str, kind: str) -> tuple[str, str]:
        """A new board; its kind and token."""
        request = lab_pb2.CreateIdentityRequest(role=lab_pb2.ROLE_EXPORTER, name=name, labels={"kind": kind})
        return kind, self._stub.CreateIdentity(request, **self._how).token

    def holders(self) -> list[tuple[str, str]]:
        """Exporter and lease, of all leases that hold an exporter now."""
        leases = self._stub.ListLeases(lab_pb2.AdminListLeasesRequest(), **self._how).leases
        return [(lease.exporter, lease.name) for lease in leases if lease.exporter]


@pytest.mark.timeout(1200)
def test_leases_outlast_a_controller_that_is_killed_twenty_times(world: World) -> None:
    controller = world.start_controller()
    data = world.home / "state" / "jumpstarter" / "controller"
    administrator = Administrator(data, world.endpoint)
    boards = {name: administrator.board(name, "many") for name in MANY}
    boards["short"] = administrator.board("short", "short")
    world.add_client("anna")
    for name in KEPT:
        world.add_exporter(name, f"kind={name}", export=COUNTING)
        world.start("jmp", "run", "--exporter", name, env={"PYTHONPATH": str(ROOT)})
    config = ClientConfigV1Alpha1.from_file(
        world.home / "config" / "jumpstarter" / "clients" / "anna.yaml", environment=False
    )
    load, moments = Load(), random.Random(20)
    everybody = [*TURNING, *KEPT, "short"]
    with (
        running_boards(world.endpoint, administrator.authority, boards),
        ThreadPoolExecutor(len(everybody)) as pool,
    ):
        working = [pool.submit(watched(load, turn_over), name, config) for name in TURNING]
        working += [pool.submit(watched(load, keep), name, config) for name in KEPT]
        working.append(pool.submit(watched(load, let_expire), "short", config))
        try:
            load.until_everybody_got_on(everybody, 2, PATIENCE)
            for _ in range(KILLS):
                load.until_some_got_on(1, PATIENCE)
                threading.Event().wait(moments.uniform(0, 1))  # the moment, not a synchronisation
                controller.end(signal.SIGKILL)
                controller = world.start_controller()
                holders = administrator.holders()
                assert len(dict(holders)) == len(holders), f"an exporter is leased twice: {holders}"
                if load.failed:
                    break
            load.until_everybody_got_on(everybody, 3, PATIENCE)
        finally:
            load.stop.set()
            for work in working:
                work.exception(2 * PATIENCE)
        for work in working:
            work.result()
    controller.end(signal.SIGKILL)
    administrator.channel.close()
    _check_store(data / "lab.sqlite3", load)


def _check_store(path: Path, load: Load) -> None:
    """What was told to the clients is what is stored, and nothing else."""
    store = open_store(path)
    found = {lease.name: lease for lease in store.read(lambda t: t.leases.page(limit=100_000))}
    store.close()
    kept = [lease for lease in found.values() if lease.exporter in KEPT]
    assert sorted(str(lease.exporter) for lease in kept) == KEPT
    assert all(lease.spec.times.duration >= HELD and lease.state is LeaseState.RELEASED for lease in kept)
    assert set(load.known) == set(found) - {lease.name for lease in kept}
    assert len(load.known) > KILLS
    for known in load.known.values():
        lease = found[known.name]
        assert lease.spec.times.duration in known.durations
        assert (lease.exporter, lease.begun_at, lease.ended_at) == (
            known.exporter,
            known.begun,
            known.ended,
        )
    _nobody_shared(list(found.values()))


def _nobody_shared(leases: list[Lease]) -> None:
    """No exporter had two leases at a time."""
    for exporter in {lease.exporter for lease in leases}:
        times = sorted((x.begun_at, x.ended_at) for x in leases if x.exporter == exporter)  # type: ignore[type-var]
        for (_, ended), (begun, _) in pairwise(times):
            assert ended is not None
            assert begun is not None
            assert ended <= begun, f"{exporter} was leased again before {ended}"
