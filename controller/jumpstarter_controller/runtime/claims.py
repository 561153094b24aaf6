"""Who uses or waits for a lease: a claim belongs to a connection of a client, which is its stream of WatchLease.

Claims are stored with their lease, so that they outlive the controller. A claim whose stream broke has some seconds to come
back before it lapses. A lease that waits gets no exporter while nobody waits for it, and ends after a longer grace.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Final

from jumpstarter_controller.model import LeaseState

from . import leasing
from .draft import Draft
from .lab import Lab, LabClosed

logger = logging.getLogger(__name__)

#: Seconds that a claim outlives the stream that broke.
LAPSE: Final = 15.0
#: Seconds until what could not be stored is tried again.
RETRY: Final = 5.0


class Claims:
    """The claims of the leases of *lab*. *grace* is how long a lease waits for an exporter when nobody waits for it."""

    def __init__(self, lab: Lab, grace: timedelta) -> None:
        self._lab = lab
        self._grace = grace.total_seconds()
        self._streams: dict[str, Counter[str]] = {}
        self._timers: dict[tuple[str, str], asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        for lease in list(lab.records.leases.values()):
            for claim in lease.claims:
                self._lost(lease.name, claim)

    @contextmanager
    def stream(self, name: str, claim: str) -> Iterator[None]:
        """The claim *claim* on the lease *name* has a stream, as long as the block runs."""
        streams = self._streams.setdefault(name, Counter())
        streams[claim] += 1
        self._stop(name, claim)
        self._lab.attended(name, True)
        try:
            yield
        finally:
            streams[claim] -= 1
            if not streams[claim]:
                del streams[claim]
                if not streams:
                    self._streams.pop(name, None)
                self._lost(name, claim)

    def expect(self, name: str, claim: str) -> None:
        """The claim has been made with its lease; its stream comes next."""
        if not self.has_stream(name, claim):
            self._after(LAPSE, name, claim, partial(self._lost, name, claim))

    def has_stream(self, name: str, claim: str) -> bool:
        """Whether the claim has a stream."""
        return self._streams.get(name, Counter())[claim] > 0

    def _lost(self, name: str, claim: str) -> None:
        if not self._has(name, claim):
            self._stop(name, claim)
            return
        if not self._streams.get(name):
            self._lab.attended(name, False)
        self._after(LAPSE, name, claim, partial(self._lapse, name, claim))

    def _lapse(self, name: str, claim: str) -> None:
        if self._has(name, claim) and self._lab.records.leases[name].state is LeaseState.WAITING:
            self._after(max(self._grace - LAPSE, 0), name, claim, partial(self._end, name, claim))
        else:
            self._end(name, claim)

    def _end(self, name: str, claim: str) -> None:
        self._stop(name, claim)
        if self._has(name, claim):
            task = asyncio.create_task(self._store(name, claim))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _store(self, name: str, claim: str) -> None:
        try:
            await self._lab.change(lambda draft: _lapsed(draft, name, claim))
        except LabClosed:
            return
        except Exception as error:  # noqa: BLE001 - the store's next attempt may go better
            logger.warning(
                "the end of a claim on lease %s could not be stored: %s; trying again", name, error
            )
            self._after(RETRY, name, claim, partial(self._end, name, claim))

    def _has(self, name: str, claim: str) -> bool:
        lease = self._lab.records.leases.get(name)
        return lease is not None and claim in lease.claims

    def _after(self, seconds: float, name: str, claim: str, action: Callable[[], None]) -> None:
        self._stop(name, claim)
        self._timers[name, claim] = asyncio.get_running_loop().call_later(seconds, action)

    def _stop(self, name: str, claim: str) -> None:
        timer = self._timers.pop((name, claim), None)
        if timer is not None:
            timer.cancel()


def _lapsed(draft: Draft, name: str, claim: str) -> None:
    """The claim is over. A lease that nobody has begun to use, and nobody waits for, ends."""
    lease = draft.leases.get(name)
    if lease is None or lease.ended:
        return
    leasing.unclaim(draft, name, claim)
    left = draft.leases.get(name)
    if lease.state is LeaseState.WAITING and left is not None and not left.claims:
        leasing.release(draft, name, "scheduler", leasing.NOBODY_WAITED)
