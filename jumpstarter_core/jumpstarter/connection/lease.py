"""A leased exporter, from the request to the release, for `jmp shell`, `JumpstarterTest` and `JumpstarterLibrary`.

1. A lease is created, or an existing one is looked at (`holding`), and its exporter waited for.
2. The lease is followed, and extended while it is in use (`keeping`).
3. A unix socket leads to the exporter (`tunnel`), which runs its beforeLease hook (`readiness`).
4. It is used; what hooks print is logged meanwhile.
5. A lease that was made here: its session is ended, the afterLease hook waited for, the lease deleted.

The last step happens however the use ends. Faults of the network or the controller end no lease.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import grpc

from jumpstarter.client.lab import Exporter, Lab, Lease
from jumpstarter.common.enums import LogSource
from jumpstarter.common.errors import explained_by
from jumpstarter.common.exceptions import JumpstarterException
from jumpstarter.common.interrupts import Flag

from .claims import unclaim
from .controller import controller, token_notice
from .holding import LeaseRequest, holding
from .keeping import SOON, Keeper
from .passage import find_passage
from .progress import ProgressLine, Repeating, Report
from .readiness import AfterLeaseHookFailed, end_session, patient_status, status_of, wait_until_ready
from .tunnel import Tunnel, tunnel

if TYPE_CHECKING:
    from jumpstarter.client.logs import Following
    from jumpstarter.client.patience import Waits
    from jumpstarter.config.client import ClientConfigV1Alpha1

__all__ = ["AfterLeaseHookFailed", "Kept", "LeaseRequest", "Leased", "client_of", "keep_lease", "lease"]

#: A broken connection is made again within seconds, not minutes. No minimum: it would be the time limit of an attempt, too,
#: which includes the dial and the way through the router.
OPTIONS: Final = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)


#: Seconds without an answer of the exporter of a new lease, after which another one is asked for if it is offline.
GONE_AFTER: Final = 5.0
#: Exporters that are tried.
ATTEMPTS: Final = 5


@dataclass
class Leased:
    """A lease in use. `shared` is the socket for other processes, "" unless it was asked for.

    `waits` are the seconds for which their calls wait for an exporter that went away.
    """

    name: str
    exporter: Exporter
    shared: str
    warning: str
    allow: list[str]
    unsafe: bool
    owned: bool
    _keeper: Keeper = field(repr=False)
    _way: Tunnel = field(repr=False)
    #: How calls of clients in this process wait.
    _waits: Waits = field(repr=False)
    waits: float = 0.0
    #: The stubs of clients, which are told when a connection broke that nobody has called on.
    _users: set[Any] = field(default_factory=set, repr=False)
    lease_ending_callback: Callable[[Leased, timedelta], object] | None = field(default=None, repr=False)

    @property
    def lease(self) -> Lease:
        """The lease as it was last seen."""
        return self._keeper.lease

    @property
    def exporter_name(self) -> str:
        """The name of the leased exporter."""
        return self.exporter.name

    @property
    def exporter_labels(self) -> dict[str, str]:
        """Its labels."""
        return self.exporter.labels

    @property
    def ended(self) -> str | None:
        """Why the lease is over; None while it is not."""
        return self._keeper.ended

    @property
    def lease_ended(self) -> bool:
        """Whether the lease is over, and not by a transfer."""
        return self.ended is not None and not self.lease_transferred

    @property
    def lease_transferred(self) -> bool:
        """Whether the lease is over because it is another client's now."""
        return self._keeper.transferred

    def on_end(self, action: Callable[[], object]) -> None:
        """Have *action* called, on a thread, when the lease ends while it is in use."""
        self._keeper.on_end(action)

    @contextmanager
    def serve_unix(self) -> Generator[Path]:
        """A socket by which clients reach the exporter, each of them with a connection of its own."""
        yield Path(self._way.path)

    def channel(self, options: Sequence[tuple[str, Any]]) -> grpc.Channel:
        """A channel to the exporter."""
        return self._way.channel(options)

    @contextmanager
    def monitor(self, threshold: timedelta = SOON) -> Generator[None]:
        """Have `lease_ending_callback` called, on a thread, when this lease ends meanwhile: with it, and with 0 left.

        *threshold* is there as `jumpstarter.client.Lease` has it: this lease is extended before it comes near its end.
        """
        left = Flag()

        def tell() -> None:
            if self.lease_ending_callback is not None and not left.is_set():
                self.lease_ending_callback(self, timedelta(0))

        self.on_end(tell)
        try:
            yield
        finally:
            left.set()

    @contextmanager
    def connect(self) -> Generator[Any]:
        """The client of the exporter's drivers."""
        with client_of(self) as client:
            yield client


@dataclass(frozen=True)
class Kept:
    """A lease that is followed; `owned` says whether it ends with its context."""

    lab: Lab
    keeper: Keeper
    owned: bool


@contextmanager
def keep_lease(
    config: ClientConfigV1Alpha1,
    request: LeaseRequest,
    *,
    progress: Report | None = None,
    notify: Report | None = None,
) -> Generator[Kept]:
    """Have a lease, as `lease` does, without connecting to its exporter."""
    line = ProgressLine()
    configured, asked = config.leases.acquisition_timeout, request.acquisition_timeout
    with ExitStack() as stack:
        lab = stack.enter_context(controller(config))
        if notice := token_notice(config):
            (notify or line)(f"Warning: {notice}")
        timeout = configured if asked is None else asked
        try:
            held, owned = stack.enter_context(holding(lab, request, timeout, progress or line))
        finally:
            line.finish()
        step = request.duration if request.extend and owned else None
        if not owned:
            stack.callback(unclaim, lab, held.name, request.claim)
        keeper = Keeper(lab, held, step, notify or ProgressLine(terminal=False), claim=request.claim)
        yield Kept(lab, stack.enter_context(keeper), owned)


@contextmanager
def lease(
    config: ClientConfigV1Alpha1,
    request: LeaseRequest,
    *,
    share: bool = False,
    all_logs: bool = False,
    progress: Report | None = None,
    notify: Report | None = None,
) -> Generator[Leased]:
    """Lease what *request* asks for at the controller of *config*, and give it back at the end.

    *share* makes a socket for other processes. *progress* gets lines about the waiting, *notify* those about the lease
    while it is in use; both go to standard error by default. Raises ConfigurationError, ConnectionError, LeaseError,
    ExporterNotReady when a hook failed, AfterLeaseHookFailed at the end.
    """
    from jumpstarter.client.logs import follow

    notify = notify or ProgressLine(terminal=False)
    with ExitStack() as stack:
        reached = _reach(stack, config, request, share, progress, notify)
        kept, way, stub, status = reached.kept, reached.way, reached.stub, reached.status
        keeper, held = kept.keeper, kept.keeper.lease
        users: set[Any] = set()

        def broke() -> None:
            for user in tuple(users):
                user.lost()

        log = stack.enter_context(follow(stub, show_all=all_logs, quiet=True, on_break=broke))
        stack.enter_context(_session(stub, kept.owned, keeper, notify, log))
        warning = wait_until_ready(status)
        stack.enter_context(way.waiting())
        yield Leased(
            name=held.name,
            exporter=describe(kept.lab, held),
            shared=way.shared,
            waits=reached.retry_timeout if way.shared else 0.0,
            warning=warning,
            allow=config.drivers.allow,
            unsafe=config.drivers.unsafe,
            owned=kept.owned,
            _keeper=keeper,
            _way=way,
            _waits=reached.waits,
            _users=users,
        )


@dataclass(frozen=True)
class _Reached:
    """A leased exporter that answers; `status` is its status, with patience for `retry_timeout` seconds."""

    kept: Kept
    retry_timeout: float
    waits: Waits
    way: Tunnel
    stub: Any
    status: Callable[[], Any]


class _Gone(Exception):
    """Raised when the exporter of a new lease has gone before it could be used."""


def _reach(
    stack: ExitStack,
    config: ClientConfigV1Alpha1,
    request: LeaseRequest,
    share: bool,
    progress: Report | None,
    notify: Report,
) -> _Reached:
    """Have the lease and an answer of its exporter, both kept by *stack*; from another exporter when that of a lease has gone."""
    for attempt in range(1, ATTEMPTS + 1):
        with ExitStack() as trying:
            kept = trying.enter_context(keep_lease(config, request, progress=progress, notify=notify))
            try:
                found = _reached(trying, config, request, kept, share, notify, last=attempt == ATTEMPTS)
            except _Gone as gone:
                notify(f"{gone}: giving its lease back, and asking for another")
                continue
            stack.enter_context(trying.pop_all())
            return found
    raise AssertionError("unreachable")


def _reached(
    stack: ExitStack,
    config: ClientConfigV1Alpha1,
    request: LeaseRequest,
    kept: Kept,
    share: bool,
    notify: Report,
    *,
    last: bool,
) -> _Reached:
    from jumpstarter.client.patience import Waits

    keeper, held = kept.keeper, kept.keeper.lease
    timeout = config.leases.dial_timeout
    limit_retry = config.leases.retry_timeout if request.retry_timeout is None else request.retry_timeout
    replaceable = kept.owned and not request.exporter_name and not last
    looked, waiting = 0.0, stack.enter_context(Repeating(notify))

    def lost_for(seconds: float, why: str) -> None:
        nonlocal looked
        if waiting.over or seconds < GONE_AFTER or seconds - looked < 1:
            return
        looked = seconds
        if replaceable and _is_offline(kept.lab, held.exporter):
            raise _Gone(f"Exporter {held.exporter} went away before it could be used")
        waiting.update(f"Waiting for exporter {held.exporter} to answer: {why}")

    passage = find_passage(kept.lab, held.name, timeout)
    waits = Waits(limit_retry, notify, held.exporter, keeper.why_over, explain=keeper.why_gone)
    way = stack.enter_context(tunnel(config, held.name, timeout, passage, OPTIONS, share=share, waits=waits))
    stack.enter_context(explained_by(keeper.why_gone))
    stub = stack.enter_context(_stub(way))
    status = patient_status(stub, limit_retry, lambda: way.problem, lambda: keeper.ended, lost_for)
    status()  # from here on there is an exporter whose log can be followed
    waiting.stop()
    return _Reached(kept, limit_retry, replace(waits, why=keeper.why_gone), way, stub, status)


def _is_offline(lab: Lab, exporter: str) -> bool:
    """Whether the controller knows that the exporter has gone."""
    try:
        return not lab.get_exporter(exporter).online
    except JumpstarterException:
        return False


@contextmanager
def client_of(leased: Leased) -> Generator[Any]:
    """The client of the leased exporter's drivers."""
    from jumpstarter.client.client import connect_channel
    from jumpstarter.client.transport import OPTIONS as CLIENT_OPTIONS
    from jumpstarter.common.grpc import open_channel

    with (
        open_channel(lambda: leased.channel((*CLIENT_OPTIONS, *OPTIONS))) as channel,
        connect_channel(channel, allow=leased.allow, unsafe=leased.unsafe, waits=leased._waits) as client,
    ):
        leased._users.add(client.stub)
        try:
            yield client
        finally:
            leased._users.discard(client.stub)


@contextmanager
def _stub(way: Tunnel) -> Generator[Any]:
    from jumpstarter.client.transport import ExporterStub
    from jumpstarter.common.grpc import exporter_channel, open_channel

    if way.first is not None:
        yield ExporterStub(way.first)
        return
    # The shared connection, where there is one: it is dialled once.
    with open_channel(lambda: exporter_channel(way.shared or way.path, options=OPTIONS)) as channel:
        yield ExporterStub(channel)


@contextmanager
def _session(stub: Any, owned: bool, keeper: Keeper, notify: Report, log: Following) -> Generator[None]:
    """Ends the session of a lease that is ours, unless the lease has ended."""
    try:
        yield
    except BaseException:
        if owned and keeper.ended is None:
            with contextlib.suppress(JumpstarterException):  # the first error is the one that counts
                _end_session(stub, log, keeper)
        raise
    if owned and keeper.ended is None:
        warning = _end_session(stub, log, keeper)
        if warning:
            notify(f"Warning: {warning}")


def _end_session(stub: Any, log: Following, keeper: Keeper) -> str:
    """`end_session`, with the afterLease hook's lines also where the connection broke that showed the log until now."""
    from jumpstarter.client.logs import follow

    if not log.ended.is_set():
        return end_session(stub, log, lambda: keeper.ended)
    with follow(stub, show_all=False, sources=(LogSource.AFTER_LEASE_HOOK,), quiet=True) as again:
        with contextlib.suppress(grpc.RpcError):
            status_of(
                stub
            )  # so the exporter has had both requests, in this order: it keeps lines for whoever asks late
        return end_session(stub, again, lambda: keeper.ended)


def describe(lab: Lab, held: Lease) -> Exporter:
    """The leased exporter; without labels, if the controller does not tell them."""
    try:
        return lab.get_exporter(held.exporter)
    except JumpstarterException:
        return Exporter(namespace=held.namespace, name=held.exporter)
