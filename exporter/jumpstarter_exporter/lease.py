"""One lease on the exporter: fresh drivers, their session, the hooks around it, and the clients that dial in.

The order of things:

1. The drivers are made and their session is served, on two unix sockets: one for clients, one for hooks.
2. The exporter listens for clients at once, so that they see what the beforeLease hook prints while it runs.
3. beforeLease hook; then the lease is ready.
4. The client ends the session, or the lease ends, or the exporter is stopped.
5. afterLease hook; then the session is closed, its clients are cut, and what hooks left in the background ends.

An exporter that died between 3 and 5 `finish`es the lease when it is back: fresh drivers, and 5.

Everything that drivers and hooks do happens on threads: none of them can hold up the exporter's loop.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

import grpc
from anyio import to_thread
from jumpstarter.common import HOOK_WARNING_PREFIX
from jumpstarter.common.enums import ExporterStatus, LogSource
from jumpstarter.common.exceptions import JumpstarterException
from jumpstarter.common.passages import CUT_PREFIX, JOINT_PREFIX
from jumpstarter.session import Session
from jumpstarter.streams.relay import relay

from .hooks import Hook, Interrupt, LeftBehind, OnFailure, hook_environment, run_hook
from .link import TRANSIENT, Backoff, ControllerLink
from .passage import credentials, join
from .record import Record, Unfinished
from .reporter import Reporter
from .setup import Setup
from .standalone import HOOK_LOGGER, Hooks

logger = logging.getLogger(__name__)

#: Seconds for the client, or else the controller, to end a lease whose session is over.
RELEASE_GRACE: Final = 5.0
#: Seconds for the client of a lease whose hook failed to see why.
FAILURE_GRACE: Final = 3.0
#: Calls that are known again, more than a controller makes twice.
REMEMBERED: Final = 256
#: Seconds to reach the router; so long a client waits there.
ROUTER_TIMEOUT: Final = 60.0
#: Seconds in which a client that dials has to become the lease's: the controller tells both, but not in one line.
HOLDER_GRACE: Final = 5.0
#: Seconds for drivers to close.
CLOSE_TIMEOUT: Final = 30.0


@dataclass(frozen=True)
class Outcome:
    """How a lease went. *stop*: the exporter has to end, as its hook's ``onFailure: exit`` asks. *failed*: its drivers could

    not be started.
    """

    stop: bool = False
    failed: bool = False


class LeaseSession:
    """Runs one lease; see the module's text. `gone` and `stopping` are set by the service."""

    def __init__(
        self,
        setup: Setup,
        hooks: Hooks,
        link: ControllerLink,
        reporter: Reporter,
        name: str,
        client: str,
        record: Record,
    ) -> None:
        self.name = name
        self.client = client
        self.gone = asyncio.Event()
        self._fenced = False
        self._stop_after_hook = Interrupt()
        self._left_behind = LeftBehind()
        self.stopping = asyncio.Event()
        self._setup = setup
        self._hooks = hooks
        self._link = link
        self._reporter = reporter
        self._record = record
        self._ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        # What is carried, and for whom; "" where the controller does not say.
        self._relays: dict[asyncio.Task[None], str] = {}
        self._transferred = asyncio.Event()

    def fence(self) -> None:
        """Another process serves the board: end at once, and leave its hooks to that one."""
        self._fenced = True
        self.gone.set()
        self._stop_after_hook()

    def belongs_to(self, client: str) -> None:
        """The lease is *client*'s now. Whoever had it before is cut off, also where a router does not know of it."""
        if client == self.client:
            return
        logger.info("lease %s went from %s to %s", self.name, self.client, client)
        self.client = client
        for task, whose in self._relays.items():
            if whose != client:
                task.cancel()
        self._transferred.set()
        self._transferred = asyncio.Event()

    async def run(self) -> Outcome:
        """From the start of the lease to its end."""
        return await self._with_session(self._serve)

    async def finish(self) -> Outcome:
        """The end of a lease that an earlier process of this exporter did not come to: its afterLease hook, from the start."""
        logger.warning(
            "lease %s of %s was not finished when the exporter died: its afterLease hook runs now",
            self.name,
            self.client or "an unnamed client",
        )
        self._ended.set()
        return await self._with_session(self._finish)

    async def _with_session(self, work: Callable[[Session, str], Awaitable[Outcome]]) -> Outcome:
        """*work*, with fresh drivers and their session; its clients can come until it has ended."""
        stack = ExitStack()
        try:
            session, path, hook_path = await to_thread.run_sync(self._open, stack)
        except Exception as error:  # noqa: BLE001 - whatever a driver raises, the exporter goes on
            await to_thread.run_sync(stack.close)
            return await self._refuse(f"the drivers cannot be started: {error}")
        listening = None if self.gone.is_set() else asyncio.create_task(self._listen(stack, session, path))
        try:
            return await work(session, hook_path)
        finally:
            tasks = [*self._relays, *([listening] if listening else [])]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            # Before anybody else gets the board.
            await to_thread.run_sync(self._left_behind.close)
            await self._close(stack)

    def _open(self, stack: ExitStack) -> tuple[Session, str, str]:
        device = self._setup.make_device()
        session = stack.enter_context(
            Session(
                root_device=device,
                labels=dict(self._setup.labels),
                motd=self._setup.motd,
                fetch_policy=self._setup.fetch_policy,
                # The client of a lease that goes on after a restart of the exporter goes on, too.
                identity=f"{self._setup.controller} {self._setup.name} {self.name}",
            )
        )
        if self._ended.is_set():
            # Before anybody can look: clients take AVAILABLE for the end of the hook.
            session.status.update(ExporterStatus.AFTER_LEASE_HOOK, "Running afterLease hook")
        session.on_end_session = lambda: self._call_soon(self._ended.set)
        path, hook_path = (str(stack.enter_context(session.serve_unix())) for _ in range(2))
        return session, path, hook_path

    async def _open_passage(self, stack: ExitStack, session: Session) -> tuple[str, str]:
        """Serve the session for those who come by a passage: (its client, the socket's path); "" where there is none."""
        try:
            passage = await self._link.open_passage(self.name)
            if passage is None:
                return "", ""
            serving = session.serve_unix(tls_credentials=credentials(passage))
            return passage.client, str(await to_thread.run_sync(stack.enter_context, serving))
        except Exception as error:  # noqa: BLE001 - the lease does without
            logger.warning("lease %s has no passage, its client dials: %s", self.name, error)
            return "", ""

    def _call_soon(self, action: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(action)

    async def _close(self, stack: ExitStack) -> None:
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await to_thread.run_sync(stack.close, abandon_on_cancel=True)
        except TimeoutError:
            logger.error("the drivers of lease %s did not close within %g s", self.name, CLOSE_TIMEOUT)
        except Exception:
            logger.exception("closing the drivers of lease %s failed", self.name)

    async def _refuse(self, reason: str) -> Outcome:
        """The lease cannot be served: tell why, and give the board back."""
        logger.error("lease %s: %s", self.name, reason)
        self._reporter.report(ExporterStatus.BEFORE_LEASE_HOOK_FAILED, reason)
        await self._release(ExporterStatus.BEFORE_LEASE_HOOK_FAILED)
        return Outcome(failed=True)

    async def _serve(self, session: Session, hook_path: str) -> Outcome:
        """The lease, with the drivers of *session*."""
        await self._remember()
        message = "Ready for commands"
        if self._hooks.before is not None:
            self._tell(session, ExporterStatus.BEFORE_LEASE_HOOK, "Running beforeLease hook")
            # A lease that ends while it is being prepared needs no more preparation, only the afterLease hook.
            interrupt = Interrupt()
            over = asyncio.create_task(first_of(self.gone, self.stopping))
            over.add_done_callback(lambda task: None if task.cancelled() else interrupt())
            problem = await self._run_hook(
                session, self._hooks.before, hook_path, LogSource.BEFORE_LEASE_HOOK, interrupt
            )
            over.cancel()
            if interrupt.requested:
                return await self._finish(session, hook_path)
            if problem and self._hooks.before.on_failure is not OnFailure.WARN:
                return await self._fail(
                    session, self._hooks.before, ExporterStatus.BEFORE_LEASE_HOOK_FAILED, problem
                )
            message = self._warning(problem) if problem else message
        self._tell(session, ExporterStatus.LEASE_READY, message)
        await first_of(self._ended, self.gone, self.stopping)
        return await self._finish(session, hook_path)

    async def _finish(self, session: Session, hook_path: str) -> Outcome:
        """The end of the lease, with the drivers of *session*."""
        message = "Available for new lease"
        if self._fenced:
            return Outcome()
        if self._hooks.after is not None:
            self._tell(session, ExporterStatus.AFTER_LEASE_HOOK, "Running afterLease hook")
            await self._remember()
            problem = await self._run_hook(
                session, self._hooks.after, hook_path, LogSource.AFTER_LEASE_HOOK, self._stop_after_hook
            )
            if self._fenced:
                return Outcome()
            await self._forget()
            if problem and self._hooks.after.on_failure is not OnFailure.WARN:
                return await self._fail(
                    session, self._hooks.after, ExporterStatus.AFTER_LEASE_HOOK_FAILED, problem
                )
            message = self._warning(problem) if problem else message
        # Only the session's clients are told now: for the controller the board is free when the drivers are closed.
        session.status.update(ExporterStatus.AVAILABLE, message)
        if self._ended.is_set() and not self.gone.is_set():
            await self._release(ExporterStatus.AVAILABLE, grace=RELEASE_GRACE)
        return Outcome()

    def _warning(self, problem: str) -> str:
        """Log the *problem* of a hook; gives the status message that tells it to the client, which reads the hook's log, too."""
        logger.warning("lease %s: %s", self.name, problem)
        return f"{HOOK_WARNING_PREFIX}{problem}"

    async def _fail(self, session: Session, hook: Hook, status: ExporterStatus, problem: str) -> Outcome:
        """A hook failed whose failure ends the lease. Its client learns why before the session is closed."""
        logger.error("lease %s: %s; onFailure is %s", self.name, problem, hook.on_failure.value)
        await self._forget()
        session.status.update(status, problem)
        # The controller lets nobody in any more once it knows: a client that is on its way is to see what the hook printed.
        await first_of(self.gone, self.stopping, timeout=FAILURE_GRACE)
        self._reporter.report(status, problem)
        await self._release(status)
        await first_of(self.gone, self.stopping, timeout=RELEASE_GRACE)
        return Outcome(stop=hook.on_failure is OnFailure.EXIT)

    async def _remember(self) -> None:
        """Have the afterLease hook run for this lease, also by a process that comes after this one."""
        if self._hooks.after is not None:
            unfinished = Unfinished(self.name, self.client, ending=self._ended.is_set())
            await to_thread.run_sync(self._record.write, unfinished)

    async def _forget(self) -> None:
        """The afterLease hook has run, or is not to run."""
        await to_thread.run_sync(self._record.clear, self.name)

    def _tell(self, session: Session, status: ExporterStatus, message: str) -> None:
        session.status.update(status, message)
        self._reporter.report(status, message)

    async def _release(self, status: ExporterStatus, grace: float = 0.0) -> None:
        """End the lease, unless its client does so within *grace* seconds."""
        if await first_of(self.gone, self.stopping, timeout=grace):
            return
        releasing = asyncio.create_task(self._link.release(self.name, status))
        gone = asyncio.create_task(self.gone.wait())
        await asyncio.wait({releasing, gone}, return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        if releasing.done() and (error := releasing.exception()) is not None:
            logger.error("lease %s could not be released: %s", self.name, error)
        releasing.cancel()

    async def _run_hook(
        self, session: Session, hook: Hook, path: str, source: LogSource, interrupt: Interrupt | None = None
    ) -> str | None:
        """Run *hook* on a thread; gives the problem, None when there is none."""
        log = logging.getLogger(HOOK_LOGGER)
        environment = hook_environment(os.environ, host=path, lease_name=self.name, client_name=self.client)

        def run() -> str | None:
            with session.context_log_source(HOOK_LOGGER, source):
                return run_hook(hook, environment, log.info, interrupt, self._left_behind).problem

        return await to_thread.run_sync(run)

    async def _listen(self, stack: ExitStack, session: Session, path: str) -> None:
        """Join every client with the session that dials, or comes by a passage. A controller that goes away is waited for."""
        client, passage_path = await self._open_passage(stack, session)
        backoff, taken, cuts = Backoff(), _Taken(), 0
        while True:
            try:
                stream = self._link.listen(self.name, client, cuts)
                await stream.initial_metadata()
                backoff.reset()
                async for answer in stream:
                    endpoint, token = answer.router_endpoint, answer.router_token
                    if endpoint.startswith(CUT_PREFIX):
                        cuts = int(endpoint.removeprefix(CUT_PREFIX))
                        self._cut()
                        continue
                    if not taken.add(token):
                        continue
                    if endpoint.startswith(JOINT_PREFIX):
                        joint = endpoint.removeprefix(JOINT_PREFIX)
                        self._carry(joint, answer.client_name, join(joint, token, passage_path))
                    else:
                        self._carry(endpoint, answer.client_name, self._relay(endpoint, token, path))
            except grpc.aio.AioRpcError as error:
                if error.code() not in TRANSIENT:
                    logger.warning("cannot listen for clients of lease %s: %s", self.name, error.details())
            await asyncio.sleep(backoff.next())

    def _cut(self) -> None:
        """Whoever is connected must come again, as the controller lets them: a router may not know of the cut."""
        for task in self._relays:
            task.cancel()

    def _carry(self, endpoint: str, client: str, connection: Coroutine[Any, Any, None]) -> None:
        """Have the *connection* of *client* carried, until it ends or is cut."""
        task = asyncio.create_task(self._until_it_ends(endpoint, client, connection))
        self._relays[task] = client
        # One that is cancelled before it has begun leaves what it was to run.
        task.add_done_callback(lambda _: (self._relays.pop(task, None), connection.close()))

    async def _until_it_ends(self, endpoint: str, client: str, connection: Coroutine[Any, Any, None]) -> None:
        try:
            if await self._is_holder(client):
                await connection
            else:
                logger.warning("a call of %s was dropped: lease %s is not theirs", client, self.name)
        except (grpc.aio.AioRpcError, OSError, JumpstarterException) as error:
            reason = error.details() if isinstance(error, grpc.aio.AioRpcError) else str(error)
            logger.info(
                "a client's connection through %s ended: %s", endpoint, reason or type(error).__name__
            )

    async def _is_holder(self, client: str) -> bool:
        """Whether the lease is *client*'s, or becomes so within `HOLDER_GRACE`. A controller that names none is believed."""
        try:
            async with asyncio.timeout(HOLDER_GRACE):
                while client not in ("", self.client):
                    await self._transferred.wait()
        except TimeoutError:
            return False
        return True

    async def _relay(self, endpoint: str, token: str, path: str) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.setblocking(False)
            await self._loop.sock_connect(sock, path)
            router = await self._link.router(endpoint)
            # After an outage gRPC would refuse the stream until its next attempt to connect, and the client would wait in vain.
            async with asyncio.timeout(ROUTER_TIMEOUT):
                await router.channel_ready()
            await relay(router, token, sock)


class _Taken:
    """The tokens that were used: a controller that cannot know whether a call arrived makes it again."""

    def __init__(self) -> None:
        self._tokens: deque[str] = deque(maxlen=REMEMBERED)

    def add(self, token: str) -> bool:
        """False for one that is known."""
        known = token in self._tokens
        if not known:
            self._tokens.append(token)
        return not known


async def first_of(*events: asyncio.Event, timeout: float | None = None) -> bool:
    """Wait for the first of *events*, *timeout* seconds at the most; False when none came."""
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        done, _ = await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        return bool(done)
    finally:
        for wait in waits:
            wait.cancel()
