"""Following a lease when the controller is not there at first."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from jumpstarter.client.lab import ControllerUnreachable, Lab
from jumpstarter_protocol import client_pb2, lab_pb2, lab_pb2_grpc

PATIENCE = 60.0


class OneLease(lab_pb2_grpc.LabServiceServicer):  # type: ignore[misc]
    """Tells of a lease once."""

    def WatchLease(self, request: lab_pb2.WatchLeaseRequest, context: Any) -> Iterator[lab_pb2.LeaseEvent]:
        yield lab_pb2.LeaseEvent(lease=client_pb2.Lease(name=request.name))


@pytest.fixture
def address() -> str:
    """Where nobody listens yet."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{sock.getsockname()[1]}"


@pytest.fixture
def lab(address: str) -> Iterator[Lab]:
    options = (("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 200))
    with grpc.insecure_channel(address, options) as channel:
        yield Lab(channel, "default", "anna", "token")


def test_watch_ends_at_once_without_a_controller(lab: Lab) -> None:
    with pytest.raises(ControllerUnreachable):
        next(iter(lab.watch_lease("one", PATIENCE)))


def test_patient_watch_begins_when_the_controller_is_back(lab: Lab, address: str) -> None:
    with pytest.raises(ControllerUnreachable):
        lab.check()  # so the connection has failed
    watch = lab.watch_lease("one", PATIENCE, patient=True)
    with ThreadPoolExecutor(2) as pool:
        found = pool.submit(lambda: [event.lease.name for event in watch])
        server = grpc.server(pool)
        lab_pb2_grpc.add_LabServiceServicer_to_server(OneLease(), server)  # type: ignore[no-untyped-call]
        server.add_insecure_port(address)
        server.start()
        assert found.result(PATIENCE) == ["one"]
        server.stop(None).wait()


def test_patient_watch_can_be_cancelled_while_it_waits(lab: Lab) -> None:
    watch, begun = lab.watch_lease("one", patient=True), threading.Event()

    def follow() -> list[object]:
        begun.set()
        return list(watch)

    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(follow)
        assert begun.wait(PATIENCE)
        watch.cancel()
        assert found.result(PATIENCE) == []


def test_patient_watch_ends_with_its_time(lab: Lab) -> None:
    with pytest.raises(TimeoutError):
        list(lab.watch_lease("one", 0.3, patient=True))
