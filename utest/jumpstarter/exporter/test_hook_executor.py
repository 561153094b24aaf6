"""Hooks that a program runs, with real scripts."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import to_thread
from jumpstarter.common import HOOK_WARNING_PREFIX, ExporterStatus
from jumpstarter.config.exporter import HookConfigV1Alpha1, HookInstanceConfigV1Alpha1
from jumpstarter.exporter import Session
from jumpstarter.exporter.hooks import HookExecutionError, HookExecutor
from jumpstarter.exporter.lease_context import LeaseContext
from jumpstarter_driver_power.driver import MockPower
from jumpstarter_testing.eventually import eventually

S = ExporterStatus

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def before(script: str, on_failure: Any = "warn", **options: Any) -> HookExecutor:
    hook = HookInstanceConfigV1Alpha1(script=script, on_failure=on_failure, **options)
    return HookExecutor(config=HookConfigV1Alpha1(before_lease=hook))


def after(script: str, on_failure: Any = "warn") -> HookExecutor:
    hook = HookInstanceConfigV1Alpha1(script=script, on_failure=on_failure)
    return HookExecutor(config=HookConfigV1Alpha1(after_lease=hook))


@asynccontextmanager
async def lease() -> AsyncIterator[LeaseContext]:
    """A lease whose session is served."""
    context = LeaseContext("my-lease", anyio.Event(), client_name="anna")
    with Session(root_device=MockPower()) as session:
        async with session.serve_unix_with_hook_socket_async() as (path, hook_path):
            context.session, context.socket_path, context.hook_socket_path = session, path, hook_path
            session.lease_context = context
            with anyio.fail_after(60):
                yield context


@dataclass
class Service:
    """What hooks ask of an exporter."""

    told: list[tuple[ExporterStatus, str]] = field(default_factory=list)
    asked: list[Any] = field(default_factory=list)

    async def report(self, status: ExporterStatus, message: str) -> None:
        self.told.append((status, message))

    def shutdown(self, **arguments: Any) -> None:
        self.asked.append(arguments)

    async def release(self) -> None:
        self.asked.append("release")


async def test_hook_runs_with_the_lease_and_its_socket(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with lease() as context:
        context.session.update_status(S.BEFORE_LEASE_HOOK)  # type: ignore[union-attr]
        hook = before(f'j on && echo "$LEASE_NAME $CLIENT_NAME" > {tmp_path}/told; echo printed')
        assert await hook.execute_before_lease_hook(context) is None
    assert (tmp_path / "told").read_text() == "my-lease anna\n"
    assert "printed" in caplog.messages


async def test_no_hook_is_no_failure() -> None:
    none = HookExecutor(config=HookConfigV1Alpha1())
    context = LeaseContext("l", anyio.Event())
    assert await none.execute_before_lease_hook(context) is None
    assert await none.execute_after_lease_hook(context) is None


async def test_failure_is_a_warning_or_an_error() -> None:
    async with lease() as context:
        problem = "beforeLease hook failed with exit code 3"
        assert await before("exit 3").execute_before_lease_hook(context) == problem
        with pytest.raises(HookExecutionError) as caught:
            await before("exit 3", "endLease").execute_before_lease_hook(context)
        error = caught.value
        assert (str(error), error.on_failure, error.hook_type) == (problem, "endLease", "before_lease")
        assert error.should_end_lease()
        assert not error.should_shutdown_exporter()
        with pytest.raises(HookExecutionError) as caught:
            await after("exit 3", "exit").execute_after_lease_hook(context)
        assert caught.value.hook_type == "after_lease"
        assert caught.value.should_end_lease()
        assert caught.value.should_shutdown_exporter()
        with pytest.raises(HookExecutionError, match="beforeLease hook timed out after 1 s"):
            await before("sleep 600", "endLease", timeout=1).execute_before_lease_hook(context)


async def test_cancelling_ends_the_hook(tmp_path: Path) -> None:
    async with lease() as context:
        hook = before(f"trap 'touch {tmp_path}/ended; exit' TERM; touch {tmp_path}/started; sleep 600 & wait")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hook.execute_before_lease_hook, context)
            await to_thread.run_sync(lambda: eventually((tmp_path / "started").exists, timeout=60))
            tasks.cancel_scope.cancel()
        assert (tmp_path / "ended").exists()


AVAILABLE = (S.AVAILABLE, "Available for new lease")
STOP = {"exit_code": 1, "wait_for_lease_exit": True, "should_unregister": True}


@pytest.mark.parametrize(
    ("script", "on_failure", "told", "asked"),
    [
        ("true", "warn", [(S.LEASE_READY, "Ready for commands")], []),
        ("exit 3", "warn", [(S.LEASE_READY, HOOK_WARNING_PREFIX)], []),
        ("exit 3", "endLease", [(S.BEFORE_LEASE_HOOK_FAILED, "")], ["release"]),
        ("exit 3", "exit", [(S.BEFORE_LEASE_HOOK_FAILED, ""), (S.OFFLINE, "")], [STOP]),
    ],
)
async def test_before_lease_is_reported(script: str, on_failure: str, told: Any, asked: Any) -> None:
    service = Service()
    async with lease() as context:
        await before(script, on_failure).run_before_lease_hook(
            context, service.report, service.shutdown, service.release
        )
        assert context.drivers_ready()
        assert context.skip_after_lease_hook is (on_failure != "warn")
    assert service.told[0] == (S.BEFORE_LEASE_HOOK, "Running beforeLease hook")
    assert [status for status, _ in service.told[1:]] == [status for status, _ in told]
    assert all(text in message for (_, message), (_, text) in zip(service.told[1:], told, strict=True))
    assert service.asked == asked


@pytest.mark.parametrize(
    ("script", "on_failure", "told", "asked"),
    [
        ("true", "warn", [AVAILABLE], ["release"]),
        ("exit 3", "warn", [(S.AVAILABLE, HOOK_WARNING_PREFIX)], ["release"]),
        ("exit 3", "endLease", [(S.AFTER_LEASE_HOOK_FAILED, "exit code 3")], ["release"]),
        ("exit 3", "exit", [(S.AFTER_LEASE_HOOK_FAILED, ""), (S.OFFLINE, "")], [STOP]),
    ],
)
async def test_after_lease_is_reported(script: str, on_failure: str, told: Any, asked: Any) -> None:
    service = Service()
    async with lease() as context:
        await after(script, on_failure).run_after_lease_hook(
            context, service.report, service.shutdown, service.release
        )
    assert service.told[0] == (S.AFTER_LEASE_HOOK, "Running afterLease hook")
    assert [status for status, _ in service.told[1:]] == [status for status, _ in told]
    assert all(text in message for (_, message), (_, text) in zip(service.told[1:], told, strict=True))
    assert service.asked == asked


async def test_lease_whose_session_never_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jumpstarter.exporter.hooks.READY_TIMEOUT", 0.2)
    service, context = Service(), LeaseContext("l", anyio.Event())
    await before("true").run_before_lease_hook(context, service.report, service.shutdown, service.release)
    assert [status for status, _ in service.told] == [S.BEFORE_LEASE_HOOK_FAILED]
    assert context.drivers_ready()
    service = Service()
    await after("true").run_after_lease_hook(context, service.report, service.shutdown)
    assert service.told == [AVAILABLE]


async def test_lease_context_tells_how_far_it_is() -> None:
    async with lease() as context:
        assert context.is_ready()
        assert context.is_active()
        assert not context.drivers_ready()
        context.update_status(S.LEASE_READY, "go")
        assert (context.current_status, context.status_message) == (S.LEASE_READY, "go")
        assert context.session is not None
        assert context.session.status.status is S.LEASE_READY
        context.before_lease_hook.set()
        await context.wait_for_drivers()
        assert context.has_client()
        context.clear_client()
        assert not context.has_client()
        context.update_client("bert")
        assert context.client_name == "bert"
    context = LeaseContext("l", anyio.Event())
    assert not context.is_ready()
    with pytest.raises(AssertionError):
        LeaseContext("", anyio.Event())
