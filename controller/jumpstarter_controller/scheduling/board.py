"""The exporters of one decision: which are free, who holds them, and what is reserved on them."""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime, timedelta

from jumpstarter_controller.model import Lease, LeaseState

from .decisions import LabState
from .fleet import Fleet
from .masks import bits

#: After so many new holders it is cheaper to sort them in than to look at each.
_MANY = 64


class Boards:
    """Sets of exporters by what they do now. A number is an exporter's place in the order of names.

    `online` ones are registered, `ready` ones could begin a lease if nobody held them, `passing` ones will be ready by
    themselves soon. Reservations are the times for which later leases have their place already.
    """

    def __init__(self, state: LabState, now: datetime) -> None:
        fleet = state.fleet if state.fleet is not None else Fleet(state.exporters, now)
        self.exporters, self.numbers, self.labels = fleet.exporters, fleet.numbers, fleet.labels
        self.enabled, self.online = fleet.enabled, fleet.online
        self.ready, self.passing = fleet.ready, fleet.passing
        self.held = 0
        self.holders: dict[int, Lease] = {}
        self.reserved = 0
        self._departures: list[datetime] | None = None
        self._departed: list[int] = []
        self._held_since: list[int] = []
        self.reservations: dict[int, list[tuple[datetime, datetime]]] = {}
        for lease in state.leases:
            if lease.state is LeaseState.READY and lease.exporter in self.numbers:
                self.hold(self.numbers[lease.exporter], lease)

    @property
    def free(self) -> int:
        """Those that can be granted now."""
        return self.ready & ~self.held

    def hold(self, number: int, lease: Lease) -> None:
        """*lease* has the exporter from now on."""
        self.holders[number] = lease
        self._held_since.append(number)
        if len(self._held_since) > _MANY:
            self._departures = None
        self.held |= 1 << number

    def let_go(self, number: int) -> None:
        """Nobody has the exporter from now on."""
        del self.holders[number]
        self.held &= ~(1 << number)

    def reserve(self, number: int, begin: datetime, end: datetime) -> None:
        """A lease that begins later has its place there."""
        self.reserved |= 1 << number
        self.reservations.setdefault(number, []).append((begin, end))

    def collision(self, number: int, begin: datetime, end: datetime) -> datetime | None:
        """When the exporter is free of the reservations that overlap that time; None when none does."""
        ends = [until for since, until in self.reservations.get(number, ()) if begin < until and since < end]
        return max(ends, default=None)

    def next_reservation(self, number: int) -> datetime:
        """When the first reservation of the exporter begins; it has one."""
        return min(since for since, _ in self.reservations[number])

    def without_collision(self, mask: int, begin: datetime, end: datetime) -> int | None:
        """One of *mask* that nobody has reserved for that time, one without any reservation if there is one."""
        clear = mask & ~self.reserved
        if clear:
            return (clear & -clear).bit_length() - 1
        return next((number for number in bits(mask) if self.collision(number, begin, end) is None), None)

    def leaves_at(self, number: int, now: datetime, notice: timedelta) -> datetime:
        """When the exporter can be had for a regular lease, if its holder stays to the end; *now* when nobody holds it."""
        lease = self.holders.get(number)
        if lease is None:
            return now
        leaves = lease.expires_at or now
        return min(leaves, now + notice) if lease.spot else leaves

    def empty_at(self, moment: datetime, notice: timedelta, now: datetime) -> int:
        """The exporters that nobody holds at *moment* any more, wherever they are now."""
        if self._departures is None:
            leaving = sorted((self.leaves_at(number, now, notice), number) for number in self.holders)
            self._departures = [when for when, _ in leaving]
            self._departed = [0]
            self._held_since = []
            for _, number in leaving:
                self._departed.append(self._departed[-1] | 1 << number)
        gone = self._departed[bisect_right(self._departures, moment)]
        for number in self._held_since:
            if self.leaves_at(number, now, notice) <= moment:
                gone |= 1 << number
        return self.labels.everything & ~self.held | gone
