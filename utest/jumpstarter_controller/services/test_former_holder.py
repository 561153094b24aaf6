"""Who gave a lease away, or had it taken away, cannot use the board any more, whatever they prepared before."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from jumpstarter_controller.server import serve
from jumpstarter_protocol import client_pb2, jumpstarter_pb2, lab_pb2
from jumpstarter_testing.eventually import eventually

from .peers import (
    LEASE_READY,
    ROOT,
    ClientPeer,
    ExporterPeer,
    TestLab,
    open_store,
    refusal,
    secure_channel,
    settings_for,
)

pytestmark = pytest.mark.anyio

#: A router of its own may hear of the cut after it took the stream, and ends it then.
REFUSED = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.ABORTED)


@pytest.fixture(params=[False, True], ids=["router in the controller", "router apart"])
async def lab(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[TestLab]:
    settings = settings_for(tmp_path / "lab")
    async with (
        serve(settings, open_store, apart=request.param) as running,
        secure_channel(running) as channel,
    ):
        yield TestLab(running, channel)


@pytest.fixture
async def alice(lab: TestLab) -> ClientPeer:
    return await lab.client()


@pytest.fixture
async def bob(lab: TestLab) -> ClientPeer:
    return await lab.client("bob")


@pytest.fixture
async def board(lab: TestLab) -> ExporterPeer:
    return await lab.exporter(board="rpi")


@pytest.fixture
async def lease(alice: ClientPeer, board: ExporterPeer) -> client_pb2.Lease:
    lease = await alice.until_ready(await alice.create("board=rpi"))
    await board.report(LEASE_READY)
    return lease


@pytest.fixture
async def router(lab: TestLab) -> AsyncIterator[Any]:
    """Joins the router with a token."""
    credentials = grpc.ssl_channel_credentials(lab.running.authority())
    port = lab.running.router_endpoint.rpartition(":")[2]
    async with grpc.aio.secure_channel(f"localhost:{port}", credentials) as channel:
        method = channel.stream_stream("/jumpstarter.v1.RouterService/Stream")
        yield lambda token: method(metadata=(("authorization", f"Bearer {token}"),))


async def read(stream: Any) -> Any:
    async with asyncio.timeout(60):
        return await stream.read()


async def code(stream: Any) -> grpc.StatusCode:
    async with asyncio.timeout(60):
        return await stream.code()  # type: ignore[no-any-return]


async def transfer(lab: TestLab, lease: client_pb2.Lease) -> None:
    request = lab_pb2.TransferLeaseRequest(name=lease.name, client=f"{ROOT}/clients/bob")
    await lab.admin.ask(lab.admin.admin.TransferLease, request)


async def test_what_was_dialled_before_a_transfer_joins_nothing_after_it(
    lab: TestLab,
    alice: ClientPeer,
    bob: ClientPeer,
    board: ExporterPeer,
    lease: client_pb2.Lease,
    router: Any,
) -> None:
    listen = board.listen(lease.name)
    dialled = [await alice.dial(lease.name) for _ in range(3)]
    calls = [await read(listen) for _ in dialled]
    assert [call.client_name for call in calls] == ["alice"] * 3
    await transfer(lab, lease)
    for token in [each.router_token for each in (*dialled, *calls)]:
        assert await code(router(token)) in REFUSED
    mine = await bob.dial(lease.name)
    call = await read(listen)
    assert call.client_name == "bob"
    client, exporter = router(mine.router_token), router(call.router_token)
    await client.write(b"hello")
    assert await read(exporter) == b"hello"
    client.cancel()


async def test_dial_that_waits_while_the_lease_is_transferred_is_refused(
    lab: TestLab, alice: ClientPeer, bob: ClientPeer, board: ExporterPeer, lease: client_pb2.Lease
) -> None:
    dialling = asyncio.create_task(alice.dial(lease.name))
    await waits_for_the_exporter(lab)
    await transfer(lab, lease)
    listen = board.listen(lease.name)
    assert "permission denied" in (await refusal(dialling))[1]
    await bob.dial(lease.name)
    assert (await read(listen)).client_name == "bob"


async def test_dial_that_waits_while_its_client_is_revoked_is_refused(
    lab: TestLab, alice: ClientPeer, board: ExporterPeer, lease: client_pb2.Lease
) -> None:
    dialling = asyncio.create_task(alice.dial(lease.name))
    await waits_for_the_exporter(lab)
    rotate = lab_pb2.RotateIdentityRequest(role=lab_pb2.ROLE_CLIENT, name="alice")
    await lab.admin.ask(lab.admin.admin.RotateIdentity, rotate)
    listen = board.listen(lease.name)
    assert "the token is revoked" in (await refusal(dialling))[1]
    listen.cancel()


async def waits_for_the_exporter(lab: TestLab) -> None:
    """Until the controller has answered another call, and so has begun with the one before."""
    request = lab_pb2.ListPoliciesRequest()
    await lab.admin.ask(lab.admin.admin.ListPolicies, request)
    await lab.admin.ask(lab.admin.admin.ListPolicies, request)


@pytest.mark.parametrize(
    ("role", "name"), [(lab_pb2.ROLE_CLIENT, "alice"), (lab_pb2.ROLE_EXPORTER, "board-1")]
)
async def test_revocation_ends_what_goes_through_the_router_and_what_was_dialled(
    lab: TestLab,
    alice: ClientPeer,
    board: ExporterPeer,
    lease: client_pb2.Lease,
    router: Any,
    role: Any,
    name: str,
) -> None:
    listen = board.listen(lease.name)
    open_one, unused = await alice.dial(lease.name), await alice.dial(lease.name)
    call, _ = await read(listen), await read(listen)
    client, exporter = router(open_one.router_token), router(call.router_token)
    await client.write(b"hello")
    assert await read(exporter) == b"hello"
    rotate = lab_pb2.RotateIdentityRequest(role=role, name=name)
    await lab.admin.ask(lab.admin.admin.RotateIdentity, rotate)
    for stream in (client, exporter):
        assert await code(stream) is grpc.StatusCode.ABORTED
    assert await code(router(unused.router_token)) in REFUSED
    request = jumpstarter_pb2.DialRequest(lease_name=lease.name.rpartition("/")[2])
    stolen = alice.controller.Dial(request, metadata=alice.metadata, timeout=60)
    if role == lab_pb2.ROLE_CLIENT:
        assert "the token is revoked" in (await refusal(stolen))[1]


@pytest.mark.parametrize("cut", ["transfer", "revocation"])
async def test_router_that_was_started_anew_refuses_what_was_dialled_before_a_cut(
    tmp_path: Path, cut: str
) -> None:
    settings = settings_for(tmp_path / "lab")
    async with serve(settings, open_store, apart=True) as running, secure_channel(running) as channel:
        lab = TestLab(running, channel)
        alice, _, board = await lab.client(), await lab.client("bob"), await lab.exporter(board="rpi")
        lease = await alice.until_ready(await alice.create("board=rpi"))
        await board.report(LEASE_READY)
        listen = board.listen(lease.name)
        dialled = await alice.dial(lease.name)
        call = await read(listen)
        if cut == "transfer":
            await transfer(lab, lease)
        else:
            rotate = lab_pb2.RotateIdentityRequest(role=lab_pb2.ROLE_CLIENT, name="alice")
            await lab.admin.ask(lab.admin.admin.RotateIdentity, rotate)
        await kill_router(tmp_path / "lab" / "routers")
        credentials = grpc.ssl_channel_credentials(running.authority())
        port = running.router_endpoint.rpartition(":")[2]
        async with grpc.aio.secure_channel(f"localhost:{port}", credentials) as way:
            method: Any = way.stream_stream("/jumpstarter.v1.RouterService/Stream")
            for token in (dialled.router_token, call.router_token):
                stream = method(metadata=(("authorization", f"Bearer {token}"),), wait_for_ready=True)
                assert await code(stream) is grpc.StatusCode.UNAUTHENTICATED
                assert "void" in await stream.details()


async def kill_router(folder: Path) -> None:
    """Kill the router's process, and wait for the next one."""
    (pid,) = (int(path.stem) for path in folder.glob("*.sock"))
    os.kill(pid, signal.SIGKILL)
    another = lambda: [path for path in folder.glob("*.sock") if int(path.stem) != pid]  # noqa: E731
    await asyncio.to_thread(eventually, another, timeout=60)


async def test_exporter_is_told_of_a_cut_before_it_is_told_of_who_comes_after(
    lab: TestLab, alice: ClientPeer, bob: ClientPeer, board: ExporterPeer, lease: client_pb2.Lease
) -> None:
    """So it can end what a router does not know to be void."""
    cuts = board.with_cuts(0).listen(lease.name)
    await alice.dial(lease.name)
    assert (await read(cuts)).client_name == "alice"
    await transfer(lab, lease)
    await bob.dial(lease.name)
    assert (await read(cuts)).router_endpoint == "cut:1"
    assert (await read(cuts)).client_name == "bob"
    again = board.with_cuts(0).listen(lease.name)
    assert (await read(again)).router_endpoint == "cut:1"
    again.cancel()
