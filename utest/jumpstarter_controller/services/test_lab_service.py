"""WatchLease tells what happens, as it happens."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from jumpstarter_protocol import client_pb2, lab_pb2

from .peers import ROOT, TestLab, conditions, refusal

pytestmark = pytest.mark.anyio


async def read(stream: Any) -> Any:
    async with asyncio.timeout(60):
        return await stream.read()


async def read_until(stream: Any, wanted: Any) -> lab_pb2.LeaseEvent:
    async with asyncio.timeout(60):
        while (event := await stream.read()) is not grpc.aio.EOF:
            if wanted(event):
                return event  # type: ignore[no-any-return]
    raise AssertionError("the stream ended")


async def test_waiter_sees_its_place_and_its_estimate(lab: TestLab) -> None:
    await lab.exporter(board="rpi")
    alice, bob = await lab.client(), await lab.client("bob")
    first = await alice.create("board=rpi", seconds=600)
    second = await alice.create("board=rpi", seconds=60)
    third = await bob.create("board=rpi")
    watch = bob.watch(third.name)
    event = await read(watch)
    assert event.waiting.position == 2
    assert event.waiting.reason
    end = first.effective_begin_time.seconds + 660
    assert abs(event.waiting.estimate.seconds - end) <= 2
    assert not event.waiting.HasField("longest_slot")
    await alice.delete(second.name)
    await read_until(watch, lambda event: event.waiting.position == 1)
    await alice.delete(first.name)
    ready = await read_until(watch, lambda event: not event.HasField("waiting"))
    assert conditions(ready.lease)["Ready"] == ("True", "Ready")
    await bob.delete(third.name)
    assert conditions((await read(watch)).lease)["Ready"] == ("False", "Released")
    assert await read(watch) is grpc.aio.EOF


async def test_watch_of_an_ended_lease_gives_it_once(lab: TestLab) -> None:
    alice = await lab.client()
    lease = await alice.create(exporter_name="nowhere")
    async with asyncio.timeout(60):
        events = [event async for event in alice.watch(lease.name)]
    assert [conditions(event.lease) for event in events] == [{"Unsatisfiable": ("True", "ExporterNotFound")}]


async def test_watch_of_nothing(lab: TestLab) -> None:
    alice = await lab.client()
    assert "not found" in (await refusal(read(alice.watch(f"{ROOT}/leases/none"))))[1]
    assert (await refusal(read(alice.watch("none"))))[0] is grpc.StatusCode.INVALID_ARGUMENT


async def test_watchers_are_told_that_the_client_is_gone_or_the_lab_closes(lab: TestLab) -> None:
    alice, bob = await lab.client(), await lab.client("bob")
    mine = await bob.create("board=none-yet", begin_time=_tomorrow())
    watches = [alice.watch(mine.name), bob.watch(mine.name)]
    for watch in watches:
        await read(watch)
    await lab.running.lab.close()
    for watch in watches:
        code, text = await refusal(read(watch))
        assert code is grpc.StatusCode.UNAVAILABLE
        assert "shuts down" in text
    assert (await refusal(alice.create("a=b")))[0] is grpc.StatusCode.UNAVAILABLE


def _tomorrow() -> Any:
    from datetime import UTC, datetime, timedelta

    from google.protobuf.timestamp_pb2 import Timestamp

    message = Timestamp()
    message.FromDatetime(datetime.now(UTC) + timedelta(days=1))
    return message


async def test_spot_lease_is_told_that_its_board_is_needed(lab: TestLab) -> None:
    long = Duration(seconds=3600)
    rules = [
        lab_pb2.PolicyRule(client_selectors=["team=a"], maximum_duration=long),
        lab_pb2.PolicyRule(client_selectors=["team=b"], spot_access=True),
    ]
    await lab.exporter(board="rpi")
    regular, guest = await lab.client(team="a"), await lab.client("bob", team="b")
    await lab.admin.ask(lab.admin.admin.PutPolicy, lab_pb2.Policy(name="spots", rules=rules))
    lease = await guest.create("board=rpi")
    assert conditions(lease)["Ready"] == ("True", "Ready")
    watch = guest.watch(lease.name)
    assert (await read(watch)).notice == ""
    await regular.create("board=rpi")
    event = await read_until(watch, lambda event: event.notice)
    assert "board-1 is needed for a regular lease" in event.notice
    assert isinstance(event.lease, client_pb2.Lease)
