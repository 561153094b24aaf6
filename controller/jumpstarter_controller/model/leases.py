"""A lease: what was asked for, where it stands, and the steps it may take.

::

    WAITING ──> READY ──> RELEASED | EXPIRED
       └──────> RELEASED | EXPIRED | UNSATISFIABLE | INVALID

A lease is READY as long as it holds its exporter. Each step gives a new value; the old one stays as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import Final

from jumpstarter.common.selectors import Selector

from .conditions import Condition, ConditionType, Reason, with_condition
from .errors import InvalidRequest, WrongState
from .names import MAX_TAGS, check_context, check_name, check_tags
from .times import LeaseTimes

#: Connections that can have a claim on one lease.
MAX_CLAIMS: Final = 1000


#: What leases are sorted by: when one was made, and its name.
Age = tuple[datetime, str]


class LeaseState(Enum):
    """Where a lease stands."""

    WAITING = "waiting"
    READY = "ready"
    RELEASED = "released"
    EXPIRED = "expired"
    UNSATISFIABLE = "unsatisfiable"
    INVALID = "invalid"

    @property
    def ended(self) -> bool:
        """Whether nothing comes after it."""
        return not TRANSITIONS[self]


TRANSITIONS: Mapping[LeaseState, frozenset[LeaseState]] = {
    LeaseState.WAITING: frozenset(LeaseState) - {LeaseState.WAITING},
    LeaseState.READY: frozenset({LeaseState.RELEASED, LeaseState.EXPIRED}),
    LeaseState.RELEASED: frozenset(),
    LeaseState.EXPIRED: frozenset(),
    LeaseState.UNSATISFIABLE: frozenset(),
    LeaseState.INVALID: frozenset(),
}


@dataclass(frozen=True, kw_only=True)
class LeaseSpec:
    """What was asked for: an exporter that *selector* selects, or the one called *exporter_name*, or both at once."""

    times: LeaseTimes
    selector: Selector = field(default_factory=Selector)
    exporter_name: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    context: Mapping[str, str] = field(default_factory=dict)
    allow_disabled: bool = False

    def check(self, max_tags: int = MAX_TAGS) -> None:
        """Refuse what no lease may ask for.

        Raises:
            InvalidRequest: neither selector nor name are given, or the name, the tags or the context are not valid.
        """
        if not self.selector and not self.exporter_name:
            raise InvalidRequest("one of selector or exporter_name is required: say which exporter to lease")
        if self.exporter_name:
            check_name("exporter", self.exporter_name)
        check_tags(self.tags, max_tags)
        check_context(self.context)


@dataclass(frozen=True, kw_only=True)
class Lease:
    """A lease of *client*. *exporter*, *priority*, *spot* and *begun_at* are set once it is READY.

    *notice_at* is set when spot access is taken back: the lease ends then at the latest.
    *claims* are the connections that use it or wait for it, by names of their own making. None of them is there while it is
    *unattended*, which is not stored.
    """

    name: str
    client: str
    created_at: datetime
    spec: LeaseSpec
    state: LeaseState = LeaseState.WAITING
    exporter: str | None = None
    priority: int = 0
    spot: bool = False
    begun_at: datetime | None = None
    ended_at: datetime | None = None
    notice_at: datetime | None = None
    conditions: tuple[Condition, ...] = ()
    claims: frozenset[str] = frozenset()
    unattended: bool = False

    @property
    def abandoned(self) -> bool:
        """Whether those who had claims on it are gone: it gets no exporter then."""
        return self.unattended and bool(self.claims)

    @property
    def age(self) -> Age:
        """What sorts leases: the oldest come first."""
        return self.created_at, self.name

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self.state.ended

    @property
    def waits_since(self) -> datetime:
        """When it could have been granted for the first time."""
        begin = self.spec.times.begin
        return self.created_at if begin is None else max(begin, self.created_at)

    @property
    def expires_at(self) -> datetime | None:
        """When its time is over; None for one that waits and whose end depends on its begin."""
        end = self.spec.times.window_end
        if end is None and self.begun_at is not None:
            end = self.begun_at + self.spec.times.duration
        return end if end is None or self.notice_at is None else min(end, self.notice_at)

    def waiting(self, now: datetime, reason: Reason, message: str) -> Lease:
        """It still waits, for this reason."""
        self._require(LeaseState.WAITING)
        return self._noted(now, ConditionType.PENDING, True, reason, message)

    def granted(self, now: datetime, exporter: str, priority: int, spot: bool) -> Lease:
        """It gets *exporter* and begins."""
        step = self._step(LeaseState.READY)
        lease = replace(step, exporter=exporter, priority=priority, spot=spot, begun_at=now)
        return lease._noted(now, ConditionType.READY, True, Reason.READY, f"exporter {exporter} is leased")

    def released(self, now: datetime, message: str = "released by its owner") -> Lease:
        """Its owner, its exporter or an administrator ends it, whether it has begun or not."""
        return self._over(now, LeaseState.RELEASED, ConditionType.READY, Reason.RELEASED, message)

    def expired(self, now: datetime) -> Lease:
        """Its time is over.

        One that never began is said to be unsatisfiable too: stock clients wait on when they read only that it expired.
        """
        if self.begun_at is None:
            message = "its time ran out before an exporter was free"
            lease = self._over(now, LeaseState.EXPIRED, ConditionType.READY, Reason.EXPIRED, message)
            return lease._noted(now, ConditionType.UNSATISFIABLE, True, Reason.EXPIRED, message)
        message = "its time ran out"
        if self.notice_at is not None and self.notice_at <= now:
            message = "preempted, a regular lease needs the exporter"
        return self._over(now, LeaseState.EXPIRED, ConditionType.READY, Reason.EXPIRED, message)

    def refused(self, now: datetime, reason: Reason, message: str) -> Lease:
        """Nobody could ever serve it as things are."""
        if reason is Reason.INVALID_SELECTOR:
            return self._over(now, LeaseState.INVALID, ConditionType.INVALID, reason, message, status=True)
        return self._over(
            now, LeaseState.UNSATISFIABLE, ConditionType.UNSATISFIABLE, reason, message, status=True
        )

    def warned(self, notice_at: datetime) -> Lease:
        """Spot access is taken back: it ends at *notice_at* at the latest."""
        self._require(LeaseState.READY)
        return replace(self, notice_at=notice_at)

    def transferred(self, client: str, priority: int, spot: bool) -> Lease:
        """It belongs to *client* from now on.

        Raises:
            WrongState: it has not begun, or it is over.
        """
        self._require(LeaseState.READY)
        notice_at = self.notice_at if spot else None
        return replace(
            self, client=client, priority=priority, spot=spot, notice_at=notice_at, claims=frozenset()
        )

    def claimed(self, claim: str) -> Lease:
        """A connection uses it, or waits for it. Raises WrongState when too many do."""
        if len(self.claims) >= MAX_CLAIMS and claim not in self.claims:
            raise WrongState(
                f"lease '{self.name}' is in use by {MAX_CLAIMS} connections, the most that can be"
            )
        return replace(self, claims=self.claims | {claim})

    def unclaimed(self, claim: str) -> Lease:
        """The opposite of `claimed`."""
        return replace(self, claims=self.claims - {claim})

    def retimed(self, times: LeaseTimes) -> Lease:
        """Its times change; without effect on one that is over."""
        return replace(self, spec=replace(self.spec, times=times))

    def _require(self, state: LeaseState) -> None:
        if self.state is not state:
            raise WrongState(f"lease {self.name} is {self.state.value}, expected one that is {state.value}")

    def _step(self, state: LeaseState) -> Lease:
        if state not in TRANSITIONS[self.state]:
            raise WrongState(f"lease {self.name} is {self.state.value}, it cannot become {state.value}")
        return replace(self, state=state)

    def _over(
        self,
        now: datetime,
        state: LeaseState,
        about: ConditionType,
        reason: Reason,
        message: str,
        status: bool = False,
    ) -> Lease:
        return replace(self._step(state), ended_at=now, claims=frozenset())._noted(
            now, about, status, reason, message
        )

    def _noted(
        self, now: datetime, about: ConditionType, status: bool, reason: Reason, message: str
    ) -> Lease:
        condition = Condition(about, status, reason, message, now)
        return replace(self, conditions=with_condition(self.conditions, condition))


def check_new_lease(name: str, spec: LeaseSpec, max_tags: int = MAX_TAGS) -> None:
    """Refuse what cannot be stored as a lease. Raises InvalidRequest as `check_name` and `LeaseSpec.check`."""
    check_name("lease", name)
    spec.check(max_tags)
