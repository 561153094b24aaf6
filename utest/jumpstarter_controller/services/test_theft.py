"""After a theft: what SECURITY.md says to do makes what was stolen useless."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from jumpstarter_controller.data import DataDirectory
from jumpstarter_controller.identity.keys import KeyRing
from jumpstarter_controller.identity.passages import PassageAuthority, TicketRefused
from jumpstarter_controller.identity.tokens import TokenService
from jumpstarter_controller.model import Role
from jumpstarter_protocol import client_pb2, lab_pb2
from jumpstarter_router.tokens import InvalidTokenError, Side, TokenAuthority

from .peers import ROOT, ClientPeer, Peer, TestLab, refusal, running_lab, secure_channel

pytestmark = pytest.mark.anyio

LIST = client_pb2.ListLeasesRequest(parent=ROOT)


async def asks(lab: TestLab, token: str) -> tuple[grpc.StatusCode, str]:
    """How alice is refused with *token*."""
    stolen = ClientPeer(lab.channel, "Client", "alice", token)
    return await refusal(stolen.ask(stolen.clients.ListLeases, LIST))


async def administrates(lab: TestLab, token: str) -> None:
    peer = Peer(lab.channel, "Administrator", "admin", token)
    await peer.ask(peer.admin.ListPolicies, lab_pb2.ListPoliciesRequest())


async def test_token_of_a_client_or_an_exporter(lab: TestLab) -> None:
    alice = await lab.client()
    rotate = lab_pb2.RotateIdentityRequest(role=lab_pb2.ROLE_CLIENT, name="alice")
    await lab.admin.ask(lab.admin.admin.RotateIdentity, rotate)
    assert "the token is revoked" in (await asks(lab, alice.token))[1]
    board = await lab.exporter()
    rotate = lab_pb2.RotateIdentityRequest(role=lab_pb2.ROLE_EXPORTER, name=board.name)
    await lab.admin.ask(lab.admin.admin.RotateIdentity, rotate)
    assert "the token is revoked" in (await refusal(board.register()))[1]


async def test_token_of_the_administrator(tmp_path: Path) -> None:
    async with running_lab(tmp_path) as lab:
        stolen = lab.admin.token
        await administrates(lab, stolen)
    DataDirectory(tmp_path).admin_token.unlink()
    async with running_lab(tmp_path) as lab:
        assert "the token is revoked" in (await refusal(administrates(lab, stolen)))[1]
        await administrates(lab, lab.admin.token)


async def test_key_that_signs_tokens(tmp_path: Path) -> None:
    async with running_lab(tmp_path) as lab:
        alice = await lab.client()
        uid = lab.running.lab.records.clients["alice"].uid
        stolen = TokenService(KeyRing.open(DataDirectory(tmp_path).keys))
    forged = stolen.issue(Role.CLIENT, "default", "alice", uid).text
    for key in DataDirectory(tmp_path).keys.glob("0*.pem"):
        key.unlink()
    async with running_lab(tmp_path) as lab:
        for token in (alice.token, forged):
            assert "signed by a key that this controller does not have" in (await asks(lab, token))[1]
        await administrates(lab, lab.admin.token)


async def test_forged_token_alone_opens_nothing(tmp_path: Path) -> None:
    """Whoever has the key only can sign, and is refused all the same: the lab knows the tokens that it issued."""
    async with running_lab(tmp_path) as lab:
        await lab.client()
        uid = lab.running.lab.records.clients["alice"].uid
        stolen = TokenService(KeyRing.open(DataDirectory(tmp_path).keys))
        forged = stolen.issue(Role.CLIENT, "default", "alice", uid).text
        assert "the token is revoked" in (await asks(lab, forged))[1]


def renewed(read: Callable[[DataDirectory], bytes], name: str, folder: Path) -> tuple[bytes, bytes]:
    """The key *name* before and after its file was deleted."""
    data = DataDirectory(folder)
    with data.exclusive():
        stolen = read(data)
    (data.keys / name).unlink()
    with data.exclusive():
        return stolen, read(data)


def test_key_of_the_routers(tmp_path: Path) -> None:
    stolen, key = renewed(DataDirectory.router_key, "router.key", tmp_path)
    forged = TokenAuthority(stolen).issue("lease", time.time())[Side.CLIENT]
    with pytest.raises(InvalidTokenError, match="not valid"):
        TokenAuthority(key).check(forged)


def test_key_of_the_passages(tmp_path: Path) -> None:
    stolen, key = renewed(DataDirectory.passage_key, "passage.key", tmp_path)
    tokens = TokenService(KeyRing.open(tmp_path / "keys"))
    claims = tokens.verify(tokens.issue(Role.CLIENT, "default", "alice", "u").text)
    with pytest.raises(TicketRefused):
        PassageAuthority(key).check(PassageAuthority(stolen).ticket("lease", claims))
    assert PassageAuthority(key).keys("lease", "alice", Role.CLIENT).authority != (
        PassageAuthority(stolen).keys("lease", "alice", Role.CLIENT).authority
    )


async def test_key_of_the_certificate_authority(tmp_path: Path) -> None:
    async with running_lab(tmp_path) as lab:
        alice = await lab.client()
        before = lab.running.authority()
    shutil.rmtree(DataDirectory(tmp_path).authority)
    async with running_lab(tmp_path) as lab:
        assert lab.running.authority() != before
        await alice_lists(lab, alice.token)
        old = grpc.ssl_channel_credentials(before)
        async with grpc.aio.secure_channel(f"localhost:{lab.running.port}", old) as channel:
            distrusting = ClientPeer(channel, "Client", "alice", alice.token)
            code, _ = await refusal(distrusting.ask(distrusting.clients.ListLeases, LIST))
            assert code is grpc.StatusCode.UNAVAILABLE


async def alice_lists(lab: TestLab, token: str) -> None:
    async with secure_channel(lab.running) as channel:
        alice = ClientPeer(channel, "Client", "alice", token)
        await alice.ask(alice.clients.ListLeases, LIST)


async def test_data_directory_or_a_backup(tmp_path: Path) -> None:
    """All of the above in one stop, and new credentials for everybody: what was stolen opens nothing, what is new does."""
    async with running_lab(tmp_path) as lab:
        alice, stolen = await lab.client(), lab.admin.token
        before = lab.running.authority()
    data = DataDirectory(tmp_path)
    shutil.rmtree(data.keys)
    shutil.rmtree(data.authority)
    data.admin_token.unlink()
    async with running_lab(tmp_path) as lab:
        assert lab.running.authority() != before
        code, _ = await asks(lab, alice.token)
        assert code is grpc.StatusCode.UNKNOWN
        await refusal(administrates(lab, stolen))
        await administrates(lab, lab.admin.token)
        rotate = lab_pb2.RotateIdentityRequest(role=lab_pb2.ROLE_CLIENT, name="alice")
        renewed = await lab.admin.ask(lab.admin.admin.RotateIdentity, rotate)
        await alice_lists(lab, renewed.token)
