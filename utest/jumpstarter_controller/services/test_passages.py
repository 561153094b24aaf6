"""OpenPassage, and who is let in at the joint of a running lab."""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.common.passages import JOINT_PREFIX, PASSAGE_METADATA_KEY
from jumpstarter_controller.services.passages import Passages
from jumpstarter_controller.settings import JOINT_OFFSET, JointSettings, OtherRouter, RouterSettings
from jumpstarter_protocol import client_pb2, jumpstarter_pb2, lab_pb2

from .peers import LEASE_READY, ClientPeer, ExporterPeer, Peer, TestLab, refusal, running_lab

pytestmark = pytest.mark.anyio

FAILED_PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION
UNKNOWN = grpc.StatusCode.UNKNOWN


async def open_passage(peer: Peer, lease: client_pb2.Lease) -> lab_pb2.Passage:
    request = lab_pb2.OpenPassageRequest(lease_name=lease.name.rpartition("/")[2])
    return await peer.ask(peer.labs.OpenPassage, request)


def listen(board: ExporterPeer, lease: client_pb2.Lease, passage: str) -> Any:
    request = jumpstarter_pb2.ListenRequest(lease_name=lease.name.rpartition("/")[2])
    metadata = [*board.metadata, (PASSAGE_METADATA_KEY, passage)]
    return board.controller.Listen(request, metadata=metadata)


async def read(stream: Any) -> Any:
    async with asyncio.timeout(60):
        return await stream.read()


async def connect(passage: lab_pb2.Passage, authorization: str) -> tuple[asyncio.StreamReader, Any]:
    host, _, port = passage.endpoint.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"CONNECT x:1 HTTP/1.1\r\nProxy-Authorization: {authorization}\r\n\r\n".encode())
    return reader, writer


async def connect_client(passage: lab_pb2.Passage) -> tuple[asyncio.StreamReader, Any]:
    return await connect(passage, "Basic " + base64.b64encode(f"client:{passage.ticket}".encode()).decode())


async def status(reader: asyncio.StreamReader) -> int:
    async with asyncio.timeout(60):
        return int((await reader.readuntil(b"\r\n\r\n")).split()[1])


async def refused(passage: lab_pb2.Passage) -> int:
    reader, writer = await connect_client(passage)
    found = await status(reader)
    writer.close()
    return found


@pytest.fixture
async def alice(lab: TestLab) -> ClientPeer:
    return await lab.client()


@pytest.fixture
async def leased(
    lab: TestLab, alice: ClientPeer
) -> AsyncIterator[tuple[ExporterPeer, client_pb2.Lease, Any]]:
    """A board that alice has leased and that has a passage open for her: (exporter, lease, its calls)."""
    board = await lab.exporter(board="rpi")
    lease = await alice.until_ready(await alice.create("board=rpi"))
    await board.report(LEASE_READY)
    calls = listen(board, lease, "alice")
    yield board, lease, calls
    calls.cancel()


async def test_both_sides_meet_and_are_cut_when_the_lease_ends(
    lab: TestLab, alice: ClientPeer, leased: Any
) -> None:
    board, lease, calls = leased
    side = await open_passage(board, lease)
    passage = await open_passage(alice, lease)
    assert (side.client, side.ticket, side.endpoint) == ("alice", "", passage.endpoint)
    client, writer = await connect_client(passage)
    call = await read(calls)
    assert call.router_endpoint == JOINT_PREFIX + passage.endpoint
    exporter, other = await connect(passage, f"Bearer {call.router_token}")
    assert await status(client) == await status(exporter) == 200
    writer.write(b"hello")
    async with asyncio.timeout(60):
        assert await exporter.readexactly(5) == b"hello"
        await alice.delete(lease.name)
        assert await exporter.read() == await client.read() == b""
    for each in (writer, other):
        each.close()
    assert await refused(passage) == 503  # the ticket of a lease that has ended


async def test_dial_goes_on_beside_a_passage(alice: ClientPeer, leased: Any) -> None:
    _, lease, calls = leased
    answer = await alice.dial(lease.name)
    call = await read(calls)
    assert call.router_endpoint == answer.router_endpoint


async def test_only_the_two_sides_of_the_lease_may_open_it(lab: TestLab, leased: Any) -> None:
    _, lease, _ = leased
    mallory, other = await lab.client("mallory"), await lab.exporter("other", up=False)
    code, text = await refusal(open_passage(mallory, lease))
    assert (code, "permission denied" in text) == (UNKNOWN, True)
    code, text = await refusal(open_passage(other, lease))
    assert (code, "permission denied" in text) == (UNKNOWN, True)
    code, _ = await refusal(open_passage(mallory, client_pb2.Lease(name="nothing")))
    assert code is UNKNOWN


async def test_a_passage_is_for_one_client(lab: TestLab, alice: ClientPeer, leased: Any) -> None:
    _, lease, _ = leased
    passage = await open_passage(alice, lease)
    bob = await lab.client("bob")
    lease.client = "namespaces/default/clients/bob"
    await alice.update(lease, "client")
    assert await refused(passage) == 503
    code, text = await refusal(open_passage(bob, lease))
    assert (code, text) == (
        FAILED_PRECONDITION,
        "exporter 'board-1' has no passage open for client 'bob': dial",
    )


@pytest.fixture
def held_admission(monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, asyncio.Event]:
    """(a client was let in, the joint may hear of it): what happens in between is not known at the joint."""
    admit, admitted, told = Passages.admit, asyncio.Event(), asyncio.Event()

    async def slow(self: Passages, ticket: str) -> Any:
        admission = await admit(self, ticket)
        admitted.set()
        await told.wait()
        return admission

    monkeypatch.setattr(Passages, "admit", slow)
    return admitted, told


@pytest.mark.parametrize("meanwhile", ["transfer", "rotation", "end"])
async def test_who_was_let_in_gets_no_connection_when_it_is_not_theirs_any_more(
    lab: TestLab, alice: ClientPeer, leased: Any, held_admission: Any, meanwhile: str
) -> None:
    _, lease, _ = leased
    admitted, told = held_admission
    passage = await open_passage(alice, lease)
    reader, writer = await connect_client(passage)
    async with asyncio.timeout(60):
        await admitted.wait()
    if meanwhile == "transfer":
        await lab.client("bob")
        lease.client = "namespaces/default/clients/bob"
        await alice.update(lease, "client")
    elif meanwhile == "rotation":
        request = lab_pb2.RotateIdentityRequest(role=lab_pb2.ROLE_CLIENT, name="alice")
        await lab.admin.ask(lab.admin.admin.RotateIdentity, request)
    else:
        await alice.delete(lease.name)
    told.set()
    assert await status(reader) == (403 if meanwhile == "rotation" else 503)
    writer.close()


async def test_a_ticket_ends_with_the_token_it_was_given_for(
    lab: TestLab, alice: ClientPeer, leased: Any
) -> None:
    _, lease, _ = leased
    passage = await open_passage(alice, lease)
    request = lab_pb2.RotateIdentityRequest(role=lab_pb2.ROLE_CLIENT, name="alice")
    await lab.admin.ask(lab.admin.admin.RotateIdentity, request)
    assert await refused(passage) == 403


async def test_a_revocation_ends_connections_from_end_to_end(
    lab: TestLab, alice: ClientPeer, leased: Any
) -> None:
    _, lease, calls = leased
    passage = await open_passage(alice, lease)
    client, writer = await connect_client(passage)
    call = await read(calls)
    assert call.client_name == "alice"
    exporter, other = await connect(passage, f"Bearer {call.router_token}")
    assert await status(client) == await status(exporter) == 200
    request = lab_pb2.RotateIdentityRequest(role=lab_pb2.ROLE_CLIENT, name="alice")
    async with asyncio.timeout(60):
        await lab.admin.ask(lab.admin.admin.RotateIdentity, request)
        assert await exporter.read() == await client.read() == b""
    for each in (writer, other):
        each.close()
    assert await refused(passage) == 403


async def test_an_exporter_without_passages_is_dialled(lab: TestLab, alice: ClientPeer) -> None:
    board = await lab.exporter(board="rpi")
    lease = await alice.until_ready(await alice.create("board=rpi"))
    await board.report(LEASE_READY)
    calls = board.listen(lease.name)
    code, text = await refusal(open_passage(alice, lease))
    assert code is FAILED_PRECONDITION
    assert "has no passage open" in text
    await alice.dial(lease.name)
    assert (await read(calls)).router_token


@pytest.mark.parametrize(
    ("router", "text"),
    [
        (
            RouterSettings(listen="127.0.0.1:0", joint=JointSettings(listen="")),
            "this lab has no passages: dial",
        ),
        (
            RouterSettings(
                listen="127.0.0.1:0", others={"near": OtherRouter(endpoint="near:1", labels={"board": "rpi"})}
            ),
            "another router is for exporter 'board-1': dial",
        ),
    ],
)
async def test_labs_without(tmp_path: Path, router: RouterSettings, text: str) -> None:
    async with running_lab(tmp_path / "lab", router=router) as lab:
        alice, board = await lab.client(), await lab.exporter(board="rpi")
        lease = await alice.until_ready(await alice.create("board=rpi"))
        assert await refusal(open_passage(board, lease)) == (FAILED_PRECONDITION, text)


async def test_a_port_that_was_asked_for_and_is_taken_is_an_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        router = RouterSettings(listen="127.0.0.1:0", joint=JointSettings(listen=address))
        with pytest.raises(
            ConfigurationError, match=rf"cannot listen on {address}: .*router.joint.listen, '' for none"
        ):
            async with running_lab(tmp_path / "lab", router=router):
                pass


async def test_a_lab_whose_usual_port_is_taken_runs_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port, taken = neighbours()
    with taken:
        router = RouterSettings(listen=f"127.0.0.1:{port}")
        async with running_lab(tmp_path / "lab", router=router) as lab:
            alice = await lab.client()
            code, text = await refusal(open_passage(alice, client_pb2.Lease(name="any")))
    assert (code, text) == (FAILED_PRECONDITION, "this lab has no passages: dial")
    assert f"cannot listen on 127.0.0.1:{port + JOINT_OFFSET}" in caplog.text


def neighbours() -> tuple[int, socket.socket]:
    """A port that is free, and the joint's usual one for it, which is not."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = int(free.getsockname()[1])
            with suppress(OSError, OverflowError):
                return port, socket.create_server(("127.0.0.1", port + JOINT_OFFSET))
