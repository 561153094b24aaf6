"""A session over real sockets: status gate, errors, limits, and what a client that leaves does."""

from __future__ import annotations

import json
import logging
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from jumpstarter.client.client import connect_path
from jumpstarter.client.transport import ExporterStub
from jumpstarter.common.enums import ExporterStatus, LogSource
from jumpstarter.common.exceptions import (
    ConnectionError,
    DriverError,
    DriverInvalidArgument,
    DriverMethodNotImplemented,
    ExporterNotReady,
)
from jumpstarter.exporter import Session
from jumpstarter.exporter.lease_context import LeaseContext
from jumpstarter_protocol import jumpstarter_pb2 as pb
from jumpstarter_testing.eventually import eventually

from .bench import Bench
from .lab import Lab

WAIT = 60.0
S = ExporterStatus


def test_the_report_is_the_tree_parents_first(bench: Bench) -> None:
    report = bench.stub.GetReport(Empty())
    assert (report.uuid, dict(report.labels), report.motd) == (
        str(bench.session.uuid),
        {"rack": "7"},
        "hello",
    )
    assert [r.uuid for r in report.reports] == [str(bench.lab.uuid), str(bench.other.uuid)]
    assert not report.reports[0].HasField("parent_uuid")
    assert report.reports[1].parent_uuid == str(bench.lab.uuid)
    assert bench.session[bench.other.uuid] is bench.other


def test_the_socket_is_for_this_user_only(bench: Bench) -> None:
    assert Path(bench.path).parent.stat().st_mode & 0o077 == 0


# --- the gate ---

CLOSED = [
    [S.AVAILABLE],
    [S.OFFLINE],
    [S.AFTER_LEASE_HOOK, S.AFTER_LEASE_HOOK_FAILED],
    [S.AVAILABLE, S.BEFORE_LEASE_HOOK, S.BEFORE_LEASE_HOOK_FAILED],
]


@pytest.mark.parametrize("path", CLOSED, ids=lambda p: p[-1].name)
def test_no_driver_is_reached_while_the_status_does_not_allow_it(bench: Bench, path: list[S]) -> None:
    for status in path:
        bench.session.update_status(status, "the reason")
    text = rf"not ready for driver calls \(status: {path[-1].name}\): the reason"
    with pytest.raises(ExporterNotReady, match=text):
        bench.client.call("echo", 1)
    with pytest.raises(ExporterNotReady, match=text):
        list(bench.client.streamingcall("items", 1))
    with pytest.raises(ExporterNotReady, match=text), bench.client.stream("connect"):
        pass
    with pytest.raises(ExporterNotReady, match=text), bench.client.sending([b"x"]):
        pass
    with pytest.raises(grpc.RpcError) as caught:
        bench.stub.Reset(pb.ResetRequest())
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert bench.lab.events == []


@pytest.mark.parametrize(
    "path", [[S.AVAILABLE, S.BEFORE_LEASE_HOOK], [S.AFTER_LEASE_HOOK]], ids=lambda p: p[-1].name
)
def test_hooks_may_use_drivers(bench: Bench, path: list[S]) -> None:
    for status in path:
        bench.session.update_status(status)
    assert bench.client.call("echo", 1) == 1
    with bench.client.stream("connect") as stream:
        stream.send(b"x")
        assert stream.receive() == b"x"


def test_report_status_and_logs_need_no_lease(bench: Bench) -> None:
    bench.session.update_status(S.AVAILABLE)
    assert bench.stub.GetReport(Empty()).reports
    call = bench.stub.LogStream(Empty())
    logging.getLogger("driver.Lab").warning("hello")
    assert next(call).message == "hello"
    call.cancel()


def test_the_status_tells_version_message_and_the_one_before(bench: Bench) -> None:
    bench.session.update_status(S.AFTER_LEASE_HOOK, "cleaning")
    answer = bench.stub.GetStatus(pb.GetStatusRequest())
    assert (answer.status, answer.previous_status) == (
        S.AFTER_LEASE_HOOK.to_proto(),
        S.LEASE_READY.to_proto(),
    )
    assert (answer.message, answer.status_version) == ("cleaning", 2)


def test_a_program_may_set_any_status_also_as_a_number(bench: Bench) -> None:
    for status in (*S, *S):
        bench.session.update_status(status.value, "as told")
        assert bench.stub.GetStatus(pb.GetStatusRequest()).status == status.to_proto()
        assert bench.session.status.status is status
    with pytest.raises(ValueError, match="99"):
        bench.session.update_status(99)


def test_end_of_the_session_sets_the_event_of_a_programs_lease(bench: Bench) -> None:
    async def scenario() -> None:
        context = bench.session.lease_context = LeaseContext("lease", anyio.Event())
        answer = await anyio.to_thread.run_sync(bench.stub.EndSession, pb.EndSessionRequest())
        assert answer.success
        with anyio.fail_after(60):
            await context.end_session_requested.wait()

    assert bench.session.lease_context is None
    anyio.run(scenario)
    bench.session.lease_context = None
    assert not bench.stub.EndSession(pb.EndSessionRequest()).success


def test_a_new_session_has_no_previous_status() -> None:
    with (
        Session(root_device=Lab()) as session,
        session.serve_unix() as path,
        grpc.insecure_channel(f"unix:{path}") as channel,
    ):
        answer = ExporterStub(channel).GetStatus(pb.GetStatusRequest())
    assert (answer.status, answer.status_version) == (S.AVAILABLE.to_proto(), 0)
    assert not answer.HasField("previous_status")


def test_ending_the_session_is_for_leases(bench: Bench) -> None:
    assert bench.client.end_session() is False
    ended = threading.Event()
    bench.session.on_end_session = ended.set
    assert bench.client.end_session() is True
    assert ended.wait(WAIT)


def test_reset_reaches_the_drivers(bench: Bench) -> None:
    resets: list[int] = []
    bench.lab.reset = lambda: resets.append(1)  # type: ignore[method-assign]
    bench.stub.Reset(pb.ResetRequest())
    assert resets == [1]


# --- errors ---


@pytest.mark.parametrize(
    ("kind", "error", "code", "text"),
    [
        ("value", DriverInvalidArgument, "INVALID_ARGUMENT", "ValueError: bad voltage"),
        ("timeout", DriverError, "DEADLINE_EXCEEDED", "TimeoutError: no answer"),
        ("missing", DriverMethodNotImplemented, "UNIMPLEMENTED", "NotImplementedError: not on this board"),
        ("key", DriverError, "UNKNOWN", "KeyError: 'boom'"),
        ("custom", DriverError, "UNKNOWN", "Custom: fuse blown"),
        ("empty", DriverError, "UNKNOWN", "Custom: Custom"),
        ("not-ready", ExporterNotReady, "FAILED_PRECONDITION", "ExporterNotReady: powered off"),
    ],
)
def test_what_a_driver_raises_arrives_with_its_type(
    bench: Bench, kind: str, error: type[DriverError], code: str, text: str
) -> None:
    with pytest.raises(error) as caught:
        bench.client.call("fail", kind)
    assert type(caught.value) is error
    assert str(caught.value) == f"'fail' failed on the exporter: {text}"
    request = pb.DriverCallRequest(uuid=str(bench.lab.uuid), method="fail")
    request.args.add().string_value = kind
    with pytest.raises(grpc.RpcError) as raw:
        bench.stub.DriverCall(request)
    assert raw.value.code().name == code
    assert bench.client.call("echo", "alive") == "alive"


def test_an_error_of_a_generator_comes_after_its_items(bench: Bench) -> None:
    items = bench.client.streamingcall("failing_items")
    assert next(items) == 1
    with pytest.raises(DriverError, match="Custom: half-way"):
        next(items)


def test_a_missing_method_is_told(bench: Bench) -> None:
    with pytest.raises(DriverMethodNotImplemented, match="method nothing not found on driver Lab"):
        bench.client.call("nothing")
    with pytest.raises(DriverMethodNotImplemented, match="missing marker marker_drivercall"):
        bench.client.call("close")
    with pytest.raises(DriverMethodNotImplemented, match="missing marker"):
        list(bench.client.streamingcall("echo"))
    with pytest.raises(DriverMethodNotImplemented, match="missing marker"), bench.client.stream("echo"):
        pass


@pytest.mark.parametrize("uuid", ["", "x", "12345678-1234-5678-1234-567812345678"])
def test_an_unknown_driver_is_told(bench: Bench, uuid: str) -> None:
    with pytest.raises(grpc.RpcError, match=r"no driver .* in this session"):
        bench.stub.DriverCall(pb.DriverCallRequest(uuid=uuid, method="echo"))


def test_a_value_that_cannot_travel_is_told(bench: Bench) -> None:
    with pytest.raises(DriverInvalidArgument, match="type object cannot be sent"):
        bench.client.call("return_object")
    with pytest.raises(ValueError, match="type object cannot be sent"):
        bench.client.call("echo", object())


def test_a_result_of_10_mb_says_what_to_do_instead(bench: Bench) -> None:
    with pytest.raises(DriverError, match=r"big returned 9.5 MiB: a call carries 4 MiB at the most"):
        bench.client.call("big", 10_000_000)
    assert len(bench.client.call("big", 4_000_000)) == 4_000_000


def test_an_argument_of_10_mb_says_what_to_do_instead(bench: Bench) -> None:
    with pytest.raises(DriverError, match=r"4 MiB at the most, use a stream or a resource"):
        bench.client.call("echo", "x" * 10_000_000)
    assert bench.client.call("echo", "alive") == "alive"


@pytest.mark.parametrize(
    ("metadata", "text"),
    [
        ((), "no metadata entry 'request'"),
        ((("request", "{"),), "is not valid"),
        ((("request", "{}"),), "is not valid"),
        (
            (("request", '{"kind":"other","uuid":"12345678-1234-5678-1234-567812345678"}'),),
            "unknown kind 'other'",
        ),
        ((("request", '{"kind":"driver","uuid":"x","method":"connect"}'),), "is not valid"),
    ],
)
def test_a_malformed_stream_request_is_told(bench: Bench, metadata: Any, text: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        list(bench.stub.Stream(iter(()), metadata=metadata))
    assert text in (caught.value.details() or "")


# --- busy and gone ---


def test_blocked_drivers_do_not_stall_status_calls_streams_or_other_drivers(bench: Bench) -> None:
    with ThreadPoolExecutor(60) as pool:
        blocked = [pool.submit(bench.client.call, "block") for _ in range(50)]
        assert bench.lab.wait_for("blocking")
        assert bench.stub.GetStatus(pb.GetStatusRequest(), timeout=WAIT).status == S.LEASE_READY.to_proto()
        assert bench.client.call("echo", 1) == 1
        assert bench.client.children["other"].call("echo_async", 2) == 2
        assert list(bench.client.children["other"].streamingcall("items", 3)) == [0, 1, 2]
        with bench.client.stream("connect") as stream:
            stream.send(b"x")
            assert stream.receive() == b"x"
        assert not any(call.done() for call in blocked)
        bench.lab.release.set()
        assert [call.result(WAIT) for call in blocked] == [None] * 50


def test_a_generator_that_blocks_stalls_nobody(bench: Bench) -> None:
    items = bench.client.streamingcall("blocked_items")
    assert next(items) == 1
    assert bench.client.call("echo_async", 1) == 1
    assert list(bench.client.streamingcall("items", 3)) == [0, 1, 2]
    items.close()


def test_cancelling_a_call_cancels_an_async_method(bench: Bench) -> None:
    request = pb.DriverCallRequest(uuid=str(bench.lab.uuid), method="sleep")
    call = bench.stub.DriverCall.future(request)
    assert bench.lab.wait_for("sleeping")
    call.cancel()
    assert bench.lab.wait_for("cancelled")


def test_an_exception_in_the_waiting_thread_cancels_an_async_method(bench: Bench) -> None:
    """As Ctrl-C and Robot Framework's time limits do."""
    import signal

    class Interrupted(Exception):
        pass

    def interrupt(*_: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        main = threading.main_thread().ident
        assert main is not None

        def soon() -> None:
            if bench.lab.wait_for("sleeping"):
                signal.pthread_kill(main, signal.SIGUSR1)

        thread = threading.Thread(target=soon)
        thread.start()
        with pytest.raises(Interrupted):
            bench.client.call("sleep")
        thread.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert bench.lab.wait_for("cancelled")


def test_leaving_a_generator_closes_the_drivers(bench: Bench) -> None:
    for name, event in (("items", "items closed"), ("items_async", "async items closed")):
        items = bench.client.streamingcall(name, *([10**9] if name == "items" else []))
        assert [next(items) for _ in range(3)] == [0, 1, 2]
        items.close()
        assert bench.lab.wait_for(event)


def test_a_session_that_ends_ends_its_calls(bench: Bench) -> None:
    with ThreadPoolExecutor(2) as pool:
        call = pool.submit(bench.client.call, "block")
        assert bench.lab.wait_for("blocking")
        bench.session._stack.close()
        lab = bench.lab
        with Session(root_device=lab) as session, session.serve_unix() as path:
            session.update_status(S.LEASE_READY)
            with connect_path(path, allow=[], unsafe=True) as client:
                assert client.call("echo", "again") == "again"
        lab.release.set()
        call.exception(WAIT)


def test_calls_that_are_cancelled_at_any_moment_leave_nothing_behind(bench: Bench) -> None:
    """Before, while and after the driver opens its stream or begins its generator."""
    request = json.dumps({"kind": "driver", "uuid": str(bench.lab.uuid), "method": "connect"})

    def cancel_many(seed: int) -> None:
        chance, never = random.Random(seed), threading.Event()
        for _ in range(40):
            if chance.random() < 0.5:
                call = bench.stub.Stream(iter(()), metadata=(("request", request),))
            else:
                items = pb.StreamingDriverCallRequest(uuid=str(bench.lab.uuid), method="items_async")
                call = bench.stub.StreamingDriverCall(items)
            never.wait(chance.random() * 0.004)
            call.cancel()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(cancel_many, range(6)))
    count = bench.lab.events.count
    eventually(lambda: not bench.session.portal._running and count("opened") == count("closed"), timeout=WAIT)
    assert count("opened") > 0
    assert count("async items closed") > 0
    assert bench.client.call("echo", "alive") == "alive"


# --- logs ---


def test_every_client_gets_all_lines_with_their_sources(bench: Bench) -> None:
    calls = [bench.stub.LogStream(Empty()) for _ in range(2)]
    for call in calls:
        call.initial_metadata()
    with bench.session.context_log_source("lab.hooks", LogSource.BEFORE_LEASE_HOOK):
        logging.getLogger("lab.hooks").warning("in a hook")
    logging.getLogger("driver.Lab").error("of a driver")
    for call in calls:
        lines = [next(call) for _ in range(2)]
        assert [(line.message, line.severity, line.source) for line in lines] == [
            ("in a hook", "WARNING", LogSource.BEFORE_LEASE_HOOK.to_proto()),
            ("of a driver", "ERROR", LogSource.DRIVER.to_proto()),
        ]
        call.cancel()


def test_log_lines_reach_the_clients_loggers(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    arrived = threading.Event()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage() == "from the board":
                arrived.set()

    handler = Handler()
    logger = logging.getLogger("exporter:driver")
    logger.addHandler(handler)
    # Here exporter and client share a process: its own lines must not come round again.
    logger.propagate = False
    try:
        with bench.client.log_stream():
            logging.getLogger("driver.Lab").warning("from the board")
            assert arrived.wait(WAIT)
    finally:
        logger.removeHandler(handler)
        logger.propagate = True


# --- life of a session ---


def test_a_driver_that_cannot_be_reset_is_closed_and_told() -> None:
    lab = Lab()
    closed: list[int] = []
    lab.close = lambda: closed.append(1)  # type: ignore[method-assign]

    def reset() -> None:
        raise RuntimeError("no power")

    lab.reset = reset  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="no power"), Session(root_device=lab):
        pass
    assert closed == [1]


def test_an_exporter_that_is_gone_is_a_connection_error(bench: Bench) -> None:
    bench.session._stack.close()
    with pytest.raises(ConnectionError), connect_path("127.0.0.1:1", allow=[], unsafe=True, insecure=True):
        pass
