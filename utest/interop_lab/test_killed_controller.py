"""The controller, killed at random moments under load and started again, keeps its word.

Several clients own leases whose names the controller made up. They try nothing again: those of `utest/crash`, which do, all are
one client and name their leases themselves.
"""

from __future__ import annotations

import random
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from jumpstarter_protocol import client_pb2, common_pb2, jumpstarter_pb2, jumpstarter_pb2_grpc, lab_pb2

from .lab import ROOT, START, Installation, Lab, RawClient, running_lab

KILLS = 20
CLIENTS = 4
BOARDS = 3


@dataclass
class Promise:
    """What a client was told about one lease. *released*: None while nobody asked, False when it is not known."""

    lease: client_pb2.Lease
    seconds: int
    released: bool | None = None


@dataclass
class Worker:
    """A client that leases and releases until its controller is gone, and remembers what it was told."""

    name: str
    token: str
    random: random.Random
    promises: dict[str, Promise] = field(default_factory=dict)
    surprise: str = ""

    def run(self, channel: grpc.Channel, done: threading.Semaphore) -> None:
        client = RawClient(channel, self.name, self.token)
        try:
            while True:
                self._step(client)
                done.release()
        except grpc.RpcError as error:
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                self.surprise = f"{error.code()}: {error.details()}"

    def _step(self, client: RawClient) -> None:
        active = [promise for promise in self.promises.values() if promise.released is None]
        if len(active) < 3:
            lease = client.lease(selector="board=raw")
            self.promises[lease.name] = Promise(lease, 600)
        elif self.random.random() < 0.4:
            promise = self.random.choice(active)
            longer = client_pb2.Lease(name=promise.lease.name)
            longer.duration.FromSeconds(promise.seconds + 60)
            request = client_pb2.UpdateLeaseRequest(lease=longer)
            client.clients.UpdateLease(request, metadata=client.metadata, timeout=START)
            promise.seconds += 60  # only what was answered was promised
        else:
            promise = self.random.choice(active)
            promise.released = False
            client.release(promise.lease)
            promise.released = True


@contextmanager
def under_load(workers: list[Worker], lab: Lab) -> Iterator[threading.Semaphore]:
    """The workers at work; gives what counts their steps. They end with the controller."""
    done = threading.Semaphore(0)
    threads = [threading.Thread(target=worker.run, args=(lab.channel, done)) for worker in workers]
    for thread in threads:
        thread.start()
    yield done
    for thread in threads:
        thread.join(START)
        assert not thread.is_alive()


class Boards:
    """Exporters that are there whenever a controller is."""

    def __init__(self, lab: Lab) -> None:
        names = [f"raw-{number}" for number in range(BOARDS)]
        self._tokens = {name: lab.create(lab_pb2.ROLE_EXPORTER, name, {"board": "raw"}) for name in names}

    def come_up(self, lab: Lab) -> None:
        stub: Any = jumpstarter_pb2_grpc.ControllerServiceStub(lab.channel)
        for name, token in self._tokens.items():
            metadata = [
                ("jumpstarter-kind", "Exporter"),
                ("jumpstarter-namespace", "default"),
                ("jumpstarter-name", name),
                ("authorization", f"Bearer {token}"),
            ]
            report = jumpstarter_pb2.DriverInstanceReport(uuid=name)
            stub.Register(jumpstarter_pb2.RegisterRequest(reports=[report]), metadata=metadata, timeout=START)
            available = jumpstarter_pb2.ReportStatusRequest(status=common_pb2.EXPORTER_STATUS_AVAILABLE)
            stub.ReportStatus(available, metadata=metadata, timeout=START)


def check(lab: Lab, workers: list[Worker]) -> None:
    """What was told holds, and no board has two holders."""
    request = lab_pb2.AdminListLeasesRequest(include_ended=True)
    found = lab.admin.ListLeases(request, metadata=lab.admin_metadata, timeout=START).leases
    leases = {lease.name: lease for lease in found}
    assert len(leases) == len(found)
    holders = [
        lease.exporter for lease in found if lease.exporter and not lease.HasField("effective_end_time")
    ]
    assert len(holders) == len(set(holders))
    for worker in workers:
        for name, promise in worker.promises.items():
            lease = leases[name]
            assert lease.client == f"{ROOT}/clients/{worker.name}"
            ended = lease.conditions[-1].status == "False"
            assert ended if promise.released else not ended or promise.released is False
            if promise.released is None:
                assert lease.duration.seconds >= promise.seconds
            if promise.lease.exporter:
                assert lease.exporter == promise.lease.exporter
                assert lease.effective_begin_time == promise.lease.effective_begin_time


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", [1])
def test_killed_controller_loses_doubles_and_shortens_no_lease(
    ours: Installation, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    options = ("--listen", address, "--router-listen", "127.0.0.1:0")
    workers: list[Worker] = []
    boards: Boards | None = None
    for _ in range(KILLS):
        with running_lab(ours, tmp_path, *options) as lab:
            if boards is None:
                boards = Boards(lab)
                names = [f"worker-{number}" for number in range(CLIENTS)]
                workers = [
                    Worker(name, lab.create(lab_pb2.ROLE_CLIENT, name), random.Random(name)) for name in names
                ]
            check(lab, workers)
            boards.come_up(lab)
            with under_load(workers, lab) as done:
                for _ in range(chance.randint(1, 150)):
                    assert done.acquire(timeout=START)
                lab.process.stop(signal.SIGKILL)
            assert [worker.surprise for worker in workers if worker.surprise] == []
    with running_lab(ours, tmp_path, *options) as lab:
        check(lab, workers)
    assert sum(promise.released is True for worker in workers for promise in worker.promises.values()) > KILLS
