"""Following an exporter's status, over a real session whose status this test changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from jumpstarter.client.client import connect_path
from jumpstarter.client.grpc import MultipathExporterStub
from jumpstarter.client.status_monitor import MAX_SILENCES, StatusMonitor
from jumpstarter.common.enums import ExporterStatus
from jumpstarter.common.exceptions import ConnectionError, ExporterNotReady
from jumpstarter.session import Session
from jumpstarter_driver_power.driver import MockPower
from jumpstarter_protocol import jumpstarter_pb2 as pb

S = ExporterStatus


@dataclass
class Bench:
    session: Session
    client: Any
    path: str

    def go(self, *path: ExporterStatus, message: str = "") -> None:
        for status in path:
            self.session.update_status(status, message)


@pytest.fixture
def bench() -> Iterator[Bench]:
    with ExitStack() as stack:
        session = stack.enter_context(Session(root_device=MockPower()))
        path = stack.enter_context(session.serve_unix())
        yield Bench(session, stack.enter_context(connect_path(path, allow=[], unsafe=True)), path)


async def waiting(wait: Coroutine[Any, Any, Any], then: Callable[[], None]) -> Any:
    """The result of *wait*, during which *then* happens."""
    task = asyncio.create_task(wait)
    await asyncio.sleep(0.05)
    assert not task.done()
    then()
    return await asyncio.wait_for(task, 60)


def test_waiting_ends_when_the_lease_is_ready(bench: Bench) -> None:
    bench.go(S.BEFORE_LEASE_HOOK)
    asyncio.run(waiting(bench.client.wait_for_lease_ready(60), lambda: bench.go(S.LEASE_READY)))
    asyncio.run(bench.client.wait_for_lease_ready_monitored(60))


@pytest.mark.parametrize(
    "path", [[S.BEFORE_LEASE_HOOK, S.BEFORE_LEASE_HOOK_FAILED], [S.OFFLINE]], ids=lambda p: p[-1].name
)
def test_waiting_ends_with_the_reason_when_it_never_will_be(bench: Bench, path: list[S]) -> None:
    with pytest.raises(ExporterNotReady, match=rf"status: {path[-1].name}\): hook says no"):
        asyncio.run(
            waiting(bench.client.wait_for_lease_ready(60), lambda: bench.go(*path, message="hook says no"))
        )


def test_a_failure_that_passed_between_two_questions_is_seen(bench: Bench) -> None:
    async def scenario() -> ExporterStatus:
        async with StatusMonitor(bench.client.stub, 0.01) as monitor:
            await monitor.wait_for_any_of({S.AVAILABLE}, 60)
            bench.go(S.BEFORE_LEASE_HOOK, S.BEFORE_LEASE_HOOK_FAILED, S.AVAILABLE)
            return await monitor.wait_for_any_of({S.BEFORE_LEASE_HOOK_FAILED}, 60)

    assert asyncio.run(scenario()) is S.BEFORE_LEASE_HOOK_FAILED


def test_stub_may_be_one_of_the_running_loop(bench: Bench) -> None:
    async def scenario() -> ExporterStatus | None:
        async with (
            grpc.aio.insecure_channel(f"unix:{bench.path}") as channel,
            StatusMonitor(MultipathExporterStub([channel]), 0.01) as monitor,
        ):
            await monitor.wait_for_any_of({S.AVAILABLE}, 60)
            bench.go(S.LEASE_READY)
            await monitor.wait_for_lease_ready(60)
            return monitor.status

    assert asyncio.run(scenario()) is S.LEASE_READY


def test_waiting_is_bounded(bench: Bench) -> None:
    with pytest.raises(ExporterNotReady, match=r"not ready after 2 s \(status: AVAILABLE\)"):
        asyncio.run(bench.client.wait_for_lease_ready(2))
    assert asyncio.run(bench.client.wait_for_hook_status(S.AFTER_LEASE_HOOK, 0.2)) is False
    assert asyncio.run(bench.client.wait_for_hook_complete_monitored(60)) is True


def test_a_hook_is_waited_for(bench: Bench) -> None:
    bench.go(S.LEASE_READY)
    hook = bench.client.wait_for_hook_status(S.AFTER_LEASE_HOOK, 60)
    assert asyncio.run(waiting(hook, lambda: bench.go(S.AFTER_LEASE_HOOK))) is True
    end = bench.client.wait_for_hook_complete_monitored(60)
    assert asyncio.run(waiting(end, lambda: bench.go(S.AVAILABLE))) is True


def test_a_hook_that_fails_is_told(bench: Bench) -> None:
    bench.go(S.LEASE_READY, S.AFTER_LEASE_HOOK)
    with pytest.raises(ExporterNotReady, match="the afterLease hook failed: exit code 3"):
        asyncio.run(
            waiting(
                bench.client.wait_for_hook_complete_monitored(60),
                lambda: bench.go(S.AFTER_LEASE_HOOK_FAILED, message="exit code 3"),
            )
        )


def test_the_client_knows_the_status_while_it_is_monitored(bench: Bench) -> None:
    async def scenario() -> None:
        assert bench.client.status is None
        async with bench.client.status_monitor_async(0.01) as monitor:
            bench.go(S.LEASE_READY, message="hello")
            await bench.client.wait_for_lease_ready(60)
            assert bench.client.status is monitor.status is S.LEASE_READY
            assert monitor.message == "hello"
        assert bench.client.status is None

    asyncio.run(scenario())


def test_drivers_are_open_or_not(bench: Bench) -> None:
    with pytest.raises(ExporterNotReady, match="status: AVAILABLE"):
        asyncio.run(bench.client.check_exporter_status())
    bench.go(S.LEASE_READY)
    asyncio.run(bench.client.check_exporter_status())


def test_an_error_in_the_block_stays_itself(bench: Bench) -> None:
    async def scenario() -> None:
        async with StatusMonitor(bench.client.stub):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        asyncio.run(scenario())


def test_a_monitor_that_does_not_run_says_so(bench: Bench) -> None:
    with pytest.raises(RuntimeError, match="async with"):
        asyncio.run(StatusMonitor(bench.client.stub).wait_for_any_of({S.AVAILABLE}, 1))


class Stub:
    """An exporter that answers each question by one of *answers*, the last one for good."""

    def __init__(self, *answers: grpc.StatusCode | ExporterStatus) -> None:
        self.answers = list(answers)
        self.asked = 0

    def GetStatus(self, request: Any, timeout: float) -> Any:
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        if isinstance(answer, ExporterStatus):
            return pb.GetStatusResponse(status=answer.to_proto(), status_version=self.asked)  # type: ignore[arg-type]
        raise grpc.aio.AioRpcError(answer, grpc.aio.Metadata(), grpc.aio.Metadata(), "details")


def wait_with(stub: Stub, **options: Any) -> ExporterStatus:
    async def scenario() -> ExporterStatus:
        async with StatusMonitor(stub, 0.001, **options) as monitor:
            try:
                return await monitor.wait_for_any_of({S.LEASE_READY}, 60)
            finally:
                assert monitor.connection_lost is (monitor.status is None)

    return asyncio.run(scenario())


def test_an_exporter_that_cannot_tell_counts_as_ready() -> None:
    stub = Stub(grpc.StatusCode.UNIMPLEMENTED)
    assert wait_with(stub) is S.LEASE_READY
    assert stub.asked == 1
    assert wait_with(Stub(), get_status_unsupported=True) is S.LEASE_READY


def test_an_exporter_that_comes_back_is_waited_for() -> None:
    gone = [grpc.StatusCode.UNAVAILABLE] * 50
    assert wait_with(Stub(*gone, S.LEASE_READY)) is S.LEASE_READY


def test_an_exporter_that_never_answers_is_lost() -> None:
    stub = Stub(grpc.StatusCode.DEADLINE_EXCEEDED)
    with pytest.raises(ConnectionError, match="did not answer in time"):
        wait_with(stub)
    assert stub.asked == MAX_SILENCES
    silent = [grpc.StatusCode.DEADLINE_EXCEEDED] * (MAX_SILENCES - 1)
    assert wait_with(Stub(*silent, S.AVAILABLE, *silent, S.LEASE_READY)) is S.LEASE_READY


def test_an_exporter_that_refuses_is_lost_at_once() -> None:
    with pytest.raises(ConnectionError, match="refused the connection"):
        wait_with(Stub(grpc.StatusCode.UNAUTHENTICATED))
