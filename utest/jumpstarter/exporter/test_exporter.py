"""The exporter service for programs, without a lab. With one: utest/lab/test_exporter_api.py."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import grpc
import pytest
from anyio import to_thread
from jumpstarter.client.client import connect_path
from jumpstarter.common.exceptions import ConfigurationError, ConnectionError, JumpstarterException
from jumpstarter.config.common import ObjectMeta
from jumpstarter.config.exporter import (
    ExporterConfigV1Alpha1,
    ExporterConfigV1Alpha1DriverInstanceBase,
    HookConfigV1Alpha1,
    HookInstanceConfigV1Alpha1,
)
from jumpstarter.exporter import Exporter
from jumpstarter.exporter.auth import PassphraseInterceptor
from jumpstarter.exporter.hooks import HookExecutor
from jumpstarter_driver_power.driver import MockPower
from jumpstarter_testing.eventually import eventually

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def nowhere() -> grpc.aio.Channel:
    return grpc.aio.insecure_channel("127.0.0.1:1")


def hooks(**scripts: Any) -> HookExecutor:
    return HookExecutor(config=HookConfigV1Alpha1(**scripts))


@asynccontextmanager
async def standalone(exporter: Exporter, **options: Any) -> AsyncIterator[int]:
    """*exporter* in a task of its own; gives the port."""
    port = free_port()
    async with exporter, anyio.create_task_group() as tasks:
        with anyio.fail_after(60):
            serving = asyncio.ensure_future(exporter.serve_standalone_tcp("127.0.0.1", port, **options))
            yield port
            await serving
        tasks.cancel_scope.cancel()


def turn_on(host: str, **options: Any) -> None:
    """Use the power driver, or the one of that name below the root, as soon as it may be used."""

    def used() -> None:
        try:
            with connect_path(host, allow=[], unsafe=True, insecure=True, **options) as client:
                client.children.get("power", client).on()
        except JumpstarterException as error:
            raise AssertionError(str(error)) from error

    eventually(used, timeout=60)


async def test_client_uses_a_standalone_exporter_until_it_is_stopped(tmp_path: Path) -> None:
    exporter = Exporter(
        channel_factory=nowhere,
        device_factory=MockPower,
        hook_executor=hooks(
            beforeLease=HookInstanceConfigV1Alpha1(script=f"touch {tmp_path}/before"),
            afterLease=HookInstanceConfigV1Alpha1(script=f"j off; touch {tmp_path}/after"),
        ),
    )
    async with standalone(exporter) as port:
        await to_thread.run_sync(turn_on, f"127.0.0.1:{port}")
        # A client that does not ask for the status need not wait for the hook.
        await to_thread.run_sync(lambda: eventually((tmp_path / "before").exists, timeout=60))
        assert not (tmp_path / "after").exists()
        exporter.stop()
    assert (tmp_path / "after").exists()
    assert exporter.exit_code is None


async def test_interceptors_guard_the_port() -> None:
    exporter = Exporter(channel_factory=nowhere, device_factory=MockPower)
    async with standalone(exporter, interceptors=[PassphraseInterceptor("p")]) as port:
        await to_thread.run_sync(lambda: turn_on(f"127.0.0.1:{port}", passphrase="p"))
        with pytest.raises(ConnectionError, match="passphrase"):
            await to_thread.run_sync(
                lambda: connect_path(f"127.0.0.1:{port}", allow=[], unsafe=True, insecure=True).__enter__()
            )
        exporter.stop(exit_code=7)
    assert exporter.exit_code == 7


async def test_stop_does_not_wait_for_the_hook_before(tmp_path: Path) -> None:
    hook = HookInstanceConfigV1Alpha1(script=f"touch {tmp_path}/started; sleep 600", onFailure="exit")
    exporter = Exporter(
        channel_factory=nowhere, device_factory=MockPower, hook_executor=hooks(before_lease=hook)
    )
    async with standalone(exporter):
        await to_thread.run_sync(lambda: eventually((tmp_path / "started").exists, timeout=60))
        exporter.stop()
    assert exporter.exit_code is None


async def test_failed_hook_ends_a_standalone_exporter() -> None:
    hook = HookInstanceConfigV1Alpha1(script="exit 3", on_failure="exit")
    exporter = Exporter(
        channel_factory=nowhere, device_factory=MockPower, hook_executor=hooks(before_lease=hook)
    )
    async with standalone(exporter):
        pass
    assert exporter.exit_code == 1


async def test_port_in_use_is_told() -> None:
    exporter = Exporter(channel_factory=nowhere, device_factory=MockPower)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConnectionError, match="in use"):
            await exporter.serve_standalone_tcp("127.0.0.1", taken.getsockname()[1])


async def test_cancelled_exporter_closes_its_drivers() -> None:
    closed = []

    class Power(MockPower):
        def close(self) -> None:
            closed.append(1)
            super().close()

    exporter = Exporter(channel_factory=nowhere, device_factory=Power)
    async with exporter, anyio.create_task_group() as tasks:
        port = free_port()
        tasks.start_soon(exporter.serve_standalone_tcp, "127.0.0.1", port)
        await to_thread.run_sync(turn_on, f"127.0.0.1:{port}")
        tasks.cancel_scope.cancel()
    assert closed == [1]


async def test_leaving_the_context_ends_what_runs_in_another_task() -> None:
    port = free_port()
    async with Exporter(channel_factory=nowhere, device_factory=MockPower) as exporter:
        serving = asyncio.create_task(exporter.serve_standalone_tcp("127.0.0.1", port))
        await to_thread.run_sync(turn_on, f"127.0.0.1:{port}")
        assert not serving.done()
    with anyio.fail_after(60):
        await serving


async def test_stop_before_the_start_counts() -> None:
    exporter = Exporter(channel_factory=nowhere, device_factory=MockPower)
    exporter.stop()
    with anyio.fail_after(60):
        await exporter.serve_standalone_tcp("127.0.0.1", free_port())


def config(**fields: Any) -> ExporterConfigV1Alpha1:
    power = ExporterConfigV1Alpha1DriverInstanceBase(type="jumpstarter_driver_power.driver.MockPower")
    metadata = ObjectMeta(namespace="default", name="bench")
    export: Any = {"power": power}
    return ExporterConfigV1Alpha1(metadata=metadata, export=export, **fields)


async def test_exporter_of_a_configuration_serves_alone() -> None:
    hook = HookInstanceConfigV1Alpha1(script="true")
    hooks = HookConfigV1Alpha1(after_lease=hook)
    async with config(hooks=hooks, motd="hello").create_exporter(standalone=True) as exporter:
        assert exporter.hook_executor == HookExecutor(config=hooks)
        assert exporter.motd == "hello"
        async with standalone(exporter) as port:
            await to_thread.run_sync(turn_on, f"127.0.0.1:{port}")
            exporter.stop()


async def test_configuration_without_a_controller_cannot_serve_a_lab() -> None:
    with pytest.raises(ConfigurationError, match="endpoint and token missing"):
        await config().serve()


async def test_configuration_serves_on_a_unix_socket() -> None:
    async with config().serve_unix_async() as path:
        await to_thread.run_sync(turn_on, path)
    assert not Path(path).exists()
