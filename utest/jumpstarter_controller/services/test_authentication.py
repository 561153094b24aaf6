"""Who may call what, and what is logged about those who may not."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jumpstarter_controller.identity import upstream
from jumpstarter_controller.services import call as calls
from jumpstarter_controller.settings import Authentication, InternalTokens, UpstreamTokens
from jumpstarter_protocol import client_pb2, jumpstarter_pb2, lab_pb2

from .peers import (
    LEASE_READY,
    ROOT,
    ClientPeer,
    ExporterPeer,
    Peer,
    TestLab,
    conditions,
    refusal,
    running_lab,
)

pytestmark = pytest.mark.anyio

INVALID = grpc.StatusCode.INVALID_ARGUMENT
UNKNOWN = grpc.StatusCode.UNKNOWN
DENIED = grpc.StatusCode.PERMISSION_DENIED

UPSTREAM = Authentication(upstream=UpstreamTokens(controllerKey="seed"))
LIST = client_pb2.ListLeasesRequest(parent=ROOT)


async def ask(peer: Peer, metadata: list[tuple[str, str]]) -> tuple[grpc.StatusCode, str]:
    return await refusal(peer.clients.ListLeases(LIST, metadata=metadata, timeout=60))


def without(peer: Peer, *keys: str) -> list[tuple[str, str]]:
    return [(key, value) for key, value in peer.metadata if key not in keys]


@pytest.mark.parametrize(
    ("remove", "add", "code", "text"),
    [
        ("authorization", None, grpc.StatusCode.UNAUTHENTICATED, "no authorization"),
        ("authorization", "Basic abc", INVALID, "expected 'Bearer TOKEN'"),
        ("authorization", "Bearer", INVALID, "expected 'Bearer TOKEN'"),
        ("authorization", "Bearer abc", UNKNOWN, "the token is not valid here"),
        ("", "Bearer another", INVALID, "several authorization entries"),
        ("jumpstarter-namespace", None, INVALID, "metadata jumpstarter-namespace is missing"),
        ("jumpstarter-kind", None, INVALID, "metadata jumpstarter-kind is missing"),
        ("jumpstarter-kind", "Exporter", INVALID, "object kind mismatch"),
        ("jumpstarter-name", "bob", DENIED, "the token is for 'alice'"),
        ("jumpstarter-namespace", "other", DENIED, "the token is for 'default'"),
    ],
)
async def test_metadata_has_to_be_right(
    lab: TestLab, remove: str, add: str | None, code: grpc.StatusCode, text: str
) -> None:
    alice = await lab.client()
    metadata = without(alice, remove)
    if add is not None:
        metadata.append((remove or "authorization", add))
    found, message = await ask(alice, metadata)
    assert (found, text in message) == (code, True), message


async def test_name_may_be_left_out_and_the_scheme_written_small(lab: TestLab) -> None:
    alice = await lab.client()
    metadata = [
        *without(alice, "jumpstarter-name", "authorization"),
        ("authorization", f"bearer {alice.token}"),
    ]
    await alice.clients.ListLeases(LIST, metadata=metadata, timeout=60)


async def test_each_service_is_for_its_role(lab: TestLab) -> None:
    alice, board = await lab.client(), await lab.exporter()
    for call in (
        alice.ask(alice.controller.ReportStatus, jumpstarter_pb2.ReportStatusRequest()),
        board.ask(board.clients.ListLeases, LIST),
        board.ask(board.controller.Dial, jumpstarter_pb2.DialRequest(lease_name="x")),
        lab.admin.ask(lab.admin.clients.ListLeases, LIST),
    ):
        code, text = await refusal(call)
        assert code is INVALID
        assert text.startswith("object kind mismatch")
    for peer in (alice, board):
        request = lab_pb2.ListIdentitiesRequest(role=lab_pb2.ROLE_CLIENT)
        assert (await refusal(peer.ask(peer.admin.ListIdentities, request)))[0] is DENIED


async def test_callers_are_known_before_their_request_is_judged(lab: TestLab) -> None:
    alice = await lab.client()
    call = alice.clients.CreateLease(client_pb2.CreateLeaseRequest(), timeout=60)
    assert (await refusal(call))[0] is grpc.StatusCode.UNAUTHENTICATED


async def test_token_of_a_deleted_client_is_void_and_so_for_its_successor(lab: TestLab) -> None:
    alice = await lab.client()
    request = lab_pb2.DeleteIdentityRequest(role=lab_pb2.ROLE_CLIENT, name="alice")
    await lab.admin.ask(lab.admin.admin.DeleteIdentity, request)
    code, text = await refusal(alice.ask(alice.clients.ListLeases, LIST))
    assert code is UNKNOWN
    assert text.startswith("client 'alice' does not exist in this lab")
    successor = await lab.client()
    assert "revoked" in (await refusal(alice.ask(alice.clients.ListLeases, LIST)))[1]
    await successor.ask(successor.clients.ListLeases, LIST)


async def test_expired_token_is_told_in_the_words_that_clients_look_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lifetime = Authentication(internal=InternalTokens(tokenLifetime=timedelta(days=365)))
    async with running_lab(tmp_path, authentication=lifetime) as lab:
        alice = await lab.client()
        await alice.ask(alice.clients.ListLeases, LIST)
        later = datetime.now(UTC) + timedelta(days=366)
        monkeypatch.setitem(lab.running.tokens.__dict__, "now", lambda: later)
        code, text = await refusal(alice.ask(alice.clients.ListLeases, LIST))
        assert code is UNKNOWN
        assert text.startswith("token is expired")


async def test_failures_are_logged_with_the_peer_and_without_the_token(
    lab: TestLab, caplog: pytest.LogCaptureFixture
) -> None:
    alice, board = await lab.client(), await lab.exporter()
    secret = "a-very-secret-token"
    bad_client = ClientPeer(lab.channel, "Client", "alice", secret)
    await refusal(bad_client.ask(bad_client.clients.ListLeases, LIST))
    bad_exporter = Peer(lab.channel, "Exporter", "board-1", secret)
    await refusal(bad_exporter.ask(bad_exporter.controller.Register, jumpstarter_pb2.RegisterRequest()))
    lines = [
        record.getMessage() for record in caplog.records if "authentication failed" in record.getMessage()
    ]
    assert [line.partition(":")[0] for line in lines] == [
        "client authentication failed",
        "exporter authentication failed",
    ]
    assert all("peer=127.0.0.1" in line or "peer=::1" in line for line in lines)
    for token in (secret, alice.token, board.token):
        assert token not in caplog.text


async def test_health_is_for_everybody(lab: TestLab) -> None:
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    stub: Any = health_pb2_grpc.HealthStub(lab.channel)
    response = await stub.Check(health_pb2.HealthCheckRequest(), timeout=60)
    assert response.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("asked", [False, True])
async def test_reflection_is_there_only_if_asked(tmp_path: Path, asked: bool) -> None:
    from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

    async with running_lab(tmp_path, reflection=asked) as lab:
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(lab.channel)
        call = stub.ServerReflectionInfo(timeout=60)
        if asked:
            await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
            names = [service.name for service in (await call.read()).list_services_response.service]
            assert "jumpstarter.client.v1.ClientService" in names
        else:
            # Nothing is sent: grpc.aio has a status of its own for a message that meets the end of its call.
            assert (await refusal(call.read()))[0] is grpc.StatusCode.UNIMPLEMENTED


async def test_open_streams_of_a_revoked_caller_end_at_once(lab: TestLab) -> None:
    alice, board = await lab.client(), await lab.exporter(board="rpi")
    lease = await alice.until_ready(await alice.create("board=rpi"))
    status, watch, listen = board.status(), alice.watch(lease.name), board.listen(lease.name)
    await status.read()
    await watch.read()
    await board.report(LEASE_READY)
    await alice.dial(lease.name)
    await listen.read()
    for role, name in ((lab_pb2.ROLE_CLIENT, "alice"), (lab_pb2.ROLE_EXPORTER, "board-1")):
        request = lab_pb2.RotateIdentityRequest(role=role, name=name)
        await lab.admin.ask(lab.admin.admin.RotateIdentity, request)
    for stream in (status, watch, listen):
        code, text = await refusal(asyncio.wait_for(stream.read(), 60))
        assert code is UNKNOWN
        assert "the token is revoked" in text
    listed = await lab.admin.ask(lab.admin.admin.ListLeases, lab_pb2.AdminListLeasesRequest())
    assert conditions(listed.leases[0])["Ready"] == ("True", "Ready")


async def test_streams_end_when_their_token_expires(lab: TestLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "REVIEW", 0.05)
    alice, _ = await lab.client(), await lab.exporter(board="rpi")
    watch = alice.watch((await alice.create("board=rpi")).name)
    await watch.read()
    later = datetime.now(UTC) + timedelta(days=366)
    monkeypatch.setitem(lab.running.tokens.__dict__, "now", lambda: later)
    assert "token is expired" in (await refusal(asyncio.wait_for(watch.read(), 60)))[1]


def stock_key(monkeypatch: pytest.MonkeyPatch) -> ec.EllipticCurvePrivateKey:
    """The key of a stock installation whose tokens a lab with `UPSTREAM` accepts."""
    private = ec.generate_private_key(ec.SECP256R1())
    monkeypatch.setattr(upstream, "upstream_key", lambda key: private.public_key())
    return private


def stock_token(private: ec.EllipticCurvePrivateKey, subject: str, *, days: int = 0) -> str:
    """A token that was issued so many days ago."""
    claims = {
        "iss": "https://localhost:8085",
        "aud": ["jumpstarter"],
        "sub": subject,
        # With the fraction of the second: later than what was done before in this second.
        "iat": (datetime.now(UTC) - timedelta(days=days)).timestamp(),
        "exp": datetime.now(UTC) + timedelta(days=9),
    }
    return jwt.encode(claims, private, algorithm="ES256")


async def test_token_of_a_stock_installation_until_it_is_rotated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = stock_key(monkeypatch)
    async with running_lab(tmp_path, authentication=UPSTREAM) as lab:
        old = ClientPeer(
            lab.channel, "Client", "alice", stock_token(private, "client:default:alice:an-old-uid", days=9)
        )
        assert "does not exist in this lab" in (await refusal(old.ask(old.clients.ListLeases, LIST)))[1]
        await lab.client()
        await old.ask(old.clients.ListLeases, LIST)
        await old.ask(old.clients.RotateToken, client_pb2.RotateTokenRequest(parent=ROOT))
        await old.ask(old.clients.ListLeases, LIST)
        rotate = lab_pb2.RotateIdentityRequest(role=lab_pb2.ROLE_CLIENT, name="alice")
        await lab.admin.ask(lab.admin.admin.RotateIdentity, rotate)
        assert "rotated" in (await refusal(old.ask(old.clients.ListLeases, LIST)))[1]
        # Whoever has the stock key may write any time.
        newest = stock_token(private, "client:default:alice:an-old-uid")
        for expected in ("rotated", "rotated"):
            newer = ClientPeer(lab.channel, "Client", "alice", newest)
            assert expected in (await refusal(newer.ask(newer.clients.ListLeases, LIST)))[1]
            delete = lab_pb2.DeleteIdentityRequest(role=lab_pb2.ROLE_CLIENT, name="alice")
            await lab.admin.ask(lab.admin.admin.DeleteIdentity, delete)
            await lab.client()  # another one of that name


async def test_rotation_counts_also_when_stock_tokens_are_accepted_only_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = stock_key(monkeypatch)
    rotate = lab_pb2.RotateIdentityRequest(role=lab_pb2.ROLE_EXPORTER, name="board-1")
    async with running_lab(tmp_path) as lab:
        await lab.exporter(up=False)
        await lab.exporter("board-2", up=False)
        await lab.admin.ask(lab.admin.admin.RotateIdentity, rotate)
    async with running_lab(tmp_path, authentication=UPSTREAM) as lab:
        for name, accepted in (("board-1", False), ("board-2", True)):
            token = stock_token(private, f"exporter:default:{name}:old-uid")
            peer = ExporterPeer(lab.channel, "Exporter", name, token)
            if accepted:
                await peer.come_up()
            else:
                assert "rotated" in (await refusal(peer.come_up()))[1]
