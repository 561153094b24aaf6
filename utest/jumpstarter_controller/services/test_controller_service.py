"""ControllerService over real TLS, as exporters and the clients that dial them call it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from jumpstarter_controller.runtime.listeners import CAPACITY
from jumpstarter_controller.services import controller_service, dialling, paging
from jumpstarter_protocol import client_pb2, common_pb2, jumpstarter_pb2, kubernetes_pb2, lab_pb2

from .peers import (
    AVAILABLE,
    LEASE_READY,
    OFFLINE,
    ROOT,
    STEP,
    ClientPeer,
    ExporterPeer,
    TestLab,
    conditions,
    refusal,
    secure_channel,
)

pytestmark = pytest.mark.anyio

FAILED_PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION
UNKNOWN = grpc.StatusCode.UNKNOWN


@pytest.fixture
async def alice(lab: TestLab) -> ClientPeer:
    return await lab.client()


@pytest.fixture
async def board(lab: TestLab) -> ExporterPeer:
    return await lab.exporter(board="rpi")


async def exporter_of(client: ClientPeer) -> client_pb2.Exporter:
    request = client_pb2.GetExporterRequest(name=f"{ROOT}/exporters/board-1")
    return await client.ask(client.clients.GetExporter, request)


async def read(stream: Any) -> Any:
    async with asyncio.timeout(60):
        return await stream.read()


async def test_register_replaces_the_exporters_own_labels_only(lab: TestLab, alice: ClientPeer) -> None:
    board = await lab.exporter(board="rpi")
    uid = await board.register({"jumpstarter.dev/name": "one", "jumpstarter.dev/old": "1", "board": "stolen"})
    assert len(uid) == 36
    await board.register({"jumpstarter.dev/name": "two"})
    assert dict((await exporter_of(alice)).labels) == {"board": "rpi", "jumpstarter.dev/name": "two"}


async def test_first_status_says_that_nobody_has_the_board(board: ExporterPeer) -> None:
    assert await read(board.status()) == jumpstarter_pb2.StatusResponse(leased=False)


async def test_status_follows_the_lease_and_its_transfer(
    lab: TestLab, board: ExporterPeer, alice: ClientPeer
) -> None:
    await lab.client("bob")
    status = board.status()
    await read(status)
    lease = await alice.create("board=rpi", context={"job": "7"})
    leased = await read(status)
    assert (leased.leased, leased.client_name, dict(leased.context)) == (True, "alice", {"job": "7"})
    assert lease.name == f"{ROOT}/leases/{leased.lease_name}"
    await alice.update(client_pb2.Lease(name=lease.name, client=f"{ROOT}/clients/bob"))
    assert (await read(status)).client_name == "bob"
    await lab.admin.ask(lab.admin.admin.EndLease, lab_pb2.EndLeaseRequest(name=lease.name))
    assert not (await read(status)).leased


async def test_exporter_is_told_that_it_is_free_between_two_leases(
    board: ExporterPeer, alice: ClientPeer
) -> None:
    status = board.status()
    await read(status)
    first, second = await alice.create("board=rpi"), await alice.create("board=rpi")
    assert f"{ROOT}/leases/{(await read(status)).lease_name}" == first.name
    await alice.delete(first.name)  # the next one is granted in the same write
    assert not (await read(status)).leased
    assert f"{ROOT}/leases/{(await read(status)).lease_name}" == second.name


async def test_exporter_whose_stream_breaks_between_two_leases_is_told_that_too(
    board: ExporterPeer, alice: ClientPeer
) -> None:
    first = await alice.create("board=rpi")
    status = board.status()
    assert (await read(status)).leased
    status.cancel()
    status = board.status()
    assert (await read(status)).leased  # the same lease goes on
    status.cancel()
    second = await alice.create("board=rpi")
    await alice.delete(first.name)
    status = board.status()
    assert not (await read(status)).leased
    assert f"{ROOT}/leases/{(await read(status)).lease_name}" == second.name
    await alice.until_ready(second)


async def test_board_whose_stream_broke_is_not_granted_before_it_is_back(
    board: ExporterPeer, alice: ClientPeer
) -> None:
    status = board.status()
    await read(status)
    status.cancel()
    await until(alice, lambda exporter: not exporter.online)
    lease = await alice.create("board=rpi")
    assert conditions(lease)["Pending"] == ("True", "Offline")
    status = board.status()
    await alice.until_ready(lease)


async def until(client: ClientPeer, check: Callable[[client_pb2.Exporter], bool]) -> None:
    """Wait for a state of the board that nobody is told of."""
    async with asyncio.timeout(STEP):
        while not check(await exporter_of(client)):  # noqa: ASYNC110 - there is no call that waits for it
            await asyncio.sleep(0.02)


async def test_goodbye_of_one_of_two_processes_without_sessions_is_taken_back(
    board: ExporterPeer, alice: ClientPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controller_service, "HEARTBEAT", 0.2)
    old, new = board.status(), board.status()
    await read(old), await read(new)
    # The old process ends its stream, and then says goodbye.
    old.cancel()
    await board.report(OFFLINE, "bye")
    await board.ask(board.controller.Unregister, jumpstarter_pb2.UnregisterRequest(reason="bye"))
    await until(alice, lambda exporter: exporter.online)
    assert conditions(await alice.create("board=rpi"))["Ready"] == ("True", "Ready")
    new.cancel()


async def test_old_session_changes_nothing(board: ExporterPeer, alice: ClientPeer) -> None:
    older = board.with_metadata(await register_again(board))
    newer = board.with_metadata(await register_again(board))
    status = newer.status()
    await read(status)
    await newer.report(AVAILABLE)
    for call in (
        older.report(OFFLINE, "bye"),
        read(older.status()),
        older.ask(older.controller.Register, jumpstarter_pb2.RegisterRequest()),
    ):
        code, text = await refusal(call)
        assert code is grpc.StatusCode.UNKNOWN
        assert "another process has registered as exporter 'board-1' since" in text
    await older.ask(older.controller.Unregister, jumpstarter_pb2.UnregisterRequest(reason="bye"))
    found = await exporter_of(alice)
    assert found.online and found.status == AVAILABLE
    lease = await alice.create("board=rpi")
    assert conditions(lease)["Ready"] == ("True", "Ready")
    code, _ = await refusal(read(older.listen(lease.name)))
    assert code is grpc.StatusCode.UNKNOWN
    with suppress(grpc.aio.AioRpcError):
        await older.report(AVAILABLE, release=True)
    assert conditions(await alice.get(lease.name))["Ready"] == ("True", "Ready")
    status.cancel()


async def test_exporter_is_back_as_it_was_without_a_registration(
    board: ExporterPeer, alice: ClientPeer
) -> None:
    process = board.with_metadata(await register_again(board))
    await process.report(AVAILABLE, "here")
    status = process.status()
    await read(status)
    status.cancel()
    await until(alice, lambda exporter: not exporter.online)
    back = process.status(back="AVAILABLE")
    assert not (await read(back)).leased
    found = await exporter_of(alice)
    assert found.online and found.status == AVAILABLE and found.status_message == "here"
    assert conditions(await alice.create("board=rpi"))["Ready"] == ("True", "Ready")


@pytest.mark.parametrize("what", ["status", "goodbye", "session", "no session"])
async def test_exporter_that_is_not_known_as_it_says_has_to_register(board: ExporterPeer, what: str) -> None:
    process = board.with_metadata(await register_again(board))
    await process.report(AVAILABLE)
    match what:
        case "status":
            await process.report(LEASE_READY)
        case "goodbye":
            await process.ask(board.controller.Unregister, jumpstarter_pb2.UnregisterRequest())
            await board.report(AVAILABLE)
        case "session":
            process = board.with_metadata(await register_again(board))
            process = board.with_metadata("1")
            await board.report(AVAILABLE)
        case "no session":
            process = board
    call = process.status(back="AVAILABLE")
    code, text = await refusal(read(call))
    assert code is grpc.StatusCode.UNKNOWN and "exporter 'board-1' is not known as it was" in text
    assert dict(await call.trailing_metadata())["x-jmp-refusal"] == "Unregistered"


async def register_again(board: ExporterPeer) -> str:
    """Register without a number; gives that of the new session."""
    call = board.controller.Register(jumpstarter_pb2.RegisterRequest(), metadata=board.metadata)
    await call
    return str(dict(await call.trailing_metadata())["x-jmp-session"])


async def test_connecting_again_takes_back_that_an_exporter_is_offline(
    board: ExporterPeer, alice: ClientPeer
) -> None:
    await board.report(OFFLINE, "bye")
    assert (await exporter_of(alice)).status_message == "bye"
    await read(board.status())
    assert (await exporter_of(alice)).status == common_pb2.EXPORTER_STATUS_UNSPECIFIED
    lease = await alice.create("board=rpi")
    assert conditions(lease)["Ready"] == ("True", "Ready")


async def test_unregistered_exporter_is_offline_and_keeps_its_lease(
    board: ExporterPeer, alice: ClientPeer
) -> None:
    lease = await alice.create("board=rpi")
    request = jumpstarter_pb2.UnregisterRequest(reason="maintenance")
    await board.ask(board.controller.Unregister, request)
    exporter = await exporter_of(alice)
    assert (exporter.online, exporter.status, exporter.status_message) == (False, OFFLINE, "maintenance")
    assert conditions(await alice.get(lease.name))["Ready"] == ("True", "Ready")
    assert conditions(await alice.create("board=rpi")) == {"Pending": ("True", "Offline")}


async def test_waiter_gets_the_board_when_it_has_tidied_up(board: ExporterPeer, alice: ClientPeer) -> None:
    first = await alice.create("board=rpi")
    await board.report(LEASE_READY)
    await alice.delete(first.name)
    second = await alice.create("board=rpi")
    assert conditions(second) == {"Pending": ("True", "NotReady")}
    ready = asyncio.create_task(alice.until_ready(second))
    await board.report(AVAILABLE)
    assert (await ready).exporter


async def test_report_can_release_the_lease(board: ExporterPeer, alice: ClientPeer) -> None:
    lease = await alice.create("board=rpi")
    await board.report(AVAILABLE, release=True)
    assert conditions(await alice.get(lease.name)) == {"Ready": ("False", "Released")}
    await board.report(AVAILABLE, release=True)


async def test_dial_gives_each_side_its_token(board: ExporterPeer, alice: ClientPeer) -> None:
    lease = await alice.create("board=rpi")
    listening = board.listen(lease.name)
    await board.report(LEASE_READY)
    for_client = await alice.dial(lease.name)
    for_exporter = await read(listening)
    assert for_client.router_endpoint == for_exporter.router_endpoint
    assert for_client.router_token != for_exporter.router_token


@pytest.mark.parametrize("status", ["BEFORE_LEASE_HOOK", "LEASE_READY", "AFTER_LEASE_HOOK", "UNSPECIFIED"])
async def test_dial_is_open_in_hooks_too(board: ExporterPeer, alice: ClientPeer, status: str) -> None:
    lease = await alice.create("board=rpi")
    await board.report(common_pb2.ExporterStatus.Value(f"EXPORTER_STATUS_{status}"))
    listening = board.listen(lease.name)
    assert (await alice.dial(lease.name)).router_token
    assert await read(listening)


async def test_dial_is_open_after_a_failed_hook_while_the_exporter_listens(
    board: ExporterPeer, alice: ClientPeer
) -> None:
    lease = await alice.create("board=rpi")
    await board.report(common_pb2.EXPORTER_STATUS_BEFORE_LEASE_HOOK)
    listening = board.listen(lease.name)
    await alice.dial(lease.name)
    await board.report(common_pb2.EXPORTER_STATUS_BEFORE_LEASE_HOOK_FAILED)
    assert (await alice.dial(lease.name)).router_token
    assert await read(listening)


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ("OFFLINE", "exporter is offline"),
        ("BEFORE_LEASE_HOOK_FAILED", "exporter beforeLease hook failed"),
        ("AFTER_LEASE_HOOK_FAILED", "exporter afterLease hook failed"),
    ],
)
async def test_dial_is_refused_at_once(
    board: ExporterPeer, alice: ClientPeer, status: str, text: str
) -> None:
    lease = await alice.create("board=rpi")
    await board.report(common_pb2.ExporterStatus.Value(f"EXPORTER_STATUS_{status}"))
    assert await refusal(alice.dial(lease.name)) == (FAILED_PRECONDITION, text)


async def test_dial_waits_until_the_exporter_is_ready_and_listens(
    board: ExporterPeer, alice: ClientPeer
) -> None:
    lease = await alice.create("board=rpi")
    dial = asyncio.create_task(alice.dial(lease.name))
    await board.report(LEASE_READY)
    listening = board.listen(lease.name)
    assert (await dial).router_token
    assert (await read(listening)).router_token


async def test_dial_gives_up_in_the_words_that_clients_look_for(
    board: ExporterPeer, alice: ClientPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialling, "READY_TIMEOUT", 0.1)
    monkeypatch.setattr(dialling, "LISTEN_TIMEOUT", 0.1)
    lease = await alice.create("board=rpi")
    assert await refusal(alice.dial(lease.name)) == (
        FAILED_PRECONDITION,
        "exporter is not ready (status: Available)",
    )
    await board.report(LEASE_READY)
    code, text = await refusal(alice.dial(lease.name))
    assert code is grpc.StatusCode.UNAVAILABLE
    assert text.startswith("exporter is not listening on lease")


async def test_dial_of_a_lease_that_is_not_active(
    lab: TestLab, board: ExporterPeer, alice: ClientPeer
) -> None:
    bob = await lab.client("bob")
    lease = await alice.create("board=rpi")
    waiting = await alice.create("board=rpi")
    code, text = await refusal(bob.dial(lease.name))
    assert code is UNKNOWN
    assert text.startswith("permission denied")
    for name in (waiting.name, lease.name):
        if name == lease.name:
            await alice.delete(name)
        code, text = await refusal(alice.dial(name))
        assert code is UNKNOWN
        assert "lease not active" in text
    assert "does not exist" in (await refusal(alice.dial("none")))[1]


async def test_dial_that_waits_ends_with_the_lease(board: ExporterPeer, alice: ClientPeer) -> None:
    lease = await alice.create("board=rpi")
    dial = asyncio.create_task(alice.dial(lease.name))
    await alice.delete(lease.name)
    assert "lease not active" in (await refusal(dial))[1]


async def test_new_listener_takes_the_place_of_the_old_one(board: ExporterPeer, alice: ClientPeer) -> None:
    lease = await alice.create("board=rpi")
    await board.report(LEASE_READY)
    first = board.listen(lease.name)
    await alice.dial(lease.name)
    second = board.listen(lease.name)
    assert (await read(first)).router_token  # what it had is not lost
    assert await read(first) is grpc.aio.EOF
    dialled = await alice.dial(lease.name)
    assert (await read(second)).router_endpoint == dialled.router_endpoint


async def test_listening_needs_the_exporters_own_active_lease(
    lab: TestLab, board: ExporterPeer, alice: ClientPeer
) -> None:
    lease = await alice.create("board=rpi")
    other = await lab.exporter("board-2")
    code, text = await refusal(read(other.listen(lease.name)))
    assert (code, text.startswith("permission denied")) == (UNKNOWN, True)
    assert "does not exist" in (await refusal(read(board.listen(""))))[1]
    await alice.delete(lease.name)
    assert "has ended" in (await refusal(read(board.listen(lease.name))))[1]


async def test_exporter_that_takes_no_calls_does_not_fill_the_memory(
    board: ExporterPeer, alice: ClientPeer, lab: TestLab
) -> None:
    lease = await alice.create("board=rpi")
    await board.report(LEASE_READY)
    # gRPC takes some messages off the queue before it holds the rest back. With a window that does not grow, as exporters
    # have it, it is some hundred. Else it is thousands, for which a minute may pass; and this board, which has no Status
    # stream, is offline when it was silent for a minute.
    async with secure_channel(lab.running, ("grpc.http2.bdp_probe", 0)) as channel:
        listening = board.over(channel).listen(lease.name)
        await alice.dial(lease.name)
        refused = None
        for _ in range(50):
            dials = [refusal(alice.dial(lease.name)) for _ in range(CAPACITY)]
            outcomes = await asyncio.gather(*dials, return_exceptions=True)
            found = [each for each in outcomes if not isinstance(each, BaseException)]
            if found:
                refused = found[0]
                break
        assert refused is not None
        assert refused[0] is grpc.StatusCode.RESOURCE_EXHAUSTED, refused
        listening.cancel()


async def test_release_after_a_failed_hook_says_what_failed(board: ExporterPeer, alice: ClientPeer) -> None:
    lease = await alice.create("board=rpi")
    await board.ask(
        board.controller.ReportStatus,
        jumpstarter_pb2.ReportStatusRequest(
            status=common_pb2.EXPORTER_STATUS_BEFORE_LEASE_HOOK_FAILED, message="beforeLease hook timed out"
        ),
    )
    await board.ask(
        board.controller.ReleaseLease, jumpstarter_pb2.ReleaseLeaseRequest(name=lease.name.split("/")[-1])
    )
    ended = await alice.ask(alice.clients.GetLease, client_pb2.GetLeaseRequest(name=lease.name))
    assert ended.conditions[-1].message == "released by its exporter: beforeLease hook timed out"


async def test_release_by_client_and_exporter(lab: TestLab, board: ExporterPeer, alice: ClientPeer) -> None:
    async def release(peer: ClientPeer | ExporterPeer, name: str) -> None:
        request = jumpstarter_pb2.ReleaseLeaseRequest(name=name.rpartition("/")[2])
        await peer.ask(peer.controller.ReleaseLease, request)

    bob, other = await lab.client("bob"), await lab.exporter("board-2")
    first = await alice.create("board=rpi")
    assert (await refusal(release(bob, first.name)))[1].startswith("permission denied")
    assert (await refusal(release(other, first.name)))[0] is FAILED_PRECONDITION
    assert (await refusal(release(board, "none")))[0] is grpc.StatusCode.NOT_FOUND
    await release(board, first.name)
    await release(board, first.name)
    await release(alice, first.name)
    assert conditions(await alice.get(first.name)) == {"Ready": ("False", "Released")}


async def test_legacy_calls(board: ExporterPeer, alice: ClientPeer) -> None:
    duration = Duration()
    duration.FromTimedelta(timedelta(seconds=60))
    request = jumpstarter_pb2.RequestLeaseRequest(
        duration=duration,
        selector=kubernetes_pb2.LabelSelector(
            match_labels={"board": "rpi"},
            match_expressions=[
                kubernetes_pb2.LabelSelectorRequirement(key="rack", operator="NotIn", values=["9"]),
                kubernetes_pb2.LabelSelectorRequirement(key="board", operator="Exists"),
            ],
        ),
    )
    name = (await alice.ask(alice.controller.RequestLease, request)).name
    found = await alice.ask(alice.controller.GetLease, jumpstarter_pb2.GetLeaseRequest(name=name))
    assert found.duration == duration
    assert dict(found.selector.match_labels) == {"board": "rpi"}
    assert {item.operator for item in found.selector.match_expressions} == {"NotIn", "Exists"}
    assert found.exporter_uuid == await board.register()
    assert [condition.reason for condition in found.conditions] == ["Ready"]
    listed = await alice.ask(alice.controller.ListLeases, jumpstarter_pb2.ListLeasesRequest())
    assert list(listed.names) == [name]
    request.selector.match_expressions[0].operator = "Near"
    assert (
        "operator 'Near' is not known"
        in (await refusal(alice.ask(alice.controller.RequestLease, request)))[1]
    )


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"board": "rpi,!spare"}, "'rpi,!spare' cannot be the value of label board"),
        ({"board,rack": "rpi"}, "'board,rack' cannot be the key of a label"),
    ],
)
async def test_a_selector_in_parts_means_what_its_parts_say(
    alice: ClientPeer, labels: dict[str, str], message: str
) -> None:
    duration = Duration()
    duration.FromTimedelta(timedelta(seconds=60))
    request = jumpstarter_pb2.RequestLeaseRequest(
        duration=duration, selector=kubernetes_pb2.LabelSelector(match_labels=labels)
    )
    assert message in (await refusal(alice.ask(alice.controller.RequestLease, request)))[1]


async def test_service_endpoints_are_none(board: ExporterPeer) -> None:
    request = jumpstarter_pb2.GetServiceEndpointsRequest()
    assert not (await board.ask(board.controller.GetServiceEndpoints, request)).telemetry_endpoints


async def test_heartbeat_keeps_an_exporter_online_without_writing(
    lab: TestLab, board: ExporterPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controller_service, "HEARTBEAT", 0.01)
    state, beats = lab.running.lab, asyncio.Event()
    writes: list[object] = []
    seen, commit = state.seen, state.journal.commit

    def beat(name: str) -> bool:
        was_online = seen(name)
        beats.set()
        return was_online

    async def counted(draft: Any) -> None:
        writes.append(draft)
        await commit(draft)

    status = board.status()
    await read(status)
    before = state.records.exporters["board-1"].last_seen
    monkeypatch.setattr(state.journal, "commit", counted)
    monkeypatch.setattr(state, "seen", beat)
    async with asyncio.timeout(60):
        await beats.wait()
    after = state.records.exporters["board-1"].last_seen
    assert before is not None
    assert after is not None
    assert after > before
    assert writes == []
    status.cancel()


async def test_registration_without_bounds_is_refused_and_leaves_the_list_as_it_was(lab: TestLab) -> None:
    board, alice = await lab.exporter(board="rpi"), await lab.client()
    many = {f"jumpstarter.dev/{number}": "x" for number in range(30_000)}
    code, text = await refusal(board.register(many))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert text == "30000 labels are too many, expected at most 64"
    request = client_pb2.ListExportersRequest(parent=ROOT)
    listed = await alice.ask(alice.clients.ListExporters, request)
    assert dict(listed.exporters[0].labels) == {"board": "rpi"}


async def test_long_message_of_an_exporter_is_kept_in_part(lab: TestLab) -> None:
    board, alice = await lab.exporter(board="rpi"), await lab.client()
    await board.report(AVAILABLE, "x" * 1_000_000)
    request = client_pb2.GetExporterRequest(name=f"{ROOT}/exporters/board-1")
    found = await alice.ask(alice.clients.GetExporter, request)
    assert len(found.status_message) == 4096


async def test_list_that_no_client_could_receive_comes_in_pages(
    lab: TestLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "MAX_BYTES", 500)
    alice = await lab.client()
    names = [f"board-{number}" for number in range(9)]
    for name in names:
        await lab.exporter(name, up=False, board="x" * 60)
    found: list[str] = []
    request, pages = client_pb2.ListExportersRequest(parent=ROOT), 0
    while True:
        page = await alice.ask(alice.clients.ListExporters, request)
        assert page.ByteSize() < 700
        found += [each.name.rpartition("/")[2] for each in page.exporters]
        pages += 1
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert found == names
    assert pages > 1
