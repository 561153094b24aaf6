"""What is asked of a controller, and what its users are told; the controller is a small one in this process."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import grpc
import pytest
from jumpstarter.client import watch
from jumpstarter.client.lab import ControllerUnreachable, Lab, Lease, LeaseEvent, controller_error
from jumpstarter.common.exceptions import ConfigurationError, ConnectionError, LeaseError
from jumpstarter.connection.claims import KEPT
from jumpstarter.connection.holding import (
    LeaseRequest,
    holding,
    new_lease_name,
    waiting_text,
)
from jumpstarter.connection.progress import ProgressLine
from jumpstarter_protocol import client_pb2 as pb
from jumpstarter_protocol import client_pb2_grpc, kubernetes_pb2

READY = kubernetes_pb2.Condition(type="Ready", status="True", reason="Ready")
PENDING = kubernetes_pb2.Condition(
    type="Pending", status="True", reason="NotAvailable", message="all are leased"
)


class StockController(client_pb2_grpc.ClientServiceServicer):  # type: ignore[misc]
    """A controller that cannot tell of changes: leases are ready when they are looked at for the second time."""

    def __init__(self) -> None:
        self.leases: dict[str, pb.Lease] = {}
        self.looks: dict[str, int] = {}
        self.fail: Callable[[str, Any], None] = lambda method, context: None

    def add(self, name: str, **values: Any) -> None:
        self.leases[name] = pb.Lease(
            name=f"namespaces/lab/leases/{name}", **{"client": "namespaces/lab/clients/anna", **values}
        )

    def CreateLease(self, request: pb.CreateLeaseRequest, context: Any) -> pb.Lease:
        self.fail("CreateLease", context)
        self.add(request.lease_id, selector=request.lease.selector, duration=request.lease.duration)
        return self.leases[request.lease_id]

    def GetLease(self, request: pb.GetLeaseRequest, context: Any) -> pb.Lease:
        self.fail("GetLease", context)
        name = request.name.rpartition("/")[2]
        lease = self.leases[name]
        self.looks[name] = self.looks.get(name, 0) + 1
        del lease.conditions[:]
        lease.conditions.append(READY if self.looks[name] > 1 else PENDING)
        return lease

    def ListLeases(self, request: pb.ListLeasesRequest, context: Any) -> pb.ListLeasesResponse:
        return pb.ListLeasesResponse(leases=self.leases.values())

    def DeleteLease(self, request: pb.DeleteLeaseRequest, context: Any) -> Any:
        from google.protobuf.empty_pb2 import Empty

        del self.leases[request.name.rpartition("/")[2]]
        return Empty()


@contextmanager
def stock_lab() -> Iterator[tuple[StockController, Lab]]:
    server = grpc.server(ThreadPoolExecutor(4))
    controller = StockController()
    client_pb2_grpc.add_ClientServiceServicer_to_server(controller, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield controller, Lab(channel, "lab", "anna", "token")
    finally:
        server.stop(None).wait()


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[StockController, Lab]]:
    monkeypatch.setattr(watch, "POLL_INTERVAL", 0.05)
    with stock_lab() as both:
        yield both


def test_lease_of_a_stock_controller_is_waited_for_and_ended(lab: tuple[StockController, Lab]) -> None:
    controller, client = lab
    told: list[str] = []
    with holding(client, LeaseRequest(selector="a=b"), 30, told.append) as (lease, owned):
        assert owned
        assert lease.ready
        assert list(controller.leases) == [lease.name]
    assert controller.leases == {}
    assert told == ["Waiting for an exporter (a=b); all are leased"]


def test_lease_is_ended_when_its_use_fails(lab: tuple[StockController, Lab]) -> None:
    controller, client = lab
    with pytest.raises(KeyboardInterrupt), holding(client, LeaseRequest(selector="a=b"), 30, print):
        raise KeyboardInterrupt
    assert controller.leases == {}


def test_lease_whose_making_was_not_answered_is_ended(lab: tuple[StockController, Lab]) -> None:
    controller, client = lab

    def fail(method: str, context: Any) -> None:
        if method == "CreateLease":
            context.abort(grpc.StatusCode.UNAVAILABLE, "the connection broke")

    controller.fail = fail
    deleted: list[str] = []
    client.delete_lease = lambda name, timeout: deleted.append(name)  # type: ignore[method-assign]
    with pytest.raises(ControllerUnreachable), holding(client, LeaseRequest(selector="a=b"), 30, print):
        pass
    assert len(deleted) == 1


def test_second_interrupt_does_not_keep_the_lease(lab: tuple[StockController, Lab]) -> None:
    controller, client = lab
    real = client.delete_lease

    def interrupted(name: str, timeout: float) -> None:
        signal.raise_signal(signal.SIGINT)
        real(name, timeout)

    client.delete_lease = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt), holding(client, LeaseRequest(selector="a=b"), 30, print):
        signal.raise_signal(signal.SIGINT)
    assert controller.leases == {}
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_existing_lease_is_used_and_stays(lab: tuple[StockController, Lab]) -> None:
    controller, client = lab
    controller.add("mine", selector="a=b,c=d")
    with holding(client, LeaseRequest(lease="mine", selector="c=d,a=b"), 30, print) as (lease, owned):
        assert (lease.name, owned) == ("mine", False)
    assert list(controller.leases) == ["mine"]


def test_existing_lease_for_something_else_is_left_alone(lab: tuple[StockController, Lab]) -> None:
    controller, client = lab
    controller.add("mine", selector="a=b")
    told: list[str] = []
    with holding(client, LeaseRequest(lease="mine", selector="a=c"), 30, told.append) as (lease, owned):
        assert lease.name != "mine"
        assert owned
    assert told[0] == "Lease mine is for a=b, not for selector a=c: asking for a new one"


def test_lease_of_someone_else_is_refused(lab: tuple[StockController, Lab]) -> None:
    controller, client = lab
    controller.add("theirs", client="namespaces/lab/clients/bob")
    with (
        pytest.raises(LeaseError, match="belongs to bob"),
        holding(client, LeaseRequest(lease="theirs"), 30, print),
    ):
        pass


def test_lease_kept_for_several_programs_is_adopted(lab: tuple[StockController, Lab]) -> None:
    controller, client = lab
    controller.add("kept", selector="a=b", context=KEPT)
    controller.add("in-use", selector="a=b")
    with holding(client, LeaseRequest(selector="a=b", adopt=True), 30, print) as (lease, owned):
        assert (lease.name, owned) == ("kept", False)
    with holding(client, LeaseRequest(adopt=True), 30, print) as (lease, owned):
        assert (lease.name, owned) == ("kept", False)
    with holding(client, LeaseRequest(selector="a=c", adopt=True), 30, print) as (lease, owned):
        assert owned


def test_nothing_to_adopt_is_told(lab: tuple[StockController, Lab]) -> None:
    _, client = lab
    with (
        pytest.raises(LeaseError, match="give a selector"),
        holding(client, LeaseRequest(adopt=True), 30, print),
    ):
        pass


def test_request_that_asks_for_nothing_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="give a selector"):
        LeaseRequest()
    with pytest.raises(ConfigurationError, match="more than 0s"):
        LeaseRequest(selector="a=b", duration=timedelta(0))
    with pytest.raises(ConfigurationError, match="not a requirement"):
        LeaseRequest(selector="a b")


def test_text_about_waiting() -> None:
    lease = Lease(namespace="lab", name="l", selector="a=b")
    event = LeaseEvent(lease=lease, position=3, reason="both are leased", longest_slot=timedelta(minutes=10))
    assert (
        waiting_text(event)
        == "Waiting for an exporter (a=b); position 3; both are leased; free now for at most 10m"
    )
    later = LeaseEvent(lease=Lease(namespace="lab", name="l", begin_time=datetime(2040, 1, 1, tzinfo=UTC)))
    assert "the lease begins at 20" in waiting_text(later)


def test_names_of_leases_are_uuids_in_the_order_of_their_making() -> None:
    names = [new_lease_name() for _ in range(50)]
    assert {UUID(name).version for name in names} == {7}
    assert [name[:13] for name in names] == sorted(name[:13] for name in names)


@pytest.mark.parametrize(
    ("code", "details", "kind", "words"),
    [
        (grpc.StatusCode.UNAVAILABLE, "", ControllerUnreachable, "no answer in time"),
        (grpc.StatusCode.UNAUTHENTICATED, "no token", ConnectionError, "refuses this client: no token"),
        (grpc.StatusCode.UNKNOWN, "oidc: token is expired", ConnectionError, "refuses this client"),
        (grpc.StatusCode.UNKNOWN, "duration required", LeaseError, "duration required"),
        (grpc.StatusCode.FAILED_PRECONDITION, "", LeaseError, "answered FAILED_PRECONDITION"),
    ],
)
def test_answers_of_stock_controllers(
    code: grpc.StatusCode, details: str, kind: type[Exception], words: str
) -> None:
    class Answer(grpc.RpcError):  # type: ignore[misc]
        def code(self) -> grpc.StatusCode:
            return code

        def details(self) -> str:
            return details

        def trailing_metadata(self) -> tuple[()]:
            return ()

    error = controller_error(Answer())
    assert type(error) is kind
    assert words in str(error)


def test_progress_tells_only_what_is_new() -> None:
    shown: list[str] = []
    line = ProgressLine(shown.append, terminal=False)
    for text in ("one", "one", "two"):
        line(text)
    line.finish()
    assert shown == ["one\n", "two\n"]


def test_progress_stays_on_its_line_of_a_terminal() -> None:
    shown: list[str] = []
    line = ProgressLine(shown.append, terminal=True)
    line("one")
    line("two")
    line.finish()
    assert shown == ["\r\x1b[Kone", "\r\x1b[Ktwo", "\n"]
