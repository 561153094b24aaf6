"""Operations that are under way while an administrator takes away what allows them.

The lab's loop is held while it writes, so that what comes meanwhile waits in a known order: the administrator first.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from jumpstarter.common.passages import PASSAGE_METADATA_KEY
from jumpstarter_controller.runtime.draft import Draft
from jumpstarter_protocol import client_pb2, jumpstarter_pb2, lab_pb2

from .peers import AVAILABLE, LEASE_READY, ROOT, ClientPeer, ExporterPeer, Peer, TestLab, refusal

pytestmark = pytest.mark.anyio

CLIENT, EXPORTER, ADMINISTRATOR = lab_pb2.ROLE_CLIENT, lab_pb2.ROLE_EXPORTER, lab_pb2.ROLE_ADMINISTRATOR
LIST = client_pb2.ListLeasesRequest(parent=ROOT)
RENEW = client_pb2.RotateTokenRequest(parent=ROOT)


@asynccontextmanager
async def busy(lab: TestLab, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[..., Any]]:
    """A lab whose loop writes as long as the block runs. What the block gets sends a call and waits until it is queued."""
    runtime = lab.running.lab
    released, writing = asyncio.Event(), asyncio.Event()
    commit = runtime.journal.commit

    async def wait(draft: Draft) -> None:
        writing.set()
        await released.wait()
        await commit(draft)

    monkeypatch.setattr(runtime.journal, "commit", wait)
    runtime.note("test", "test", "test")
    await writing.wait()

    arrived, change = asyncio.Event(), runtime.change

    async def noticed(operation: Callable[[Draft], Any]) -> Any:
        arrived.set()
        return await change(operation)

    monkeypatch.setattr(runtime, "change", noticed)

    async def queued(call: Any) -> asyncio.Task[Any]:
        arrived.clear()
        task = asyncio.ensure_future(call)
        waiting = asyncio.ensure_future(arrived.wait())
        await asyncio.wait({task, waiting}, timeout=60, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        return task

    try:
        yield queued
    finally:
        released.set()


def rotation(lab: TestLab, role: int, name: str) -> Any:
    request = lab_pb2.RotateIdentityRequest(role=role, name=name)  # type: ignore[arg-type]
    return lab.admin.ask(lab.admin.admin.RotateIdentity, request)


async def works(lab: TestLab, token: str) -> bool:
    peer = ClientPeer(lab.channel, "Client", "alice", token)
    try:
        await peer.ask(peer.clients.ListLeases, LIST)
    except Exception:  # noqa: BLE001 - refused
        return False
    return True


async def test_renewals_under_way_while_the_administrator_rotates_give_no_token_that_stays(
    lab: TestLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await lab.client()
    async with busy(lab, monkeypatch) as queued:
        before = [await queued(alice.ask(alice.clients.RotateToken, RENEW)) for _ in range(4)]
        rotated = await queued(rotation(lab, CLIENT, "alice"))
        after = [await queued(alice.ask(alice.clients.RotateToken, RENEW)) for _ in range(4)]
    assert await works(lab, (await rotated).token)
    for task in before:
        assert not await works(lab, (await task).token)
    for task in after:
        assert "the token is revoked" in (await refusal(task))[1]


async def test_renewals_in_any_order_beside_a_rotation_give_no_token_that_stays(lab: TestLab) -> None:
    alice = await lab.client()
    asked = [alice.ask(alice.clients.RotateToken, RENEW) for _ in range(8)]
    rotated, *renewed = await asyncio.gather(rotation(lab, CLIENT, "alice"), *asked, return_exceptions=True)
    assert await works(lab, rotated.token)
    tokens = [each.token for each in renewed if not isinstance(each, BaseException)]
    assert [await works(lab, token) for token in tokens] == [False] * len(tokens)


async def leased(lab: TestLab) -> tuple[ExporterPeer, ClientPeer, ClientPeer, client_pb2.Lease]:
    board = await lab.exporter(board="rpi")
    alice, bob = await lab.client(), await lab.client("bob")
    return board, alice, bob, await alice.until_ready(await alice.create("board=rpi"))


def transfer(lab: TestLab, lease: client_pb2.Lease) -> Any:
    request = lab_pb2.TransferLeaseRequest(name=lease.name, client=f"{ROOT}/clients/bob")
    return lab.admin.ask(lab.admin.admin.TransferLease, request)


async def test_updates_of_the_old_owner_do_not_take_a_transferred_lease_back(
    lab: TestLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, alice, bob, lease = await leased(lab)
    back = client_pb2.Lease(name=lease.name, client=f"{ROOT}/clients/alice")
    longer = client_pb2.Lease(name=lease.name)
    longer.duration.FromSeconds(7200)
    async with busy(lab, monkeypatch) as queued:
        moved = await queued(transfer(lab, lease))
        late = [
            await queued(alice.update(each)) for each in (back, client_pb2.Lease(name=lease.name), longer)
        ]
        late.append(await queued(alice.delete(lease.name)))
        release = jumpstarter_pb2.ReleaseLeaseRequest(name=lease.name.rpartition("/")[2])
        late.append(await queued(alice.ask(alice.controller.ReleaseLease, release)))
    assert (await moved).client == f"{ROOT}/clients/bob"
    for task in late:
        assert "permission denied" in (await refusal(task))[1]
    now = await bob.get(lease.name)
    assert (now.client, now.duration.seconds) == (f"{ROOT}/clients/bob", 600)


#: Methods that change nothing. Those with streams, and those that wait for an exporter, have tests of their own: here below,
#: in test_former_holder.py and in test_authentication.py.
READING = {
    "ClientService": {"GetExporter", "ListExporters", "GetLease", "ListLeases"},
    "ControllerService": {
        "AuditStream",
        "GetLease",
        "ListLeases",
        "GetServiceEndpoints",
        "Listen",
        "Status",
        "Dial",
    },
    "AdminService": {"ListIdentities", "ListLeases", "ListPolicies", "ListAudit"},
    "LabService": {"WatchLease", "OpenPassage"},
}
SERVICES = [
    module.DESCRIPTOR.services_by_name[name]
    for module, names in (
        (client_pb2, ("ClientService",)),
        (jumpstarter_pb2, ("ControllerService",)),
        (lab_pb2, ("AdminService", "LabService")),
    )
    for name in names
]

Calls = list[tuple[Peer, str, str, Any]]


def changing_calls(
    board: ExporterPeer, alice: ClientPeer, bob: ClientPeer, eve: Peer, lease: client_pb2.Lease
) -> Calls:
    """(who, service, method, request) of everything that changes the lab."""
    name = lease.name.rpartition("/")[2]
    to_bob = lab_pb2.TransferLeaseRequest(name=lease.name, client=f"{ROOT}/clients/bob")
    release = jumpstarter_pb2.ReleaseLeaseRequest(name=name)
    requests: list[tuple[Peer, str, Any]] = [
        (bob, "ClientService/CreateLease", create_request()),
        (alice, "ClientService/UpdateLease", client_pb2.UpdateLeaseRequest(lease=lease)),
        (alice, "ClientService/DeleteLease", client_pb2.DeleteLeaseRequest(name=lease.name)),
        (alice, "ClientService/RotateToken", RENEW),
        (
            bob,
            "ControllerService/RequestLease",
            jumpstarter_pb2.RequestLeaseRequest(duration=Duration(seconds=60)),
        ),
        (alice, "ControllerService/ReleaseLease", release),
        (board, "ControllerService/ReleaseLease", release),
        (
            board,
            "ControllerService/Register",
            jumpstarter_pb2.RegisterRequest(labels={"jumpstarter.dev/x": "y"}),
        ),
        (
            board,
            "ControllerService/ReportStatus",
            jumpstarter_pb2.ReportStatusRequest(status=AVAILABLE, release_lease=True),
        ),
        (board, "ControllerService/Unregister", jumpstarter_pb2.UnregisterRequest()),
        (alice, "LabService/ReleaseClaim", lab_pb2.ReleaseClaimRequest(name=lease.name, claim="c")),
        (
            eve,
            "AdminService/CreateIdentity",
            lab_pb2.CreateIdentityRequest(role=ADMINISTRATOR, name="mallory"),
        ),
        (
            eve,
            "AdminService/IssueCredential",
            lab_pb2.IssueCredentialRequest(role=ADMINISTRATOR, name="admin"),
        ),
        (eve, "AdminService/RotateIdentity", lab_pb2.RotateIdentityRequest(role=CLIENT, name="alice")),
        (
            eve,
            "AdminService/UpdateIdentity",
            lab_pb2.UpdateIdentityRequest(role=EXPORTER, name="board-1", enabled=False),
        ),
        (eve, "AdminService/DeleteIdentity", lab_pb2.DeleteIdentityRequest(role=CLIENT, name="alice")),
        (eve, "AdminService/SetExporterEnabled", lab_pb2.SetExporterEnabledRequest(name="board-1")),
        (eve, "AdminService/EndLease", lab_pb2.EndLeaseRequest(name=lease.name)),
        (eve, "AdminService/TransferLease", to_bob),
        (eve, "AdminService/PutPolicy", lab_pb2.Policy(name="mine", exporter_selector="")),
        (eve, "AdminService/DeletePolicy", lab_pb2.DeletePolicyRequest(name="kept")),
    ]
    return [(peer, *path.split("/"), request) for peer, path, request in requests]  # type: ignore[misc]


async def test_every_method_that_changes_something_is_asked_for_here(lab: TestLab) -> None:
    board, alice, bob, lease = await leased(lab)
    asked = {(service, method) for _, service, method, _ in changing_calls(board, alice, bob, alice, lease)}
    assert asked | {(service, method) for service, names in READING.items() for method in names} == {
        (service.name, method.name) for service in SERVICES for method in service.methods
    }


async def test_what_a_revoked_caller_has_under_way_changes_nothing(
    lab: TestLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    board, alice, bob, lease = await leased(lab)
    eve = Peer(lab.channel, "Administrator", "eve", (await lab.identity(ADMINISTRATOR, "eve")).token)
    calls = changing_calls(board, alice, bob, eve, lease)
    await lab.admin.ask(
        lab.admin.admin.PutPolicy,
        lab_pb2.Policy(name="kept", rules=[lab_pb2.PolicyRule(client_selectors=[""])]),
    )
    async with busy(lab, monkeypatch) as queued:
        for role, name in ((CLIENT, "alice"), (CLIENT, "bob"), (EXPORTER, "board-1"), (ADMINISTRATOR, "eve")):
            await queued(rotation(lab, role, name))
        records = lab.running.lab.records
        before = (
            dict(records.leases),
            dict(records.exporters),
            dict(records.policies),
            dict(records.clients),
        )
        late = [
            await queued(peer.ask(getattr(stub_of(peer, service), method), request))
            for peer, service, method, request in calls
        ]
    for task in late:
        assert "the token is revoked" in (await refusal(task))[1]
    leases, exporters, policies, clients = before
    assert dict(records.leases) == leases
    assert {name: each.labels for name, each in records.exporters.items()} == {
        name: each.labels for name, each in exporters.items()
    }
    assert (dict(records.policies), dict(records.clients)) == (policies, clients)


async def test_a_name_that_came_and_went_while_it_was_looked_up_is_not_given_again(
    lab: TestLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, alice, bob, _ = await leased(lab)
    asked, answered = asyncio.Event(), asyncio.Event()
    journal = lab.running.lab.journal
    look_up = journal.lease

    async def slow(name: str) -> Any:
        found = await look_up(name)
        asked.set()
        await answered.wait()
        return found

    monkeypatch.setattr(journal, "lease", slow)
    late = asyncio.ensure_future(bob.create("board=rpi", lease_id="mine"))
    async with asyncio.timeout(60):
        await asked.wait()
    monkeypatch.setattr(journal, "lease", look_up)
    first = await alice.create("board=rpi", lease_id="mine")
    await alice.delete(first.name)
    answered.set()
    assert "exists already" in (await refusal(late))[1]
    assert (await alice.get(first.name)).client == f"{ROOT}/clients/alice"


async def test_a_revoked_caller_gets_no_keys_of_a_passage_that_was_asked_for_before(lab: TestLab) -> None:
    board, alice, _, lease = await leased(lab)
    await board.report(LEASE_READY)
    request = lab_pb2.OpenPassageRequest(lease_name=lease.name.rpartition("/")[2])
    asked = asyncio.ensure_future(alice.ask(alice.labs.OpenPassage, request))
    await alice.get(lease.name)  # the calls of one connection are begun in their order
    await rotation(lab, CLIENT, "alice")
    listening = board.controller.Listen(
        jumpstarter_pb2.ListenRequest(lease_name=request.lease_name),
        metadata=[*board.metadata, (PASSAGE_METADATA_KEY, "alice")],
    )
    assert "the token is revoked" in (await refusal(asked))[1]
    listening.cancel()


def stub_of(peer: Peer, service: str) -> Any:
    return {
        "ClientService": peer.clients,
        "ControllerService": peer.controller,
        "AdminService": peer.admin,
        "LabService": peer.labs,
    }[service]


def create_request() -> client_pb2.CreateLeaseRequest:
    lease = client_pb2.Lease(selector="board=rpi")
    lease.duration.FromSeconds(60)
    return client_pb2.CreateLeaseRequest(parent=ROOT, lease=lease)
