"""Direct mode: an exporter that serves its clients itself, in one process, without a controller.

The life of the process is one lease: the beforeLease hook runs when it starts, the afterLease hook when it
ends. The hooks reach the drivers through a unix socket of their own, which takes no passphrase.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jumpstarter.common.enums import ExporterStatus, LogSource
from jumpstarter.common.exceptions import JumpstarterException
from jumpstarter.common.interrupts import run_aside

from .hooks import Hook, HookResult, Interrupt, LeftBehind, OnFailure, hook_environment, run_hook

if TYPE_CHECKING:
    from jumpstarter.config.exporter import HookConfigV1Alpha1, HookInstanceConfigV1Alpha1
    from jumpstarter.session import Session

HOOK_LOGGER = "jumpstarter.exporter.hooks"
WARNING_PREFIX = "[HOOK_WARNING] "
"""Starts the status message of a lease whose hook failed without consequences; clients look for it."""
LEASE_NAME = "standalone"
SIGNAL_LATENCY = 0.1
"""Seconds after which a signal that comes while a hook runs is looked at, at the latest."""

logger = logging.getLogger("jumpstarter.exporter")


class HookFailed(JumpstarterException):
    """Raised when a hook fails whose ``onFailure`` is not ``warn``: the exporter does not serve then."""


@dataclass(frozen=True)
class Hooks:
    """The hooks of an exporter config; None where there is none."""

    before: Hook | None = None
    after: Hook | None = None

    @classmethod
    def configured(cls, config: HookConfigV1Alpha1) -> Hooks:
        """The hooks that *config* describes."""
        return cls(_hook("beforeLease", config.before_lease), _hook("afterLease", config.after_lease))


def _hook(name: str, config: HookInstanceConfigV1Alpha1 | None) -> Hook | None:
    if config is None:
        return None
    return Hook(name, config.script, config.exec_, config.timeout, OnFailure(config.on_failure))


@contextmanager
def standalone_lease(
    session: Session, hooks: Hooks, hook_socket: str, interrupt: Interrupt | None = None
) -> Iterator[None]:
    """Make *session* ready for clients, and at the end `OFFLINE`, each with its hook; what hooks leave behind ends, too.

    Args:
        session: the session, whose sockets are served already, so that clients see the hooks' output.
        hooks: what to run.
        hook_socket: path of a unix socket of the session, for the hooks.
        interrupt: ends the beforeLease hook early, which is no failure then: the afterLease hook is due.

    Raises:
        HookFailed: the beforeLease hook failed and its ``onFailure`` is not ``warn``; the afterLease hook is
            left out then.
    """
    left = LeftBehind()
    try:
        message = ""
        if hooks.before:
            session.status.update(ExporterStatus.BEFORE_LEASE_HOOK, "Running beforeLease hook")
            message = _run(
                session,
                hooks.before,
                hook_socket,
                LogSource.BEFORE_LEASE_HOOK,
                ExporterStatus.BEFORE_LEASE_HOOK_FAILED,
                left,
                interrupt,
            )
        session.status.update(ExporterStatus.LEASE_READY, message or "Ready for commands")
        try:
            yield
        finally:
            if hooks.after:
                session.status.update(ExporterStatus.AFTER_LEASE_HOOK, "Running afterLease hook")
                _run(
                    session,
                    hooks.after,
                    hook_socket,
                    LogSource.AFTER_LEASE_HOOK,
                    ExporterStatus.AFTER_LEASE_HOOK_FAILED,
                    left,
                )
    finally:
        run_aside(left.close, None, "hook-end")
        session.status.update(ExporterStatus.OFFLINE, "Exporter shutting down")


def _run(
    session: Session,
    hook: Hook,
    socket: str,
    source: LogSource,
    failed: ExporterStatus,
    left: LeftBehind,
    interrupt: Interrupt | None = None,
) -> str:
    """Run *hook*; returns the status message for the lease if its failure is only a warning, else ""."""
    hook_log = logging.getLogger(HOOK_LOGGER)
    environment = hook_environment(os.environ, host=socket, lease_name=LEASE_NAME)
    interrupt = interrupt or Interrupt()
    logger.info("running the %s hook", hook.name)

    def run() -> HookResult:
        with session.context_log_source(HOOK_LOGGER, source):
            return run_hook(hook, environment, hook_log.info, interrupt, left)

    result = _undisturbed(run, interrupt)
    if result.problem is None or interrupt.requested:
        return ""
    if hook.on_failure is OnFailure.WARN:
        logger.warning("%s", result.problem)
        return WARNING_PREFIX + result.problem
    session.status.update(failed, result.problem)
    raise HookFailed(f"{result.problem}; onFailure is {hook.on_failure.value}, so the exporter stops")


def _undisturbed(run: Callable[[], HookResult], interrupt: Interrupt) -> HookResult:
    """Call *run* on a thread, where no signal handler can raise between opening something and closing it.

    A handler that raises here, in the main thread, ends the hook by *interrupt*.
    """
    executor = ThreadPoolExecutor(1, thread_name_prefix="hook")
    try:
        running = executor.submit(run)
        # A signal may come to another thread, which does not wake this one: see `jumpstarter.common.wakeups`.
        while not wait([running], SIGNAL_LATENCY).done:
            pass
        return running.result()
    except BaseException:
        interrupt()
        raise
    finally:
        executor.shutdown()
