"""Having a lease: one that exists already, or a new one that ends with the context.

A new lease has its name from here. So there is something to end even when the answer to the request for it is lost.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from secrets import randbits
from typing import TYPE_CHECKING, Final
from uuid import UUID

from jumpstarter.client.lab import (
    ControllerCannotStore,
    ControllerUnreachable,
    Lab,
    Lease,
    LeaseClaimed,
    LeaseEvent,
)
from jumpstarter.common.durations import format_duration
from jumpstarter.common.exceptions import (
    ConfigurationError,
    ConnectionError,
    JumpstarterException,
    LeaseError,
)
from jumpstarter.common.interrupts import Flag
from jumpstarter.common.selectors import Selector

from .claims import is_free, is_kept, new_claim, unclaim, uninterrupted
from .oneself import used_by_this_thread, waiting_for_oneself
from .progress import Repeating

if TYPE_CHECKING:
    from jumpstarter.client.watch import LeaseWatch

    from .progress import Report

DEFAULT_DURATION: Final = timedelta(minutes=30)

#: Seconds between attempts to reach a controller that went away: the first wait, and the longest.
BACKOFF: Final = (0.5, 2.0)
#: Seconds for which the end of a lease is tried, while the controller cannot be reached.
RELEASE_TIMEOUT: Final = 10.0
#: The same while the controller is there, and cannot write the end down.
STORE_TIMEOUT: Final = 600.0
#: Seconds that one attempt of it may take, during which signals have no effect.
RELEASE_ATTEMPT: Final = 5.0


#: Seconds after which it is looked at again whether a client waits for its own leases.
HINT_INTERVAL: Final = 30.0


@dataclass(frozen=True, kw_only=True)
class LeaseRequest:
    """What to lease: what *selector* selects, or *exporter_name*, or the existing lease *lease*.

    With *adopt* a lease of `jmp create lease` is used if one fits that this job has made and nobody uses. *duration* is for
    how long; with *extend* the lease goes on for as long as it is in use. Timeouts in seconds: to get an exporter, for one
    that cannot be reached to come back; None: as configured. *claim* names this use of the lease. *alone*: the thread that asks
    does nothing else meanwhile, so it ends none of its other leases while it waits.
    """

    selector: str = ""
    exporter_name: str = ""
    lease: str = ""
    duration: timedelta = DEFAULT_DURATION
    extend: bool = True
    adopt: bool = False
    acquisition_timeout: float | None = None
    retry_timeout: float | None = None
    tags: dict[str, str] = field(default_factory=dict)
    context: dict[str, str] = field(default_factory=dict)
    allow_disabled: bool = False
    alone: bool = True
    claim: str = field(default_factory=new_claim, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not (self.selector or self.exporter_name or self.lease or self.adopt):
            raise ConfigurationError(
                "nothing says which exporter to lease: give a selector (labels), the name of an exporter, or a lease"
            )
        if self.duration <= timedelta(0):
            raise ConfigurationError(
                f"a lease of {format_duration(self.duration)} cannot be had: expected more than 0s"
            )
        Selector.parse(self.selector)

    @property
    def wanted(self) -> str:
        """What is asked for, for messages."""
        parts = (("exporter", self.exporter_name), ("selector", self.selector))
        return ", ".join(f"{what} {value}" for what, value in parts if value) or f"lease {self.lease}"


@contextmanager
def holding(lab: Lab, request: LeaseRequest, timeout: float, report: Report) -> Generator[tuple[Lease, bool]]:
    """(the lease with its exporter, whether it is ours to end), as `acquire` has it; one made here ends with the context."""
    lease, owned = acquire(lab, request, timeout, report)
    try:
        with used_by_this_thread(lease.name) if request.alone else contextlib.nullcontext():
            yield lease, owned
    finally:
        if owned:
            release(lab, lease.name, report)


def acquire(lab: Lab, request: LeaseRequest, timeout: float, report: Report) -> tuple[Lease, bool]:
    """(the lease with its exporter, whether it was made here). One that was made here in vain is ended.

    Raises LeaseError when it cannot be had, or not within *timeout* seconds.
    """
    existing = _existing(lab, request, report)
    if existing is not None:
        try:
            return wait_until_ready(lab, existing.name, timeout, report, request.claim), False
        except BaseException:
            unclaim(lab, existing.name, request.claim)
            raise
    name = new_lease_name()
    try:
        create(lab, request, name, claim=request.claim)
    except LeaseRefused:
        raise
    except BaseException:
        # Whether there is a lease is not known: most likely not, so nobody is told, or kept waiting.
        release(lab, name, lambda text: None, timeout=0)
        raise
    try:
        waited_for = _own_lease_or_another(lab, request, name, timeout, report)
    except BaseException:
        release(lab, name, report)
        raise
    if waited_for.name == name:
        return waited_for, True
    release(lab, name, report)
    return waited_for, False


def _own_lease_or_another(
    lab: Lab, request: LeaseRequest, name: str, timeout: float, report: Report
) -> Lease:
    """The new lease *name*, or one that may be adopted and became free meanwhile; whichever can be used first."""

    def look() -> Lease | None:
        try:
            return _adopted(lab, request, lambda text: None, ready=True)
        except JumpstarterException:
            return None

    hint = waiting_for_oneself(lab, request, name)
    return wait_until_ready(lab, name, timeout, report, request.claim, look if request.adopt else None, hint)


class LeaseRefused(LeaseError):
    """Raised when the controller does not take the request for a lease."""


def create(
    lab: Lab, request: LeaseRequest, name: str, begin_time: datetime | None = None, claim: str = ""
) -> Lease:
    """Ask for a lease called *name*. Raises LeaseRefused when the controller does not take the request.

    With a *claim* it is given up when nobody waits for it.
    """
    try:
        return lab.create_lease(
            selector=request.selector,
            exporter_name=request.exporter_name,
            duration=request.duration,
            begin_time=begin_time,
            lease_id=name,
            tags=request.tags,
            context=request.context,
            allow_disabled=request.allow_disabled,
            claim=claim,
        )
    except LeaseError as error:
        raise LeaseRefused(f"no lease for {request.wanted}: {error}") from None


def _existing(lab: Lab, request: LeaseRequest, report: Report) -> Lease | None:
    """The lease that *request* names; None when it names none, or one that is for other exporters."""
    if not request.lease:
        return _adopted(lab, request, report) if request.adopt else None
    lease = lab.get_lease(request.lease)
    if lease.client != lab.name:
        raise LeaseError(
            f"lease {lease.name} belongs to {lease.client}, and this client is {lab.name}: "
            "have it transferred with 'jmp update lease NAME --to-client', or use a lease of your own"
        )
    if lease.failure is not None:
        raise LeaseError(f"lease {lease.name} {lease.failure}: create a new one with 'jmp create lease'")
    if not _fits(lease, request) and not _holds(lab, lease, request):
        told = lease.exporter_name or _plain(lease.selector)
        report(f"Lease {lease.name} is for {told}, not for {request.wanted}: asking for a new one")
        return None
    return lease


def _fits(lease: Lease, request: LeaseRequest) -> bool:
    """Whether *lease* was made for what *request* asks for."""
    if request.selector and Selector.parse(request.selector) != Selector.parse(_plain(lease.selector)):
        return False
    return not request.exporter_name or request.exporter_name in (lease.exporter, lease.exporter_name)


def _holds(lab: Lab, lease: Lease, request: LeaseRequest) -> bool:
    """Whether the exporter that *lease* has is one that *request* asks for: waiting for it would be waiting for oneself."""
    if not lease.exporter or request.exporter_name not in ("", lease.exporter):
        return False
    try:
        labels = lab.get_exporter(lease.exporter).labels
    except LeaseError:
        return False
    return Selector.parse(request.selector).selects(labels)


def _adopted(lab: Lab, request: LeaseRequest, report: Report, *, ready: bool = False) -> Lease | None:
    """A lease that was created to be used like this, and that is now claimed; None when there is none that is free.

    With *ready*, only one that has its exporter.
    """
    kept = [lease for lease in lab.list_leases() if is_kept(lab, lease) and (lease.ready or not ready)]
    fitting = [lease for lease in kept if _fits(lease, request)]
    names = ", ".join(lease.name for lease in fitting)
    anything = not (request.selector or request.exporter_name)
    if anything and len(fitting) != 1:
        raise LeaseError(
            f"several leases may be meant ({names}): set JMP_LEASE to one of them"
            if fitting
            else "nothing says which exporter to lease, and there is no lease to use: give a selector (labels), "
            "or create a lease with 'jmp create lease'"
        )
    for lease in fitting:
        if _is_free(lab, lease, request.claim, report):
            report(f"Using lease {lease.name}{f' ({lease.exporter})' if lease.exporter else ''}")
            return lease
    if anything:
        raise LeaseError(
            f"lease {names} is in use by another process of this client: set JMP_LEASE to it to use it together, or "
            "give a selector (labels) to lease another exporter"
        )
    return None


def _is_free(lab: Lab, lease: Lease, claim: str, report: Report) -> bool:
    """Whether nobody else uses *lease*; then it is claimed."""
    try:
        return is_free(lab, lease, claim)
    except LeaseClaimed as error:
        report(f"Not using lease {lease.name}: {error}")
    return False


def _plain(selector: str) -> str:
    """Kubernetes prints an empty selector as ``<none>``."""
    return "" if selector == "<none>" else selector


def wait_until_ready(
    lab: Lab,
    name: str,
    timeout: float,
    report: Report,
    claim: str = "",
    look: Callable[[], Lease | None] | None = None,
    hint: Callable[[], str] | None = None,
) -> Lease:
    """Wait for the lease's exporter; *report* gets what is known about the waiting, again every few seconds.

    A controller that goes away is waited for, too. *claim* is kept meanwhile. *look* may give another lease that can be used
    instead, *hint* what else to tell. Raises LeaseError when the lease cannot be satisfied, or is not within *timeout* seconds.
    """
    waiting = _Waiting(lab, name, timeout, claim, look)
    with Repeating(report, waiting.look_around if look is not None else None) as progress:
        return waiting.wait(progress, report, hint)


class _Waiting:
    """One wait for the exporter of a lease; see `wait_until_ready`."""

    def __init__(
        self, lab: Lab, name: str, timeout: float, claim: str, look: Callable[[], Lease | None] | None
    ) -> None:
        self._lab = lab
        self._name = name
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout
        self._claim = claim
        self._look = look
        self._away = False
        self._found: Lease | None = None
        self._watch = self._new_watch()
        self._last = ""
        self._hinted = ""
        self._hint_again = 0.0

    def look_around(self) -> None:
        """Look for another lease, on a thread; when there is one, the wait ends with it."""
        if self._look is not None and self._found is None:
            self._found = self._look()
            if self._found is not None:
                self._watch.cancel()

    def wait(self, progress: Report, report: Report, hint: Callable[[], str] | None) -> Lease:
        """The lease that can be used."""
        backoff = Backoff()
        while self._found is None:
            self._watch = self._new_watch()
            try:
                for event in self._watch:
                    self._away = False
                    backoff.reset()
                    if event.lease.failure is not None:
                        raise LeaseError(f"lease {self._name} {event.lease.failure}")
                    if event.lease.ready:
                        if event.claims > 1:
                            report(f"Lease {self._name} is in use by {_others(event.claims - 1)}, too")
                        return event.lease
                    self._tell("; ".join(filter(None, (waiting_text(event), self._hint(hint)))), progress)
            except TimeoutError:
                raise LeaseError(
                    f"no exporter within {format_duration(timedelta(seconds=self._timeout))}: "
                    f"{self._last or 'no reason is known'}; "
                    "allow for a longer wait, or see 'jmp get exporters --with leases,online,status'"
                ) from None
            except ControllerUnreachable as error:
                self._away = True
                self._tell(f"Waiting for the controller: {error}", progress)
            if self._found is None:
                backoff.wait(self._deadline - time.monotonic())
        return self._found

    def _hint(self, hint: Callable[[], str] | None) -> str:
        now = time.monotonic()
        if hint is not None and now >= self._hint_again:
            self._hinted, self._hint_again = hint(), now + HINT_INTERVAL
        return self._hinted

    def _tell(self, text: str, progress: Report) -> None:
        self._last = text
        progress(text)

    def _new_watch(self) -> LeaseWatch:
        left = max(self._deadline - time.monotonic(), 0.1)
        return self._lab.watch_lease(self._name, left, claim=self._claim, patient=self._away)


def _others(count: int) -> str:
    return "another connection" if count == 1 else f"{count} other connections"


def waiting_text(event: LeaseEvent) -> str:
    """What a user is told about a lease that waits."""
    lease = event.lease
    for_what = lease.exporter_name or _plain(lease.selector) or lease.name
    parts = [f"Waiting for an exporter ({for_what})"]
    if lease.begin_time is not None and not event.position:
        parts.append(f"the lease begins at {_clock(lease.begin_time)}")
    if event.position:
        parts.append(f"position {event.position}")
    if event.reason:
        parts.append(event.reason)
    if event.estimate is not None:
        parts.append(f"expected at {_clock(event.estimate)}")
    if event.longest_slot is not None:
        parts.append(f"free now for at most {format_duration(event.longest_slot)}")
    return "; ".join(parts)


def _clock(moment: datetime) -> str:
    local = moment.astimezone()
    today = datetime.now().astimezone().date()
    return f"{local:%H:%M:%S}" if local.date() == today else f"{local:%Y-%m-%d %H:%M:%S}"


def release(lab: Lab, name: str, report: Report, timeout: float = RELEASE_TIMEOUT) -> None:
    """End the lease *name*, if it has not ended; try for *timeout* seconds while there is no controller.

    A controller whose disk is full is asked for longer, if *timeout* is not 0, and the user is told.

    Never raises: this is the last thing that is done with it.
    """
    since, backoff = time.monotonic(), Backoff()
    deadline = since + timeout
    while True:
        try:
            with uninterrupted():
                lab.delete_lease(name, RELEASE_ATTEMPT)
        except LeaseError:
            return  # it has ended, was never made, or belongs to another client now
        except ControllerCannotStore as error:
            left = since + STORE_TIMEOUT - time.monotonic()
            if timeout and left > 0:
                report(f"Lease {name} is not released yet ({error}): trying again")
                backoff.wait(left)
                continue
            report(f"Lease {name} could not be released ({error}): it ends when its time is over")
        except ControllerUnreachable as error:
            if time.monotonic() < deadline:
                backoff.wait(deadline - time.monotonic())
                continue
            report(f"Lease {name} could not be released ({error}): it ends when its time is over")
        except ConnectionError as error:
            report(f"Lease {name} could not be released: {error}")
        return


class Backoff:
    """Waits that double, with chance in them: those who lost a controller together do not all come back at once."""

    def __init__(self) -> None:
        self._next = BACKOFF[0]
        self._never = Flag()

    def reset(self) -> None:
        """Start again with the shortest wait."""
        self._next = BACKOFF[0]

    def wait(self, left: float, until: Flag | None = None) -> None:
        """Wait, for *left* seconds at the most, or until the event is set."""
        (until or self._never).wait(max(min(self._next * random.uniform(0.5, 1.0), left), 0))
        self._next = min(self._next * 2, BACKOFF[1])


def new_lease_name() -> str:
    """A UUID of version 7 (RFC 9562): names in the order of their making, as stock controllers give them."""
    milliseconds = time.time_ns() // 1_000_000
    number = (milliseconds << 80) | (7 << 76) | (randbits(12) << 64) | (2 << 62) | randbits(62)
    return str(UUID(int=number))
