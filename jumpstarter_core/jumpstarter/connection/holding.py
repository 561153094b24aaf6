"""Having a lease: one that exists already, or a new one that ends with the context.

A new lease has its name from here. So there is something to end even when the answer to the request for it is lost.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from secrets import randbits
from typing import TYPE_CHECKING, Final
from uuid import UUID

from jumpstarter.client.lab import ControllerUnreachable, Lab, Lease, LeaseEvent
from jumpstarter.common.durations import format_duration
from jumpstarter.common.exceptions import ConfigurationError, ConnectionError, LeaseError
from jumpstarter.common.selectors import Selector

if TYPE_CHECKING:
    from .progress import Report

DEFAULT_DURATION: Final = timedelta(minutes=30)

#: Context of leases that were created to be used by several programs, one after the other: `adopt` looks for it.
KEPT: Final = {"kept-by": "jmp-create-lease"}

#: Seconds between attempts to reach a controller that went away: the first wait, and the longest.
BACKOFF: Final = (0.5, 10.0)
#: Seconds for which the end of a lease is tried, while the controller cannot be reached.
RELEASE_TIMEOUT: Final = 10.0
#: Seconds that one attempt of it may take, during which signals have no effect.
RELEASE_ATTEMPT: Final = 5.0


@dataclass(frozen=True, kw_only=True)
class LeaseRequest:
    """What to lease: what *selector* selects, or *exporter_name*, or the existing lease *lease*.

    With *adopt* a lease of `jmp create lease` is used if there is just one that fits. *duration* is for how long; with
    *extend* the lease goes on for as long as it is in use. Timeouts in seconds: to get an exporter, for one that cannot be
    reached to come back; None: as configured.
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
        return wait_until_ready(lab, existing.name, timeout, report), False
    name = new_lease_name()
    try:
        create(lab, request, name)
    except LeaseRefused:
        raise
    except BaseException:
        # Whether there is a lease is not known: most likely not, so nobody is told, or kept waiting.
        release(lab, name, lambda text: None, timeout=0)
        raise
    try:
        return wait_until_ready(lab, name, timeout, report), True
    except BaseException:
        release(lab, name, report)
        raise


class LeaseRefused(LeaseError):
    """Raised when the controller does not take the request for a lease."""


def create(lab: Lab, request: LeaseRequest, name: str, begin_time: datetime | None = None) -> Lease:
    """Ask for a lease called *name*. Raises LeaseRefused when the controller does not take the request."""
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
        )
    except LeaseError as error:
        raise LeaseRefused(f"no lease for {request.wanted}: {error}") from None


def _existing(lab: Lab, request: LeaseRequest, report: Report) -> Lease | None:
    """The lease that *request* names; None when it names none, or one that is for other exporters."""
    if not request.lease:
        return _adopted(lab, request) if request.adopt else None
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


def _adopted(lab: Lab, request: LeaseRequest) -> Lease | None:
    """The one lease that was created to be used like this; None when there is none."""
    fitting = [
        lease
        for lease in lab.list_leases()
        if lease.client == lab.name and KEPT.items() <= lease.context.items() and _fits(lease, request)
    ]
    if len(fitting) == 1:
        return fitting[0]
    if not (request.selector or request.exporter_name):
        names = ", ".join(lease.name for lease in fitting)
        raise LeaseError(
            f"several leases may be meant ({names}): set JMP_LEASE to one of them"
            if fitting
            else "nothing says which exporter to lease, and there is no lease to use: give a selector (labels), "
            "or create a lease with 'jmp create lease'"
        )
    return None


def _plain(selector: str) -> str:
    """Kubernetes prints an empty selector as ``<none>``."""
    return "" if selector == "<none>" else selector


def wait_until_ready(lab: Lab, name: str, timeout: float, report: Report) -> Lease:
    """Wait for the lease's exporter; *report* gets what is known about the waiting.

    A controller that goes away is waited for, too. Raises LeaseError when the lease cannot be satisfied, or is not within
    *timeout* seconds.
    """
    deadline = time.monotonic() + timeout
    last, backoff = "", Backoff()
    while True:
        left = deadline - time.monotonic()
        try:
            for event in lab.watch_lease(name, max(left, 0.1)):
                backoff.reset()
                if event.lease.failure is not None:
                    raise LeaseError(f"lease {name} {event.lease.failure}")
                if event.lease.ready:
                    return event.lease
                last = waiting_text(event)
                report(last)
        except TimeoutError:
            raise LeaseError(
                f"no exporter within {format_duration(timedelta(seconds=timeout))}: {last or 'no reason is known'}; "
                "allow for a longer wait, or see 'jmp get exporters --with leases,online,status'"
            ) from None
        except ControllerUnreachable as error:
            last = f"Waiting for the controller: {error}"
            report(last)
        backoff.wait(deadline - time.monotonic())


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

    Never raises: this is the last thing that is done with it.
    """
    deadline, backoff = time.monotonic() + timeout, Backoff()
    while True:
        try:
            with _uninterrupted():
                lab.delete_lease(name, RELEASE_ATTEMPT)
        except LeaseError:
            return  # it has ended, was never made, or belongs to another client now
        except ControllerUnreachable as error:
            if time.monotonic() < deadline:
                backoff.wait(deadline - time.monotonic())
                continue
            report(f"Lease {name} could not be released ({error}): it ends when its time is over")
        except ConnectionError as error:
            report(f"Lease {name} could not be released: {error}")
        return


@contextmanager
def _uninterrupted() -> Generator[None]:
    """Ctrl-C, pressed again by someone in a hurry, does not keep the board from others."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:  # one that Python did not install cannot be put back
                signal.signal(number, handler)


class Backoff:
    """Waits that double."""

    def __init__(self) -> None:
        self._next = BACKOFF[0]
        self._never = threading.Event()

    def reset(self) -> None:
        """Start again with the shortest wait."""
        self._next = BACKOFF[0]

    def wait(self, left: float, until: threading.Event | None = None) -> None:
        """Wait, for *left* seconds at the most, or until the event is set."""
        (until or self._never).wait(max(min(self._next, left), 0))
        self._next = min(self._next * 2, BACKOFF[1])


def new_lease_name() -> str:
    """A UUID of version 7 (RFC 9562): names in the order of their making, as stock controllers give them."""
    milliseconds = time.time_ns() // 1_000_000
    number = (milliseconds << 80) | (7 << 76) | (randbits(12) << 64) | (2 << 62) | randbits(62)
    return str(UUID(int=number))
