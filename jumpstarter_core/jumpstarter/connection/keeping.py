"""Keeping a lease while it is used: extending it, and telling its user what happens to it.

What is due next is decided by the pure function `due`; a thread follows the lease and does it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING, Final

from jumpstarter.client.lab import ControllerUnreachable, Lab, Lease
from jumpstarter.common.durations import format_duration
from jumpstarter.common.exceptions import JumpstarterException
from jumpstarter.common.interrupts import Flag, Shield

from .holding import Backoff

if TYPE_CHECKING:
    from .progress import Report

logger = logging.getLogger("jumpstarter.lease")

AWAY: Final = "The controller does not answer; the lease goes on"

#: Seconds for the controller to say why an exporter cannot be reached.
ASK_TIMEOUT: Final = 2.0

#: A lease that ends within this time, and within a fifth of its duration, is about to end.
SOON: Final = timedelta(minutes=5)


@dataclass(frozen=True)
class Due:
    """What to do with a lease: *extend* it, *warn* that it ends soon, or nothing; look again after *wait* seconds."""

    wait: float | None
    extend: bool = False
    warn: bool = False


def remaining(lease: Lease, now: datetime) -> timedelta | None:
    """For how long the lease still lasts, by the controller's clock where it told the time; None when nobody can tell."""
    if lease.ends_at is None:
        return None
    if lease.effective_begin_time is not None:
        now = lease.effective_begin_time + lease.effective_duration
    return lease.ends_at - now


def due(
    left: timedelta | None,
    duration: timedelta,
    *,
    extend: bool,
    warned: bool,
    soon: timedelta | None = None,
) -> Due:
    """What is due for a lease of *duration* that lasts for *left*: it is extended when half of it is over.

    One that is not extended is about to end when no more than *soon* is left of it; None: as `SOON` says.
    """
    if left is None:
        return Due(wait=None)
    limit = duration / 2 if extend else min(SOON, duration / 5) if soon is None else soon
    if left <= limit:
        return Due(wait=1.0, extend=True) if extend else Due(wait=None, warn=not warned)
    return Due(wait=(left - limit).total_seconds())


class Keeper:
    """Follows *lease* of *lab* until closed, and keeps *claim* on it. With *step* the lease is extended to last that long.

    `ended` says why the lease is over, None while it is not; then every function of `on_end` is called, on the
    keeper's thread. So is *on_soon*, once, with what is left of the lease (a second at least) when that is no more than *soon*
    and nobody extends it. Use it as a context.
    """

    def __init__(
        self,
        lab: Lab,
        lease: Lease,
        step: timedelta | None,
        notify: Report,
        *,
        soon: timedelta | None = None,
        on_soon: Callable[[timedelta], object] | None = None,
        claim: str = "",
    ) -> None:
        self.lease = lease
        self.ended: str | None = None
        #: Whether it is over because it is another client's now.
        self.transferred = False
        self._lab = lab
        self._step = step
        self._notify = notify
        self._soon = soon
        self._on_soon = on_soon
        self._warned = False
        self._told = ""
        self._seen_at = monotonic()
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], object]] = []
        self._closed = Flag()
        self._claim = claim
        self._watch = lab.watch_lease(lease.name, claim=claim)
        self._thread = threading.Thread(target=self._run, name=f"jumpstarter-lease {lease.name}", daemon=True)

    def __enter__(self) -> Keeper:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Follow the lease, on a thread."""
        with Shield():
            self._thread.start()

    def close(self) -> None:
        """Follow it no longer; returns when the thread has ended."""
        self._closed.set()
        self._watch.cancel()
        self._thread.join()

    def on_end(self, action: Callable[[], object]) -> None:
        """Have *action* called when the lease ends before the keeper is closed; now, if it has ended."""
        with self._lock:
            if self.ended is None:
                self._callbacks.append(action)
                return
        action()

    def why_gone(self) -> str | None:
        """Why the exporter cannot be reached, as the controller has it; None when it does not know."""
        return self.why_over() or self._why_away()

    def why_over(self) -> str | None:
        """Why the lease is of no use any more, as the controller has it; None when it goes on, or nobody knows."""
        if self.ended is not None:
            return f"lease {self.lease.name} {self.ended}"
        if self._told == AWAY:
            return None  # asking would take its time
        try:
            lease = self._lab.get_lease(self.lease.name, ASK_TIMEOUT)
        except (ControllerUnreachable, ValueError):  # the latter when the channel is closed: all is over
            return None
        except JumpstarterException as error:
            return str(error)
        reason = self._why_over(lease)
        return None if reason is None else f"lease {lease.name} {reason}"

    def _why_away(self) -> str | None:
        """That the exporter is offline, where the controller knows it, or that nobody answers; the lease goes on then."""
        lease = self.lease
        silent = (
            f"neither exporter {lease.exporter} nor the controller answers: the network, or the lab, is down; "
            f"lease {lease.name} goes on"
        )
        if self._told == AWAY:
            return silent
        try:
            exporter = self._lab.get_exporter(lease.exporter, timeout=ASK_TIMEOUT)
        except ControllerUnreachable:
            return silent
        except (JumpstarterException, ValueError):
            return None
        if exporter.online:
            return None
        said = f" ({exporter.message})" if exporter.message else ""
        return f"exporter {exporter.name} is offline{said}; lease {lease.name} goes on"

    def _why_over(self, lease: Lease) -> str | None:
        if lease.client != self._lab.name:
            return f"was transferred to {lease.client}"
        return lease.failure

    def _run(self) -> None:
        backoff = Backoff()
        while not self._closed.is_set() and self.ended is None:
            wait = self._act()
            # A controller that has gone is met as soon as it is back: it may be there for a moment only.
            away = self._told == AWAY
            self._watch = self._lab.watch_lease(self.lease.name, wait, claim=self._claim, patient=away)
            if self._closed.is_set():
                return
            try:
                for event in self._watch:
                    backoff.reset()
                    self._take(event.lease, event.notice)
                    if self.ended is not None or self._is_due():
                        break
                else:
                    backoff.wait(60, self._closed)  # the controller has ended the call
            except TimeoutError:
                continue  # something is due
            except ControllerUnreachable as error:
                self._tell_away(error)
                backoff.wait(self._patience(), self._closed)
            except JumpstarterException as error:
                self._tell(f"The lease cannot be followed: {error}")
                backoff.wait(60, self._closed)

    def _take(self, lease: Lease, notice: str) -> None:
        self.lease, self._seen_at = lease, monotonic()
        if self._told == AWAY:
            self._told = ""  # the next outage is told again
        if notice:
            self._tell(notice)
        self.transferred = lease.client != self._lab.name
        if (reason := self._why_over(lease)) is not None:
            self._end(reason)

    def _end(self, reason: str) -> None:
        with self._lock:
            self.ended = reason
            callbacks, self._callbacks = self._callbacks, []
        self._tell(f"Lease {self.lease.name} {reason}")
        if not self._closed.is_set():
            for action in callbacks:
                action()

    def _left(self) -> timedelta | None:
        left = remaining(self.lease, datetime.now().astimezone())
        return None if left is None else left - timedelta(seconds=monotonic() - self._seen_at)

    def _patience(self) -> float:
        """Seconds to wait for the controller at the most: the less is left of the lease, the sooner it is asked again."""
        left = self._left()
        return 60 if left is None else max(left.total_seconds() / 20, 0.5)

    def _due(self) -> Due:
        duration = self._step or self.lease.duration
        extend = self._step is not None
        return due(self._left(), duration, extend=extend, warned=self._warned, soon=self._soon)

    def _is_due(self) -> bool:
        now = self._due()
        return now.extend or now.warn

    def _act(self) -> float | None:
        now = self._due()
        if now.extend:
            self._extend()
            return self._due().wait
        if now.warn and (left := self._left()) is not None:
            self._warned = True
            seconds = timedelta(seconds=max(round(left.total_seconds()), 0))
            self._tell(f"Lease {self.lease.name} ends in {format_duration(seconds)}")
            if self._on_soon is not None and not self._closed.is_set():
                self._on_soon(max(seconds, timedelta(seconds=1)))
        return now.wait

    def _extend(self) -> None:
        assert self._step is not None
        left = self._left() or timedelta()
        try:
            more = timedelta(seconds=round((self._step - left).total_seconds()) or 1)
            self._take(self._lab.update_lease(self.lease.name, duration=self.lease.duration + more), "")
        except ControllerUnreachable as error:
            self._tell_away(error)
        except JumpstarterException as error:
            self._step = None  # a policy's limit, most likely: it will not change its mind
            self._tell(f"Lease {self.lease.name} cannot be extended: {error}")

    def _tell_away(self, error: ControllerUnreachable) -> None:
        logger.debug("lease %s: %s", self.lease.name, error)
        self._tell(AWAY)

    def _tell(self, text: str) -> None:
        if text != self._told and not self._closed.is_set():
            self._told = text
            self._notify(text)
