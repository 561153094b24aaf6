"""The dialling socket against a controller, a router and a session, all of them real or nearly so."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from anyio import to_thread
from jumpstarter.client.client import connect_path
from jumpstarter.common.exceptions import ConnectionError
from jumpstarter_driver_power.driver import MockPower
from jumpstarter_testing.eventually import eventually

from .small_lab import dialling, small_lab

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@contextmanager
def client_at(path: Path) -> Iterator[Any]:
    with connect_path(str(path), allow=[], unsafe=True) as client:
        yield client


def power_on(path: Path) -> Any:
    with client_at(path) as client:
        return client.call("on")


async def test_call_reaches_the_exporter(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with small_lab(MockPower()) as lab, dialling(lab, str(path)) as dialer:
        assert await to_thread.run_sync(power_on, path) is None
        assert lab.dials == 1
        assert dialer.problem is None


async def test_every_connection_is_dialled(tmp_path: Path) -> None:
    path = tmp_path / "s"
    # Plain sockets: clients of gRPC share a connection that is about to be closed.
    async with small_lab(MockPower()) as lab, dialling(lab, str(path)):
        with ExitStack() as stack:
            for _ in range(3):
                stack.enter_context(socket.socket(socket.AF_UNIX)).connect(str(path))
            await to_thread.run_sync(lambda: eventually(lambda: lab.dials == 3, timeout=60))


async def test_exporter_that_is_not_ready_yet_is_dialled_again(tmp_path: Path) -> None:
    async def answer(number: int, context: Any) -> None:
        if number == 1:
            await context.abort(
                grpc.StatusCode.FAILED_PRECONDITION, "exporter is not ready (status: Available)"
            )
        if number == 2:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "exporter is not listening on lease")

    path = tmp_path / "s"
    async with small_lab(MockPower()) as lab, dialling(lab, str(path)):
        lab.answer = answer
        await to_thread.run_sync(power_on, path)
        assert lab.dials == 3


async def test_refusal_closes_the_connection_and_is_told(tmp_path: Path) -> None:
    async def answer(number: int, context: Any) -> None:
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "exporter is offline")

    path = tmp_path / "s"
    async with small_lab(MockPower()) as lab, dialling(lab, str(path)) as dialer:
        lab.answer = answer
        with pytest.raises(ConnectionError):
            await to_thread.run_sync(power_on, path)
        assert dialer.problem == "exporter is offline"


async def test_dialling_has_a_time_limit(tmp_path: Path) -> None:
    async def answer(number: int, context: Any) -> None:
        await context.abort(grpc.StatusCode.UNAVAILABLE, "not listening")

    path = tmp_path / "s"
    async with small_lab(MockPower()) as lab, dialling(lab, str(path), timeout=0.1) as dialer:
        lab.answer = answer
        with pytest.raises(ConnectionError):
            await to_thread.run_sync(power_on, path)
        assert dialer.problem == "the exporter did not become ready within 0.1 s"


async def test_end_of_the_dialler_closes_its_connections(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with small_lab(MockPower()) as lab:
        with ExitStack() as stack:
            async with dialling(lab, str(path)):
                client = await to_thread.run_sync(stack.enter_context, client_at(path))
                await to_thread.run_sync(client.call, "on")
            with pytest.raises(ConnectionError):
                await to_thread.run_sync(client.call, "on")
        await to_thread.run_sync(lambda: eventually(lambda: not lab.router.open_streams, timeout=60))
