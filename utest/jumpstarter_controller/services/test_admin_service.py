"""AdminService: what administrators do."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from jumpstarter_protocol import client_pb2, lab_pb2

from .peers import AVAILABLE, ROOT, ClientPeer, Peer, TestLab, conditions, refusal

pytestmark = pytest.mark.anyio

CLIENT, EXPORTER, ADMINISTRATOR = lab_pb2.ROLE_CLIENT, lab_pb2.ROLE_EXPORTER, lab_pb2.ROLE_ADMINISTRATOR
LIST = client_pb2.ListLeasesRequest(parent=ROOT)


async def test_credential_is_all_that_a_configuration_needs(lab: TestLab) -> None:
    credential = await lab.identity(CLIENT, "alice", {"team": "a"})
    assert credential.endpoint == lab.running.endpoint
    assert credential.certificate_authority == lab.running.authority().decode()
    assert dict(credential.identity.labels) == {"team": "a"}
    assert credential.identity.HasField("token_expiry")


async def test_identities_are_listed_with_what_is_known_of_them(lab: TestLab) -> None:
    await lab.exporter(board="rpi")
    await lab.exporter("board-0", up=False)
    await lab.client()
    admin = lab.admin

    async def listed(role: int, name: str = "") -> list[lab_pb2.Identity]:
        request = lab_pb2.ListIdentitiesRequest(role=role, name=name)  # type: ignore[arg-type]
        return list((await admin.ask(admin.admin.ListIdentities, request)).identities)

    idle, board = await listed(EXPORTER)
    assert (idle.name, idle.online, idle.enabled) == ("board-0", False, True)
    assert (board.online, board.status, len(board.devices)) == (True, AVAILABLE, 1)
    assert board.HasField("last_seen")
    assert [each.name for each in await listed(CLIENT)] == ["alice"]
    assert [each.name for each in await listed(ADMINISTRATOR)] == ["admin"]
    assert (await refusal(listed(CLIENT, "bob")))[1].startswith("client 'bob' does not exist")


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"role": CLIENT, "name": ""}, "client name '' is not valid"),
        ({"role": CLIENT, "name": "Al Ice"}, "client name 'Al Ice' is not valid"),
        ({"name": "alice"}, "role is missing"),
        ({"role": EXPORTER, "name": "x", "labels": {"a b": "c"}}, "label key 'a b' is not valid"),
        ({"role": CLIENT, "name": "x", "namespace": "other"}, "namespace mismatch"),
        ({"role": ADMINISTRATOR, "name": "x", "labels": {"a": "b"}}, "neither labels nor"),
    ],
)
async def test_bad_identity_is_refused_with_the_reason(
    lab: TestLab, fields: dict[str, object], text: str
) -> None:
    request = lab_pb2.CreateIdentityRequest(**fields)  # type: ignore[arg-type]
    assert text in (await refusal(lab.admin.ask(lab.admin.admin.CreateIdentity, request)))[1]


async def test_identity_exists_once_a_role(lab: TestLab) -> None:
    await lab.identity(CLIENT, "same")
    await lab.identity(EXPORTER, "same")
    assert "client 'same' already exists" in (await refusal(lab.identity(CLIENT, "same")))[1]


async def test_rotation_revokes_and_import_does_not(lab: TestLab) -> None:
    alice, admin = await lab.client(), lab.admin
    issued = await admin.ask(
        admin.admin.IssueCredential, lab_pb2.IssueCredentialRequest(role=CLIENT, name="alice")
    )
    second = ClientPeer(lab.channel, "Client", "alice", issued.token)
    for peer in (alice, second):
        await peer.ask(peer.clients.ListLeases, LIST)
    rotated = await admin.ask(
        admin.admin.RotateIdentity, lab_pb2.RotateIdentityRequest(role=CLIENT, name="alice")
    )
    for peer in (alice, second):
        assert "revoked" in (await refusal(peer.ask(peer.clients.ListLeases, LIST)))[1]
    third = ClientPeer(lab.channel, "Client", "alice", rotated.token)
    await third.ask(third.clients.ListLeases, LIST)
    request = lab_pb2.RotateIdentityRequest(role=EXPORTER, name="none")
    assert (
        "exporter 'none' does not exist" in (await refusal(admin.ask(admin.admin.RotateIdentity, request)))[1]
    )


async def test_further_administrators(lab: TestLab) -> None:
    credential = await lab.identity(ADMINISTRATOR, "eve")
    eve = Peer(lab.channel, "Administrator", "eve", credential.token)
    request = lab_pb2.DeleteIdentityRequest(role=ADMINISTRATOR, name="eve")
    await eve.ask(eve.admin.DeleteIdentity, request)
    assert "revoked" in (await refusal(eve.ask(eve.admin.DeleteIdentity, request)))[1]


async def test_deleting_ends_leases_and_keeps_their_history(lab: TestLab) -> None:
    await lab.exporter(board="rpi")
    alice, bob, admin = await lab.client(), await lab.client("bob"), lab.admin
    mine, other = await alice.create("board=rpi"), await bob.create("board=rpi")
    await admin.ask(admin.admin.DeleteIdentity, lab_pb2.DeleteIdentityRequest(role=CLIENT, name="alice"))
    await bob.until_ready(other)
    await admin.ask(admin.admin.DeleteIdentity, lab_pb2.DeleteIdentityRequest(role=EXPORTER, name="board-1"))
    listed = await admin.ask(admin.admin.ListLeases, lab_pb2.AdminListLeasesRequest(include_ended=True))
    assert {lease.name: conditions(lease)["Ready"] for lease in listed.leases} == {
        mine.name: ("False", "Released"),
        other.name: ("False", "Released"),
    }


async def test_disabled_exporter_keeps_its_lease_and_gets_no_new_one(lab: TestLab) -> None:
    await lab.exporter(board="rpi")
    alice, admin = await lab.client(), lab.admin
    first = await alice.create("board=rpi")
    disable = lab_pb2.SetExporterEnabledRequest(name="board-1", enabled=False)
    await admin.ask(admin.admin.SetExporterEnabled, disable)
    assert conditions(await alice.get(first.name))["Ready"] == ("True", "Ready")
    await alice.delete(first.name)
    assert conditions(await alice.create("board=rpi"))["Unsatisfiable"] == ("True", "AllDisabled")
    named = await alice.create(exporter_name="board-1")
    assert conditions(named)["Unsatisfiable"] == ("True", "ExporterDisabled")
    allowed = await alice.create(exporter_name="board-1", allow_disabled=True)
    assert conditions(allowed)["Ready"] == ("True", "Ready")


async def test_anyones_lease_can_be_ended_and_transferred(lab: TestLab) -> None:
    await lab.exporter(board="rpi")
    alice, _, admin = await lab.client(), await lab.client("bob"), lab.admin
    lease = await alice.create("board=rpi")
    request = lab_pb2.TransferLeaseRequest(name=lease.name, client=f"{ROOT}/clients/bob")
    assert (await admin.ask(admin.admin.TransferLease, request)).client == f"{ROOT}/clients/bob"
    end = lab_pb2.EndLeaseRequest(name=lease.name)
    ended = await admin.ask(admin.admin.EndLease, end)
    assert ended.conditions[-1].message == "ended by administrator admin"
    assert "has ended already" in (await refusal(admin.ask(admin.admin.EndLease, end)))[1]


async def test_policies_are_kept_as_they_were_put(lab: TestLab) -> None:
    admin = lab.admin
    rule = lab_pb2.PolicyRule(
        description="team a",
        priority=5,
        client_selectors=["team=a", ""],
        maximum_duration=Duration(seconds=60),
        spot_access=True,
    )
    policy = lab_pb2.Policy(namespace="default", name="rules", exporter_selector="board=rpi", rules=[rule])
    assert await admin.ask(admin.admin.PutPolicy, policy) == policy
    listed = await admin.ask(admin.admin.ListPolicies, lab_pb2.ListPoliciesRequest())
    assert list(listed.policies) == [policy]
    delete = lab_pb2.DeletePolicyRequest(name="rules")
    await admin.ask(admin.admin.DeletePolicy, delete)
    assert "policy 'rules' does not exist" in (await refusal(admin.ask(admin.admin.DeletePolicy, delete)))[1]


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        (lab_pb2.Policy(name="A"), "policy name 'A' is not valid"),
        (lab_pb2.Policy(name="a", exporter_selector="="), "is not a requirement"),
        (
            lab_pb2.Policy(name="a", rules=[lab_pb2.PolicyRule(client_selectors=["!"])]),
            "is not a requirement",
        ),
        (
            lab_pb2.Policy(name="a", rules=[lab_pb2.PolicyRule(maximum_duration=Duration(seconds=0))]),
            "maximum duration must be positive",
        ),
    ],
)
async def test_bad_policy_is_refused_with_the_reason(lab: TestLab, policy: lab_pb2.Policy, text: str) -> None:
    assert text in (await refusal(lab.admin.ask(lab.admin.admin.PutPolicy, policy)))[1]


async def test_audit_log_says_who_did_what(lab: TestLab) -> None:
    await lab.exporter(board="rpi")
    alice, _ = await lab.client(), await lab.client("bob")
    lease = await alice.create("board=rpi")
    name = lease.name.removeprefix(f"{ROOT}/")
    await alice.update(client_pb2.Lease(name=lease.name, client=f"{ROOT}/clients/bob"))
    await lab.admin.ask(lab.admin.admin.EndLease, lab_pb2.EndLeaseRequest(name=lease.name))
    listed = await lab.admin.ask(lab.admin.admin.ListAudit, lab_pb2.ListAuditRequest(limit=4))
    assert [(entry.actor, entry.action, entry.target, entry.detail) for entry in listed.entries] == [
        ("administrator/default/admin", "lease.release", name, ""),
        ("client/default/alice", "lease.transfer", name, "clients/bob"),
        ("scheduler", "lease.grant", name, "exporters/board-1"),
        ("client/default/alice", "lease.create", name, "board=rpi"),
    ]
    everything = await lab.admin.ask(lab.admin.admin.ListAudit, lab_pb2.ListAuditRequest())
    assert [entry.action for entry in everything.entries][-3:] == [
        "client.create",
        "client.create",
        "exporter.create",
    ]


async def test_wrong_namespace_is_refused_everywhere(lab: TestLab) -> None:
    admin = lab.admin
    for method, request in (
        (admin.admin.ListPolicies, lab_pb2.ListPoliciesRequest(namespace="x")),
        (admin.admin.ListAudit, lab_pb2.ListAuditRequest(namespace="x")),
        (admin.admin.ListLeases, lab_pb2.AdminListLeasesRequest(namespace="x")),
        (admin.admin.EndLease, lab_pb2.EndLeaseRequest(name="namespaces/x/leases/y")),
    ):
        assert (await refusal(admin.ask(method, request)))[0] is grpc.StatusCode.PERMISSION_DENIED


async def test_identity_is_updated_and_its_tokens_and_lease_stay(lab: TestLab) -> None:
    board = await lab.exporter(board="rpi")
    alice, bob, admin = await lab.client(), await lab.client("bob"), lab.admin
    mine, waits = await alice.create("board=rpi"), await bob.create("board=rpi")
    request = lab_pb2.UpdateIdentityRequest(
        role=EXPORTER, name=board.name, labels=lab_pb2.LabelSet(values={"board": "imx"})
    )
    changed = await admin.ask(admin.admin.UpdateIdentity, request)
    assert changed.labels["board"] == "imx"
    listed = await admin.ask(admin.admin.ListLeases, lab_pb2.AdminListLeasesRequest(include_ended=True))
    found = {lease.name: conditions(lease) for lease in listed.leases}
    assert found[mine.name]["Ready"] == ("True", "Ready")
    assert found[waits.name]["Unsatisfiable"][0] == "True"
    await alice.ask(alice.clients.ListLeases, LIST)
    request = lab_pb2.UpdateIdentityRequest(role=EXPORTER, name=board.name, enabled=False)
    changed = await admin.ask(admin.admin.UpdateIdentity, request)
    assert (dict(changed.labels)["board"], changed.enabled) == ("imx", False)
    request = lab_pb2.UpdateIdentityRequest(role=CLIENT, name="bob", external_username="who@else")
    assert (await admin.ask(admin.admin.UpdateIdentity, request)).external_username == "who@else"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"role": CLIENT, "name": "nobody"}, "client 'nobody' does not exist"),
        ({"role": CLIENT, "name": "alice", "enabled": True}, "only exporters can"),
        (
            {"role": CLIENT, "name": "alice", "labels": {"values": {"a b": "c"}}},
            "label key 'a b' is not valid",
        ),
        ({"role": ADMINISTRATOR, "name": "eve"}, "nothing that could be changed"),
    ],
)
async def test_update_that_makes_no_sense_is_refused(
    lab: TestLab, fields: dict[str, object], text: str
) -> None:
    await lab.client()
    await lab.identity(ADMINISTRATOR, "eve")
    request = lab_pb2.UpdateIdentityRequest(**fields)  # type: ignore[arg-type]
    assert text in (await refusal(lab.admin.ask(lab.admin.admin.UpdateIdentity, request)))[1]
