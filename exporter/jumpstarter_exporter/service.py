"""The exporter service: a board in a lab, for as long as the process runs.

It makes the board known to the controller, follows its lease, and runs one `LeaseSession` at a time. A controller that goes
away, for however long, ends nothing: a session goes on. When the controller is back the exporter asks for its lease at once, and
registers again where the controller does not know it as it was.

A lease that an earlier process did not finish is finished first (see `record`): its afterLease hook runs before anything else.

It is stopped by `stop`: at once, where the running session is closed with its afterLease hook and the lease stays the
client's; or after the lease.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

import grpc
from anyio import to_thread
from jumpstarter.client.lab import is_refusal, refusal_kind
from jumpstarter.common.enums import ExporterStatus
from jumpstarter.common.exceptions import ConnectionError
from jumpstarter.common.registrations import SUPERSEDED, UNREGISTERED
from jumpstarter.common.tokens import ends_soon
from jumpstarter.config.exporter import ExporterConfigV1Alpha1
from jumpstarter.session import Session
from jumpstarter_protocol import jumpstarter_pb2 as pb

from .lease import LeaseSession, Outcome
from .link import TELL_INTERVAL, TRANSIENT, Backoff, ControllerLink, controller_link
from .record import Record, Unfinished
from .reporter import Reporter
from .setup import Setup, configured
from .standalone import Hooks
from .supervisor import Pulse

logger = logging.getLogger(__name__)

#: Seconds between two looks whether the process that runs the exporter is still there.
STAND_BY: Final = 5.0

#: Seconds between two reminders of a token that expires soon.
REMINDER: Final = 86_400.0

#: Exit code of an exporter whose hook asked for its end, or whose drivers failed again and again.
FAILED = 1


class ExporterRefused(ConnectionError):
    """Raised when the controller does not take the exporter for what it says it is."""


class Exporter:
    """One exporter of a lab. `run` gives the exit code."""

    def __init__(self, setup: Setup, hooks: Hooks) -> None:
        self._setup = setup
        self._hooks = hooks
        self._stop = asyncio.Event()
        self._after_lease = asyncio.Event()
        self._record = Record(setup.record)
        self._unfinished: Unfinished | None = None
        self._wanted: tuple[str, str] | None = None
        self._told = asyncio.Event()
        self._changed = asyncio.Event()
        self._current: LeaseSession | None = None
        self._failures: deque[float] = deque(maxlen=setup.failure_detection.max_rapid_failures)
        self._exit_code = 0
        self._leaves = True
        self._superseded = False

    def stop(self, *, after_lease: bool = False, leave: bool = True) -> None:
        """End the service: at once, or when the lease that runs has ended.

        Without *leave* the controller is not told: the exporter stays registered, and is offline.
        """
        self._leaves = leave
        self._after_lease.set()
        if not after_lease:
            self._stop.set()
            if self._current is not None:
                self._current.stopping.set()
        self._changed.set()
        self._told.set()

    async def run(self) -> int:
        """Serve until stopped.

        Raises ConfigurationError when the configuration or a driver does not work, ExporterRefused when the controller
        does not take the exporter.
        """
        reports = await to_thread.run_sync(self._describe)
        self._unfinished = await to_thread.run_sync(self._left_behind)
        backoff = Backoff()
        while True:
            try:
                async with controller_link(self._setup) as link:
                    return await self._run(link, reports)
            except ExporterRefused:
                raise
            except ConnectionError as error:  # an unverified certificate could not be fetched
                if self._stop.is_set():
                    return self._exit_code
                logger.warning("%s: trying again", error)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), backoff.next())

    def _describe(self) -> list[Any]:
        """The driver tree as clients will see it; the drivers are made for this, and closed again."""
        identity = f"{self._setup.controller} {self._setup.name}"
        with Session(root_device=self._setup.make_device(), identity=identity) as session:
            return list(session.report().reports)

    def _left_behind(self) -> Unfinished | None:
        """The lease that an earlier process did not finish, if there is a hook that can."""
        left = self._record.read()
        if left is not None and self._hooks.after is None:
            self._record.clear(left.lease)
            return None
        return left

    async def _run(self, link: ControllerLink, reports: list[Any]) -> int:
        reporter = Reporter(link)
        following = asyncio.create_task(self._follow(link, reporter, reports))
        reporting = asyncio.create_task(reporter.run())
        serving = asyncio.create_task(self._serve(link, reporter))
        reminding = asyncio.create_task(self._remind_of_the_token())
        try:
            done, _ = await asyncio.wait({following, serving}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            following.cancel()
            reminding.cancel()
            if self._current is not None:
                self._current.stopping.set()
            self.stop(leave=self._leaves)
            await asyncio.gather(following, serving, return_exceptions=True)
            await reporter.flush(timeout=5)
            reporting.cancel()
            if self._leaves and not self._superseded:
                await self._leave(link)
        return self._exit_code

    async def _remind_of_the_token(self) -> None:
        """Log once a day that the token expires soon: without a valid one the board is gone from the lab."""
        name = self._setup.name
        renewal = f"have an administrator make a new one with 'jmp admin rotate exporter {name}'"
        while True:
            notice = ends_soon(self._setup.token, f"exporter '{name}'", renewal, datetime.now(UTC))
            if notice:
                logger.warning("%s", notice)
            await asyncio.sleep(REMINDER)

    async def _leave(self, link: ControllerLink) -> None:
        with suppress(grpc.aio.AioRpcError):
            await link.report_once(ExporterStatus.OFFLINE, "Exporter shutting down")
            await link.unregister("Exporter shutdown")

    async def _follow(self, link: ControllerLink, reporter: Reporter, reports: list[Any]) -> None:
        """Register, and keep `_wanted` at what the controller says; again after every break of the line."""
        backoff, known, broken, tell_at = Backoff(), False, False, 0.0
        while True:
            try:
                async for status in await self._come(link, reporter, reports, known=known):
                    if broken:
                        logger.info("the line to the controller is there again")
                    broken, tell_at = False, 0.0
                    backoff.reset()
                    known = link.takes_back and self._unfinished is None
                    self._want((status.lease_name, status.client_name) if status.leased else None)
            except grpc.aio.AioRpcError as error:
                kind = refusal_kind(error)
                if kind in (UNREGISTERED, SUPERSEDED):
                    known = False
                if kind == UNREGISTERED:
                    continue
                if kind == SUPERSEDED:
                    self._stand_by(error.details() or "")
                    await asyncio.sleep(STAND_BY)
                    continue
                if error.code() not in (*TRANSIENT, grpc.StatusCode.UNKNOWN) or _is_refusal(error):
                    raise ExporterRefused(self._refusal(error)) from None
                if (now := time.monotonic()) >= tell_at:
                    logger.warning(
                        "the line to the controller broke: %s", error.details() or error.code().name
                    )
                    tell_at = now + TELL_INTERVAL
                broken = True
            await asyncio.sleep(backoff.next())

    async def _come(
        self, link: ControllerLink, reporter: Reporter, reports: list[Any], *, known: bool
    ) -> AsyncIterator[pb.StatusResponse]:
        """What the controller says from now on: to an exporter that it has *known*, or to one that registers."""
        if known:
            return link.status(back=reporter.last[0])
        await link.register(reports)
        await self._report_first(link, reporter)
        self._registered(link)
        return link.status()

    def _refusal(self, error: grpc.aio.AioRpcError) -> str:
        where, details = self._setup.controller, error.details() or ""
        if error.code() is grpc.StatusCode.UNIMPLEMENTED and "method not found" in details.lower():
            from jumpstarter.common.causes import explain

            return f"exporter '{self._setup.name}' cannot register: {explain(details, where)}"
        return (
            f"the controller at {where} refuses exporter '{self._setup.name}': {details}{_next_step(error)}"
        )

    async def _report_first(self, link: ControllerLink, reporter: Reporter) -> None:
        """What the controller is told right after the exporter registered."""
        if self._unfinished is not None:
            # Told before the controller can think of a new lease.
            ending, lease = self._unfinished.ending, self._unfinished.lease
            status = ExporterStatus.AFTER_LEASE_HOOK if ending else ExporterStatus.BEFORE_LEASE_HOOK
            await link.report(status, f"Coming back to lease {lease}")
        elif self._current is None:
            reporter.report(ExporterStatus.AVAILABLE, "Exporter registered and available")
        else:
            reporter.report(*reporter.last)

    def _registered(self, link: ControllerLink) -> None:
        self._superseded = False
        logger.info("registered as %s at %s", self._setup.name, self._setup.controller)
        if link.replaced is not None:
            logger.warning(
                "another process (at %s) ran exporter '%s' until now: it stands by from now on; end one of the two",
                link.replaced,
                self._setup.name,
            )

    def _stand_by(self, reason: str) -> None:
        """Let go of the board: a newer process has it. Not an end, or two supervisors would restart both for ever."""
        if self._superseded:
            return
        self._superseded = True
        logger.warning(
            "%s: this process stands by, and takes the board back when that one is gone; end one of the two",
            reason,
        )
        self._wanted = None
        if self._current is not None:
            self._current.fence()
        self._changed.set()

    def _want(self, lease: tuple[str, str] | None) -> None:
        self._wanted = lease
        if self._current is not None:
            if lease is None or lease[0] != self._current.name:
                self._current.gone.set()
            else:
                self._current.belongs_to(lease[1])
        self._changed.set()
        self._told.set()

    async def _serve(self, link: ControllerLink, reporter: Reporter) -> None:
        """Run a session for every lease, one after the other, until stopped."""
        served, outcome = await self._finish_left(link, reporter)
        if outcome is not None and self._gives_up(outcome):
            return
        while not self._after_lease.is_set():
            self._changed.clear()
            if self._wanted is None or self._wanted[0] == served:
                served = served if self._wanted is not None else None
                await self._changed.wait()
                continue
            served = self._wanted[0]
            outcome = await self._serve_lease(link, reporter, *self._wanted)
            if self._ends(outcome):
                return
            if not self._superseded:
                reporter.report(ExporterStatus.AVAILABLE, "Available for new lease")

    async def _finish_left(
        self, link: ControllerLink, reporter: Reporter
    ) -> tuple[str | None, Outcome | None]:
        """Finish the lease that an earlier process left, unless it goes on.

        Gives its name, if the controller does not know yet that it is over, and how it went.
        """
        if self._unfinished is None:
            return None, None
        await self._told.wait()
        left, wanted = self._unfinished, self._wanted
        held = wanted is not None and wanted[0] == left.lease
        if self._after_lease.is_set() or (held and not left.ending):
            self._unfinished = None
            return None, None
        self._current = lease = self._lease(link, reporter, left.lease, left.client)
        if not held:
            lease.gone.set()
        try:
            outcome = await lease.finish()
        finally:
            self._current = self._unfinished = None
        if not self._superseded:
            reporter.report(ExporterStatus.AVAILABLE, "Available for new lease")
        return left.lease, outcome

    def _lease(self, link: ControllerLink, reporter: Reporter, name: str, client: str) -> LeaseSession:
        return LeaseSession(self._setup, self._hooks, link, reporter, name, client, self._record)

    async def _serve_lease(self, link: ControllerLink, reporter: Reporter, name: str, client: str) -> Outcome:
        logger.info("lease %s of %s begins", name, client or "an unnamed client")
        self._current = self._lease(link, reporter, name, client)
        if self._stop.is_set():
            self._current.stopping.set()
        try:
            return await self._current.run()
        finally:
            self._current = None
            logger.info("lease %s has ended", name)

    def _ends(self, outcome: Outcome) -> bool:
        """Whether the exporter is over after a lease that went like that."""
        once = self._setup.exit_on_lease_end and not (outcome.failed or self._superseded)
        return self._gives_up(outcome) or once

    def _gives_up(self, outcome: Outcome) -> bool:
        """Whether the exporter failed for good with a lease that went like that."""
        if outcome.stop:
            self._exit_code = FAILED
            return True
        if outcome.failed and self._fails_rapidly():
            detection = self._setup.failure_detection
            logger.error(
                "%d leases failed within %d s each: giving up",
                detection.max_rapid_failures,
                detection.rapid_failure_window,
            )
            self._exit_code = FAILED
            return True
        return False

    def _fails_rapidly(self) -> bool:
        now = time.monotonic()
        self._failures.append(now)
        window = (
            self._setup.failure_detection.rapid_failure_window
            * self._setup.failure_detection.max_rapid_failures
        )
        return len(self._failures) == self._failures.maxlen and now - self._failures[0] <= window


def run_service(config: ExporterConfigV1Alpha1, hooks: Hooks, pulse: Pulse | None = None) -> int:
    """Serve *config*'s board until a signal, and give the exit code; *pulse* is for a supervisor.

    SIGINT, SIGTERM and SIGQUIT stop at once (128 + n), SIGHUP after the lease (0). Raises as `Exporter.run`.
    """
    return asyncio.run(_run_until_signal(config, hooks, pulse))


async def _run_until_signal(config: ExporterConfigV1Alpha1, hooks: Hooks, pulse: Pulse | None) -> int:
    exporter = Exporter(configured(config), hooks)
    received: list[int] = []

    def stop(number: int) -> None:
        received.append(number)
        exporter.stop()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
        loop.add_signal_handler(number, stop, number)
    loop.add_signal_handler(signal.SIGHUP, lambda: exporter.stop(after_lease=True))
    beating = asyncio.create_task(pulse.run()) if pulse is not None else None
    code = await exporter.run()
    if beating is not None:
        beating.cancel()
    return 128 + received[0] if received else code


def _next_step(error: grpc.aio.AioRpcError) -> str:
    """What to do about a refusal; one that is about what was sent says it itself."""
    return "" if error.code() is grpc.StatusCode.INVALID_ARGUMENT else "; check token, name and namespace"


def _is_refusal(error: grpc.aio.AioRpcError) -> bool:
    """Whether trying again does not help. Stock controllers answer UNKNOWN for nearly everything."""
    if is_refusal(error):
        return True
    return error.code() is grpc.StatusCode.UNKNOWN and "not found" in (error.details() or "").lower()
