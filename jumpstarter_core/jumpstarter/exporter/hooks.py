"""Hooks for programs that run leases themselves. What a hook is run like says `jumpstarter_exporter.hooks`."""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

import anyio
from anyio import CancelScope, to_thread
from jumpstarter_exporter.hooks import Hook, Interrupt, OnFailure, hook_environment, run_hook
from jumpstarter_exporter.lease_context import LeaseContext
from jumpstarter_exporter.standalone import HOOK_LOGGER, Hooks

from jumpstarter.common import HOOK_WARNING_PREFIX
from jumpstarter.common.enums import ExporterStatus, LogSource
from jumpstarter.config.exporter import HookConfigV1Alpha1

__all__ = ["HookExecutionError", "HookExecutor"]

HookType = Literal["before_lease", "after_lease"]
ReportStatus = Callable[[ExporterStatus, str], Awaitable[None]]
Release = Callable[[], Awaitable[None]]

logger = logging.getLogger("jumpstarter.exporter")

#: Seconds for the session of a lease to be served.
READY_TIMEOUT: Final = 30.0
#: Seconds between looks at whether it is.
READY_INTERVAL: Final = 0.1


@dataclass(eq=False)
class HookExecutionError(Exception):
    """Raised when a hook fails whose `on_failure` is not ``warn``. `hook_type` is before_lease or after_lease."""

    message: str
    on_failure: Literal["endLease", "exit"]
    hook_type: HookType

    def __str__(self) -> str:
        return self.message

    def should_shutdown_exporter(self) -> bool:
        """Whether the exporter has to end."""
        return self.on_failure == "exit"

    def should_end_lease(self) -> bool:
        """Whether the lease has to end."""
        return self.on_failure in ("endLease", "exit")


@dataclass(kw_only=True)
class HookExecutor:
    """Runs the hooks of *config*, on threads, for the lease that a `LeaseContext` describes."""

    config: HookConfigV1Alpha1

    async def execute_before_lease_hook(self, lease_scope: LeaseContext) -> str | None:
        """Run the beforeLease hook to its end; gives what a failure with ``onFailure: warn`` was, else None.

        Raises HookExecutionError for a failure that is more than a warning. Cancelling ends the hook.
        """
        hook = Hooks.configured(self.config).before
        return await _execute(hook, lease_scope, "before_lease", LogSource.BEFORE_LEASE_HOOK)

    async def execute_after_lease_hook(self, lease_scope: LeaseContext) -> str | None:
        """`execute_before_lease_hook` for the afterLease hook."""
        hook = Hooks.configured(self.config).after
        return await _execute(hook, lease_scope, "after_lease", LogSource.AFTER_LEASE_HOOK)

    async def run_before_lease_hook(
        self,
        lease_scope: LeaseContext,
        report_status: ReportStatus,
        shutdown: Callable[..., None],
        request_lease_release: Release | None = None,
    ) -> None:
        """Run the beforeLease hook and report how the lease stands; at the end *lease_scope*'s `before_lease_hook` is set.

        A failure that ends the lease has *request_lease_release* called, one that ends the exporter *shutdown*, with the
        arguments of `Exporter.stop`.
        """
        S = ExporterStatus  # noqa: N806 - a short name for a class
        try:
            if not await _served(lease_scope):
                problem = (
                    f"the session of lease {lease_scope.lease_name} was not served within {READY_TIMEOUT:g} s"
                )
                await report_status(S.BEFORE_LEASE_HOOK_FAILED, problem)
                return
            if self.config.before_lease is not None:
                await report_status(S.BEFORE_LEASE_HOOK, "Running beforeLease hook")
            warning = await self.execute_before_lease_hook(lease_scope)
            await report_status(S.LEASE_READY, _told(warning) or "Ready for commands")
        except HookExecutionError as error:
            lease_scope.skip_after_lease_hook = True
            await _fail(error, S.BEFORE_LEASE_HOOK_FAILED, report_status, shutdown, request_lease_release)
        finally:
            lease_scope.before_lease_hook.set()

    async def run_after_lease_hook(
        self,
        lease_scope: LeaseContext,
        report_status: ReportStatus,
        shutdown: Callable[..., None],
        request_lease_release: Release | None = None,
    ) -> None:
        """Run the afterLease hook, report how the lease stands, and have it released; else as `run_before_lease_hook`."""
        S = ExporterStatus  # noqa: N806 - a short name for a class
        message = ""
        try:
            if self.config.after_lease is not None and lease_scope.is_ready():
                await report_status(S.AFTER_LEASE_HOOK, "Running afterLease hook")
                message = _told(await self.execute_after_lease_hook(lease_scope))
        except HookExecutionError as error:
            await _fail(error, S.AFTER_LEASE_HOOK_FAILED, report_status, shutdown, request_lease_release)
            return
        await report_status(S.AVAILABLE, message or "Available for new lease")
        if request_lease_release is not None:
            await request_lease_release()


async def _execute(
    hook: Hook | None, lease: LeaseContext, hook_type: HookType, source: LogSource
) -> str | None:
    if hook is None:
        return None
    session = lease.session
    if session is None:
        raise RuntimeError(f"lease {lease.lease_name} has no session: set it before its hooks run")
    log = logging.getLogger(HOOK_LOGGER)
    host = str(lease.hook_socket_path or lease.socket_path)
    environment = hook_environment(
        os.environ, host=host, lease_name=lease.lease_name, client_name=lease.client_name
    )
    interrupt = Interrupt()

    def run() -> str | None:
        with session.context_log_source(HOOK_LOGGER, source):
            return run_hook(hook, environment, log.info, interrupt).problem

    problem = await _ended_when_cancelled(run, interrupt)
    if problem is None or hook.on_failure is OnFailure.WARN:
        return problem
    raise HookExecutionError(problem, "exit" if hook.on_failure is OnFailure.EXIT else "endLease", hook_type)


async def _ended_when_cancelled(run: Callable[[], str | None], interrupt: Interrupt) -> str | None:
    """What *run* gives, which runs on a thread. A cancelled caller waits for the hook's end, too."""
    ended = anyio.Event()
    results: list[str | None] = []

    async def work() -> None:
        with CancelScope(shield=True):
            results.append(await to_thread.run_sync(run))
            ended.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work)
        try:
            await ended.wait()
        except BaseException:
            interrupt()
            raise
    return results[0]


async def _served(lease: LeaseContext) -> bool:
    with anyio.move_on_after(READY_TIMEOUT):
        while not lease.is_ready():  # noqa: ASYNC110 - nothing tells when it becomes so
            await anyio.sleep(READY_INTERVAL)
    return lease.is_ready()


def _told(warning: str | None) -> str:
    """The status message for a failure that is a warning."""
    return f"{HOOK_WARNING_PREFIX}{warning}" if warning else ""


async def _fail(
    error: HookExecutionError,
    status: ExporterStatus,
    report_status: ReportStatus,
    shutdown: Callable[..., Any],
    release: Release | None,
) -> None:
    logger.error("%s; onFailure is %s", error, error.on_failure)
    await report_status(status, str(error))
    if error.should_shutdown_exporter():
        await report_status(ExporterStatus.OFFLINE, f"Exporter shutting down: {error}")
        shutdown(exit_code=1, wait_for_lease_exit=True, should_unregister=True)
    elif release is not None:
        await release()
