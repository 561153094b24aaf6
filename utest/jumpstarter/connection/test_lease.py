"""The client of a leased exporter that is far away."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from anyio import to_thread
from jumpstarter.connection.lease import Leased, client_of
from jumpstarter.connection.tunnel import Tunnel
from jumpstarter_driver_power.driver import MockPower

from utest.jumpstarter.client.small_lab import dialling, small_lab

pytestmark = pytest.mark.anyio

#: Seconds until a dial is answered: more than a reconnect is delayed by, less than anybody gives up after.
FAR = 1.0


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def power_on(path: Path) -> Any:
    unused: Any = None
    leased = Leased(
        name="lease",
        exporter=unused,
        shared="",
        warning="",
        allow=[],
        unsafe=True,
        owned=True,
        _keeper=unused,
        _way=Tunnel(str(path), "", unused, None),
        _waits=unused,
    )
    with client_of(leased) as client:
        return client.call("on")


async def test_connection_may_take_its_time(tmp_path: Path) -> None:
    async def answer(number: int, context: Any) -> None:
        await asyncio.sleep(FAR)

    path = tmp_path / "s"
    async with small_lab(MockPower()) as lab, dialling(lab, str(path)):
        lab.answer = answer
        assert await to_thread.run_sync(power_on, path) is None
        assert lab.dials == 1
