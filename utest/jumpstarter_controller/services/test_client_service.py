"""ClientService over real TLS, as users' clients call it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from jumpstarter_controller.runtime import leasing
from jumpstarter_controller.runtime.journal import StoreJournal
from jumpstarter_controller.settings import DeprecatedLabels, HiddenLabels
from jumpstarter_protocol import client_pb2, jumpstarter_pb2, lab_pb2

from .peers import AVAILABLE, ROOT, ClientPeer, TestLab, conditions, refusal, running_lab

pytestmark = pytest.mark.anyio

UNKNOWN = grpc.StatusCode.UNKNOWN
INVALID = grpc.StatusCode.INVALID_ARGUMENT


def seconds(count: float) -> Duration:
    message = Duration()
    message.FromTimedelta(timedelta(seconds=count))
    return message


async def test_free_board_is_leased_in_the_reply(lab: TestLab) -> None:
    await lab.exporter(board="rpi")
    lease = await (await lab.client()).create("board=rpi")
    assert conditions(lease) == {"Ready": ("True", "Ready")}
    assert lease.client == f"{ROOT}/clients/alice"
    assert lease.exporter == f"{ROOT}/exporters/board-1"
    assert lease.HasField("effective_begin_time")
    assert not lease.HasField("effective_end_time")


async def test_waiting_lease_says_why_and_is_told_when_it_is_ready(lab: TestLab) -> None:
    await lab.exporter(board="rpi")
    alice, bob = await lab.client(), await lab.client("bob")
    first = await alice.create("board=rpi")
    second = await bob.create("board=rpi")
    assert conditions(second) == {"Pending": ("True", "NotAvailable")}
    assert second.client == f"{ROOT}/clients/bob"
    assert not second.exporter
    waiting = asyncio.create_task(bob.until_ready(second))
    await alice.delete(first.name)
    ready = await waiting
    # Pending stays True beside Ready, and Ready comes last: stock clients read it so.
    assert [condition.type for condition in ready.conditions] == ["Pending", "Ready"]


@pytest.mark.parametrize("name", ["", "a", "my-lease.1"])
async def test_name_of_the_lease(lab: TestLab, name: str) -> None:
    await lab.exporter(board="rpi")
    lease = await (await lab.client()).create("board=rpi", lease_id=name)
    found = lease.name.removeprefix(f"{ROOT}/leases/")
    assert found == name if name else len(found) == 36


async def test_second_lease_of_a_name_is_refused_also_when_the_first_has_ended(lab: TestLab) -> None:
    await lab.exporter(board="rpi")
    client = await lab.client()
    lease = await client.create("board=rpi", lease_id="mine")
    assert (await refusal(client.create("board=rpi", lease_id="mine")))[1].startswith(
        "lease 'mine' already exists"
    )
    await client.delete(lease.name)
    assert (await refusal(client.create("board=rpi", lease_id="mine")))[0] is UNKNOWN


@pytest.mark.parametrize(
    ("fields", "code", "text"),
    [
        ({}, INVALID, "one of selector or exporter_name is required"),
        ({"selector": "a=b", "tags": {"x/y": "z"}}, INVALID, "tag key 'x/y' is not valid"),
        ({"selector": "a=b", "tags": {f"t{n}": "z" for n in range(11)}}, INVALID, "11 tags are too many"),
        ({"selector": "a=b=c"}, UNKNOWN, "'a=b=c' is not a requirement"),
        ({"selector": "a=b,a=c"}, UNKNOWN, "exclude each other"),
        ({"selector": "a=b", "seconds": 0}, UNKNOWN, "duration must be positive"),
        ({"selector": "a=b", "seconds": -5}, UNKNOWN, "duration must be positive"),
        ({"selector": "a=b", "context": {"k" * 33: "v"}}, UNKNOWN, "33 characters long"),
        ({"selector": "a=b", "lease_id": "Upper_Case"}, UNKNOWN, "lease name 'Upper_Case' is not valid"),
        ({"exporter_name": "No Such"}, UNKNOWN, "exporter name 'No Such' is not valid"),
    ],
)
async def test_bad_lease_is_refused_with_the_reason(
    lab: TestLab, fields: dict[str, object], code: grpc.StatusCode, text: str
) -> None:
    found, message = await refusal((await lab.client()).create(**fields))  # type: ignore[arg-type]
    assert found is code
    assert text in message
    assert "\n" not in message


async def test_unknown_exporter_ends_the_lease_at_once(lab: TestLab) -> None:
    lease = await (await lab.client()).create(exporter_name="nowhere")
    assert conditions(lease) == {"Unsatisfiable": ("True", "ExporterNotFound")}


async def test_client_has_so_many_leases_at_the_most(lab: TestLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leasing, "MAX_LEASES", 3)
    await lab.exporter(board="rpi")
    alice, bob = await lab.client(), await lab.client("bob")
    leases = [await alice.create("board=rpi") for _ in range(3)]
    stock = jumpstarter_pb2.RequestLeaseRequest(duration=seconds(60))
    stock.selector.match_labels["board"] = "rpi"
    many = "client 'alice' has 3 leases, which is the most"
    assert many in (await refusal(alice.create("board=rpi")))[1]
    assert many in (await refusal(alice.ask(alice.controller.RequestLease, stock)))[1]
    await bob.create("board=rpi")
    await alice.delete(leases[0].name)
    await alice.create("board=rpi")


async def test_selector_comes_back_in_one_form(lab: TestLab) -> None:
    await lab.exporter(board="rpi", site="lab")
    lease = await (await lab.client()).create("site == lab, board in (rpi)")
    again = await (await lab.client("bob")).create(lease.selector)
    assert again.selector == lease.selector


async def test_times(lab: TestLab) -> None:
    await lab.exporter(board="rpi")
    client = await lab.client()
    lease = client_pb2.Lease(selector="board=rpi")
    lease.begin_time.FromDatetime(datetime.now(UTC) + timedelta(hours=1))
    request = client_pb2.CreateLeaseRequest(parent=ROOT, lease=lease)
    assert "duration required" in (await refusal(client.ask(client.clients.CreateLease, request)))[1]
    request.lease.duration.CopyFrom(seconds(60))
    made = await client.ask(client.clients.CreateLease, request)
    assert made.begin_time == lease.begin_time
    assert "Ready" not in conditions(made)
    assert not made.HasField("effective_begin_time")


async def test_expired_lease_frees_its_board(lab: TestLab) -> None:
    await lab.exporter(board="rpi")
    alice, bob = await lab.client(), await lab.client("bob")
    short = await alice.create("board=rpi", seconds=0.3)
    waiting = await bob.create("board=rpi")
    await bob.until_ready(waiting)
    ended = await alice.get(short.name)
    assert conditions(ended) == {"Ready": ("False", "Expired")}
    assert ended.HasField("effective_end_time")
    await alice.delete(short.name)  # an expired lease may be deleted


async def test_list_of_leases(lab: TestLab) -> None:
    client = await lab.client()
    await lab.exporter(board="rpi")
    names = [(await client.create("board=rpi,rack!=9", tags={"job": str(n % 2)})).name for n in range(5)]
    await client.delete(names[0])

    async def listed(**fields: object) -> list[str]:
        request = client_pb2.ListLeasesRequest(parent=ROOT, **fields)  # type: ignore[arg-type]
        return [lease.name for lease in (await client.ask(client.clients.ListLeases, request)).leases]

    assert await listed() == names[1:]
    assert await listed(only_active=False) == names
    assert await listed(filter="board=rpi") == names[1:]
    assert await listed(filter="board=other") == []
    assert await listed(tag_filter="job=1") == [names[1], names[3]]
    assert await listed(filter="metadata.jumpstarter.dev/job=0", only_active=False) == names[::2]
    for fields in ({"filter": "a=b=c"}, {"tag_filter": "=="}, {"page_token": "?"}, {"parent": "nonsense"}):
        request = client_pb2.ListLeasesRequest(**({"parent": ROOT} | fields))  # type: ignore[arg-type]
        assert (await refusal(client.ask(client.clients.ListLeases, request)))[1]


async def test_pages_have_every_lease_once_whatever_ends_in_between(lab: TestLab) -> None:
    client = await lab.client()
    await lab.exporter(board="rpi")
    names = [(await client.create("board=rpi")).name for _ in range(10)]
    found: list[str] = []
    request = client_pb2.ListLeasesRequest(parent=ROOT, page_size=4)
    while True:
        page = await client.ask(client.clients.ListLeases, request)
        found += [lease.name for lease in page.leases]
        if not page.next_page_token:
            break
        await client.delete(found[0]) if len(found) == 4 else None
        request.page_token = page.next_page_token
    assert found == names


async def test_page_of_ended_leases_costs_a_page_however_many_there_are(
    lab: TestLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await lab.client()
    names = [(await client.create("board=rpi")).name for _ in range(100)]
    for name in names[:95]:
        await client.delete(name)
    read, original = [0], StoreJournal.ended_leases

    async def counted(self: StoreJournal, after: Any, limit: int) -> Any:
        found = await original(self, after, limit)
        read[0] += len(found)
        return found

    monkeypatch.setattr(StoreJournal, "ended_leases", counted)
    request = client_pb2.ListLeasesRequest(parent=ROOT, only_active=False, page_size=10)
    found: list[str] = []
    while not found or request.page_token:
        read[0] = 0
        page = await client.ask(client.clients.ListLeases, request)
        assert read[0] <= 20
        found += [lease.name for lease in page.leases]
        request.page_token = page.next_page_token
    assert found == names
    request.page_size = -1
    assert "negative" in (await refusal(client.ask(client.clients.ListLeases, request)))[1]


async def test_page_of_a_filter_has_as_many_as_are_wanted(lab: TestLab) -> None:
    client = await lab.client()
    for number in range(60):
        await client.delete((await client.create(f"board=b{number % 3}")).name)
    request = client_pb2.ListLeasesRequest(parent=ROOT, only_active=False, page_size=15, filter="board=b1")
    first = await client.ask(client.clients.ListLeases, request)
    request.page_token = first.next_page_token
    second = await client.ask(client.clients.ListLeases, request)
    assert (len(first.leases), len(second.leases), second.next_page_token) == (15, 5, "")


async def test_list_of_exporters(lab: TestLab) -> None:
    for number in range(3):
        await lab.exporter(f"board-{number}", rack=str(number % 2))
    client = await lab.client()
    request = client_pb2.ListExportersRequest(parent=ROOT, filter="rack=0", page_size=1)
    first = await client.ask(client.clients.ListExporters, request)
    request.page_token = first.next_page_token
    second = await client.ask(client.clients.ListExporters, request)
    assert [each.name.rpartition("/")[2] for each in (*first.exporters, *second.exporters)] == [
        "board-0",
        "board-2",
    ]
    assert not second.next_page_token
    exporter = first.exporters[0]
    assert (exporter.online, exporter.status, exporter.enabled) == (True, AVAILABLE, True)


async def test_exporter_that_never_came_is_offline(lab: TestLab) -> None:
    await lab.exporter(up=False)
    client = await lab.client()
    request = client_pb2.GetExporterRequest(name=f"{ROOT}/exporters/board-1")
    exporter = await client.ask(client.clients.GetExporter, request)
    assert (exporter.online, exporter.status_message) == (False, "Never seen")
    request.name = f"{ROOT}/exporters/none"
    assert await refusal(client.ask(client.clients.GetExporter, request)) == (
        UNKNOWN,
        "exporter 'none' not found; see 'jmp get exporters'",
    )


async def test_hidden_and_deprecated_labels(tmp_path: Path) -> None:
    hidden, deprecated = HiddenLabels(keys=["secret"]), DeprecatedLabels(keys={"old": "use 'new'"})
    async with running_lab(tmp_path, hiddenLabels=hidden, deprecatedLabels=deprecated) as lab:
        await lab.exporter(secret="1", old="1", new="1")
        client = await lab.client()
        request = client_pb2.GetExporterRequest(name=f"{ROOT}/exporters/board-1")
        shown = await client.ask(client.clients.GetExporter, request)
        assert dict(shown.labels) == {"new": "1"}
        assert dict(shown.deprecated_labels) == {"old": "use 'new'"}
        request.show_hidden_labels = True
        assert set((await client.ask(client.clients.GetExporter, request)).labels) == {"secret", "old", "new"}
        lease = await client.create("old=1,secret=1")
        assert dict(lease.deprecated_labels) == {"old": "use 'new'"}
        assert conditions(lease)["Ready"] == ("True", "Ready")


async def test_duration_of_a_lease_changes_and_the_mask_counts(lab: TestLab) -> None:
    await lab.exporter(board="rpi")
    client = await lab.client()
    lease = await client.create("board=rpi", seconds=60)
    change = client_pb2.Lease(name=lease.name, duration=seconds(120))
    assert (await client.update(change)).duration == seconds(120)
    ignored = client_pb2.Lease(name=lease.name, duration=seconds(5), client=f"{ROOT}/clients/alice")
    assert (await client.update(ignored, "client")).duration == seconds(120)
    assert (await client.update(change, "duration")).duration == seconds(120)
    code, text = await refusal(client.update(change, "selector"))
    assert code is INVALID
    assert "selector" in text
    late = client_pb2.Lease(name=lease.name)
    late.begin_time.FromDatetime(datetime.now(UTC))
    assert "begin time cannot change" in (await refusal(client.update(late)))[1]


async def test_shortened_lease_ends_earlier(lab: TestLab) -> None:
    await lab.exporter(board="rpi")
    client = await lab.client()
    lease = await client.create("board=rpi", seconds=600)
    await client.update(client_pb2.Lease(name=lease.name, duration=seconds(0.2)))
    async with asyncio.timeout(60):
        last = [event async for event in client.watch(lease.name)][-1].lease
    assert conditions(last)["Ready"] == ("False", "Expired")


async def test_transfer(lab: TestLab) -> None:
    await lab.exporter(board="rpi")
    alice, bob = await lab.client(), await lab.client("bob")
    lease = await alice.create("board=rpi")
    moved = await alice.update(client_pb2.Lease(name=lease.name, client=f"{ROOT}/clients/bob"))
    assert moved.client == f"{ROOT}/clients/bob"
    assert "permission denied" in (await refusal(alice.dial(lease.name)))[1]
    nobody = client_pb2.Lease(name=lease.name, client=f"{ROOT}/clients/nobody")
    assert (await refusal(bob.update(nobody)))[1].startswith("client 'nobody' does not exist")
    await bob.delete(lease.name)
    back = client_pb2.Lease(name=lease.name, client=f"{ROOT}/clients/alice")
    assert "has ended" in (await refusal(bob.update(back)))[1]


async def put_policy(lab: TestLab, *rules: lab_pb2.PolicyRule) -> None:
    policy = lab_pb2.Policy(name="rules", exporter_selector="", rules=rules)
    await lab.admin.ask(lab.admin.admin.PutPolicy, policy)


async def test_policies_hold_for_extension_and_transfer_too(lab: TestLab) -> None:
    await lab.exporter(board="rpi")
    alice, bob = await lab.client(team="a"), await lab.client("bob", team="b")
    rule = lab_pb2.PolicyRule(client_selectors=["team=a"], maximum_duration=seconds(100))
    await put_policy(lab, rule)
    assert conditions(await alice.create("board=rpi", seconds=200))["Unsatisfiable"] == ("True", "NoAccess")
    lease = await alice.create("board=rpi", seconds=50)
    longer = client_pb2.Lease(name=lease.name, duration=seconds(101))
    assert "longer than" in (await refusal(alice.update(longer)))[1]
    assert (await alice.update(client_pb2.Lease(name=lease.name, duration=seconds(99)))).duration == seconds(
        99
    )
    moved = client_pb2.Lease(name=lease.name, client=f"{ROOT}/clients/bob")
    assert "no access policy lets client bob use" in (await refusal(alice.update(moved)))[1]
    assert conditions(await bob.create("board=rpi", seconds=1))["Unsatisfiable"] == ("True", "NoAccess")


async def test_what_belongs_to_others_can_be_seen_only(lab: TestLab) -> None:
    await lab.exporter(board="rpi")
    alice, bob = await lab.client(), await lab.client("bob")
    lease = await alice.create("board=rpi")
    assert (await bob.get(lease.name)).client == f"{ROOT}/clients/alice"
    for call in (bob.delete(lease.name), bob.update(client_pb2.Lease(name=lease.name, duration=seconds(1)))):
        code, text = await refusal(call)
        assert code is UNKNOWN
        assert text.startswith("permission denied")


async def test_delete_ends_once(lab: TestLab) -> None:
    await lab.exporter(board="rpi")
    client = await lab.client()
    lease = await client.create("board=rpi")
    waiting = await client.create("board=rpi")
    await client.delete(waiting.name)
    await client.delete(lease.name)
    assert conditions(await client.get(lease.name)) == {"Ready": ("False", "Released")}
    assert (await refusal(client.delete(lease.name)))[0] is grpc.StatusCode.FAILED_PRECONDITION
    assert await refusal(client.delete(f"{ROOT}/leases/none")) == (
        UNKNOWN,
        "lease 'none' not found; see 'jmp get leases --all'",
    )


async def test_names_of_resources(lab: TestLab) -> None:
    client = await lab.client()
    assert (await refusal(client.get("leases/x")))[0] is INVALID
    code, text = await refusal(client.get("namespaces/other/leases/x"))
    assert code is grpc.StatusCode.PERMISSION_DENIED
    assert "namespace mismatch" in text


async def test_renewed_token_takes_the_place_of_the_one_that_asked(
    lab: TestLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await lab.client()
    issue = lab_pb2.IssueCredentialRequest(role=lab_pb2.ROLE_CLIENT, name="alice")
    elsewhere = (await lab.admin.ask(lab.admin.admin.IssueCredential, issue)).token
    request = client_pb2.RotateTokenRequest(parent=ROOT)
    first = await alice.ask(alice.clients.RotateToken, request)
    second = await alice.ask(alice.clients.RotateToken, request)  # the answer may have been lost
    assert len({alice.token, first.token, second.token}) == 3
    assert second.expiry.ToDatetime(UTC) > datetime.now(UTC) + timedelta(days=300)

    async def ask_with(token: str) -> None:
        client = ClientPeer(lab.channel, "Client", "alice", token)
        await client.ask(client.clients.ListLeases, client_pb2.ListLeasesRequest(parent=ROOT))

    later = datetime.now(UTC) + timedelta(minutes=61)
    monkeypatch.setitem(lab.running.tokens.__dict__, "now", lambda: later)
    for token in (first.token, second.token, elsewhere):
        await ask_with(token)
    code, text = await refusal(ask_with(alice.token))
    assert code is UNKNOWN
    assert text == "token is expired: it was rotated, use the new one"
