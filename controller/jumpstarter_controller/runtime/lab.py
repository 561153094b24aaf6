"""The one loop that changes the lab.

Operations are functions from a `Draft` to a result. The loop takes all that wait, runs them one after the other, schedules
once, writes everything in one transaction, and only then shows the outcome: to the callers, to watchers, to the router.
While the store writes, further operations gather for the next round, so the cost of a durable write is shared.

What is in memory is what the store holds, except for when an exporter was last heard of, which is written down rarely, and
whether it is connected, which is not stored at all.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol, TypeVar

from jumpstarter.common.enums import ExporterStatus

from jumpstarter_controller.model import Age, AuditEntry, Exporter, Lease, LeaseState, Role
from jumpstarter_controller.scheduling import Fleet, LabState, Outlook, Rules, apply_decisions, schedule

from .draft import Draft, Records
from .hub import Hub

logger = logging.getLogger(__name__)
T = TypeVar("T")

#: How often it is written down when exporters were last heard of.
SEEN_INTERVAL: Final = timedelta(minutes=5)
#: Ended leases that are kept in memory; older ones are read from the store.
RECENT: Final = 2000
MAX_BATCH: Final = 512
#: Seconds after which the clock is looked at again: somebody may have set it.
LONGEST_SLEEP: Final = 30.0


#: Ended leases that are read from the store at a time, at least and at the most: not all that are read may be wanted.
READ: Final = (20, 500)


class Journal(Protocol):
    """What the loop needs of a store."""

    async def load(self) -> Records:
        """Everything that counts now."""
        ...

    async def commit(self, draft: Draft) -> None:
        """Write the changes of *draft*, all or nothing; durable when it returns."""
        ...

    async def lease(self, name: str) -> Lease | None:
        """A lease, ended or not."""
        ...

    async def ended_leases(self, after: Age | None, limit: int) -> Sequence[Lease]:
        """At most *limit* of the ended leases that are kept: the oldest after the one of that age."""
        ...

    async def audit(self, limit: int) -> Sequence[AuditEntry]:
        """The newest entries of the audit log, newest first."""
        ...

    async def forget(self, before: datetime, now: datetime) -> int:
        """Delete leases that ended *before* that time, and give how many; and what else is of no use any more."""
        ...


class LabClosed(Exception):
    """Raised for an operation that comes after the lab was closed."""


@dataclass
class _Pending:
    operation: Callable[[Draft], Any]
    outcome: asyncio.Future[Any]


class Lab:
    """The running lab; see the module. Use it as ``async with``.

    Args:
        journal: where everything is written.
        rules: of scheduling.
        now: the clock.
        on_cut: called with the name of a lease whose streams must end: it is over, belongs to another client, or tokens of
            its client or its exporter were revoked.
        on_lease: called with a lease that has an exporter and is new, or has other times.
    """

    def __init__(
        self,
        journal: Journal,
        rules: Rules | None = None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        on_cut: Callable[[str], object] = lambda name: None,
        on_lease: Callable[[Lease], object] = lambda lease: None,
    ) -> None:
        self.journal = journal
        self.hub = Hub()
        self.now = now
        self.outlooks: Mapping[str, Outlook] = {}
        self.records = Records()
        self._rules = rules or Rules()
        self._on_cut = on_cut
        self._on_lease = on_lease
        self._fleet: Fleet | None = None
        #: Exporters whose connection came or went since the last decision.
        self._moved: set[str] = set()
        #: Whether there may be something to decide that no draft tells of.
        self._undecided = True
        self._recent: dict[str, Lease] = {}
        self._holders: dict[str, str] = {}
        self._pending: list[_Pending] = []
        self._notes: list[AuditEntry] = []
        self._wanted = asyncio.Event()
        self._wake_at: datetime | None = None
        self._seen_written = now()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Lab:
        self.records = await self.journal.load()
        self._expect_everybody()
        self._holders = {
            lease.exporter: lease.name
            for lease in self.records.leases.values()
            if lease.state is LeaseState.READY and lease.exporter is not None
        }
        self._wanted.set()
        self._task = asyncio.create_task(self._run(), name="lab")
        return self

    def _expect_everybody(self) -> None:
        """Nobody is there yet: no exporter, and none of those who have claims. So nothing is granted before they are back.

        Before the first decision: a board that has gone meanwhile would be offered, and a lease would begin, with time that
        counts, while nobody can be told.
        """
        now = self.now()
        for name, exporter in self.records.exporters.items():
            self.records.exporters[name] = replace(exporter, lost_at=now)
        for name, lease in self.records.leases.items():
            self.records.leases[name] = replace(lease, unattended=bool(lease.claims))

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Finish what was asked for, refuse what comes after, and tell all watchers."""
        task, self._task = self._task, None
        if task is not None:
            self._wanted.set()
            await task
            self.hub.tell_all()

    @property
    def closed(self) -> bool:
        """Whether the lab is being closed: streams end then."""
        return self._task is None

    async def change(self, operation: Callable[[Draft], T]) -> T:
        """Run *operation* and return what it returned, once it is stored.

        Raises what the operation raises, and then nothing of it is stored; StoreError when the store cannot write.
        """
        if self._task is None:
            raise LabClosed("the controller shuts down; try again in a moment")
        outcome: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._pending.append(_Pending(operation, outcome))
        self._wanted.set()
        return await outcome

    def note(self, actor: str, action: str, subject: str, detail: str = "") -> None:
        """Write down who did what, with the next write: nobody has to wait for it."""
        self._notes.append(
            AuditEntry(at=self.now(), actor=actor, action=action, subject=subject, detail=detail)
        )
        self._wanted.set()

    def holder(self, exporter: str) -> Lease | None:
        """The lease that holds the exporter."""
        name = self._holders.get(exporter)
        return self.records.leases.get(name) if name is not None else None

    async def lease(self, name: str) -> Lease | None:
        """A lease, ended or not."""
        found = self.records.leases.get(name) or self._recent.get(name)
        return found if found is not None else await self.journal.lease(name)

    async def leases(
        self,
        *,
        ended: bool,
        wanted: Callable[[Lease], bool] = lambda lease: True,
        after: Age | None = None,
        most: int | None = None,
    ) -> list[Lease]:
        """The *wanted* leases that have not ended, and with *ended* those that have and are kept, the oldest first.

        Those after one of the age *after*, at most *most* of them: no more are read than it takes.
        """
        found = await self._all_leases(wanted, after, most) if ended else list(self.records.leases.values())
        fitting = [lease for lease in found if (after is None or lease.age > after) and wanted(lease)]
        return sorted(fitting, key=lambda lease: lease.age)[:most]

    async def _all_leases(
        self, wanted: Callable[[Lease], bool], after: Age | None, most: int | None
    ) -> list[Lease]:
        before, since = set(self.records.leases), self.now()
        found = {lease.name: lease for lease in await self._stored(wanted, after, most)}
        # What ends while the store is read is in neither of the two.
        meanwhile = {
            name: lease
            for name, lease in self._recent.items()
            if name in before or (lease.ended_at is not None and lease.ended_at >= since)
        }
        return list((found | meanwhile | self.records.leases).values())

    async def _stored(
        self, wanted: Callable[[Lease], bool], after: Age | None, most: int | None
    ) -> list[Lease]:
        """The *wanted* leases of the store that have ended, as `leases`."""
        found: list[Lease] = []
        limit = READ[1] if most is None else min(max(most, READ[0]), READ[1])
        while most is None or len(found) < most:
            read = await self.journal.ended_leases(after, limit)
            found += filter(wanted, read)
            if len(read) < limit:
                break
            after = read[-1].age
        return found

    def seen(self, name: str) -> bool:
        """The exporter was heard of just now; False when it counted as offline and must be shown otherwise."""
        exporter, now = self.records.exporters.get(name), self.now()
        if exporter is None:
            return True
        was_online = exporter.is_online(now) or exporter.status is ExporterStatus.OFFLINE
        self.records.exporters[name] = replace(exporter, last_seen=now)
        return was_online

    def found(self, name: str) -> None:
        """The exporter is connected."""
        self._connection_is(name, None)

    def lost(self, name: str) -> None:
        """The exporter's connection broke, or it fell silent: nobody is given it before it is back."""
        self._connection_is(name, self.now())

    def _connection_is(self, name: str, lost_at: datetime | None) -> None:
        exporter = self.records.exporters.get(name)
        if exporter is None or (exporter.lost_at is None) == (lost_at is None):
            return
        self.records.exporters[name] = replace(exporter, lost_at=lost_at)
        self._moved.add(name)
        self.hub.tell({("exporter", name)})
        self._wanted.set()

    def attended(self, name: str, attended: bool) -> None:
        """Whether one of those who have a claim on the lease *name* is there."""
        lease = self.records.leases.get(name)
        if lease is not None and lease.unattended == attended:
            self.records.leases[name] = replace(lease, unattended=not attended)
            self._undecided = True
            self._wanted.set()

    async def _run(self) -> None:
        while True:
            await self._wait()
            batch, self._pending = self._pending[:MAX_BATCH], self._pending[MAX_BATCH:]
            if self._pending:
                self._wanted.set()
            elif self.closed and not batch:
                await self._finish()
                return
            await self._step(batch)

    async def _wait(self) -> None:
        timeout = LONGEST_SLEEP
        if self._wake_at is not None:
            timeout = min(max((self._wake_at - self.now()).total_seconds(), 0), LONGEST_SLEEP)
        # Cheaper than a time limit, which is an exception: this is once for each round.
        timer = asyncio.get_running_loop().call_later(timeout, self._wanted.set)
        await self._wanted.wait()
        timer.cancel()
        self._wanted.clear()
        if self.closed:
            self._wanted.set()

    async def _finish(self) -> None:
        """The last write: when exporters were last heard of."""
        draft = Draft(self.records, self.now())
        draft.audit, self._notes = self._notes, []
        self._write_seen(draft, always=True)
        await self._commit(draft)

    async def _step(self, batch: list[_Pending]) -> None:
        notes, self._notes = self._notes, []
        outcomes: list[tuple[_Pending, Any]] = []
        draft = Draft(self.records, self.now())
        draft.audit += notes
        for pending in batch:
            above = Draft(draft, draft.now)
            try:
                result = pending.operation(above)
            except Exception as error:  # noqa: BLE001 - it is the caller's
                _fail(pending, error)
                continue
            draft.absorb(above)
            outcomes.append((pending, result))
        try:
            outlooks, wake_at = self._schedule(draft)
            self._write_seen(draft)
            await self._commit(draft)
        except Exception as error:  # noqa: BLE001 - it is the callers'
            # It has seen what was not stored.
            self._fleet, self._undecided = None, True
            await self._one_by_one(batch, outcomes, error)
            return
        self._wake_at = wake_at
        self._show(draft, outlooks)
        for pending, result in outcomes:
            if not pending.outcome.done():
                pending.outcome.set_result(result)

    async def _one_by_one(
        self, batch: list[_Pending], outcomes: list[tuple[_Pending, Any]], error: Exception
    ) -> None:
        """One operation must not spoil the write of the others."""
        if len(batch) > 1:
            for pending, _ in outcomes:
                await self._step([pending])
            return
        for pending, _ in outcomes:
            _fail(pending, error)
        if not outcomes:
            logger.error("the lab's state could not be written: %s; trying again in a second", error)
        self._wake_at = self.now() + timedelta(seconds=1)

    async def _commit(self, draft: Draft) -> None:
        if draft.changes_records or draft.audit:
            await self.journal.commit(draft)

    def _schedule(self, draft: Draft) -> tuple[Mapping[str, Outlook], datetime | None]:
        """Decide, and put the outcome into *draft*. Without a decision to make, all is as it was."""
        fleet, counts = self._fleet_of(draft)
        if not self._may_decide(draft, counts):
            return self.outlooks, self._wake_at
        self._undecided = False
        state = LabState(
            exporters=(),
            clients=draft.clients,
            leases=[lease for lease in draft.leases.values() if not lease.ended],
            policies=list(draft.policies.values()),
            rules=self._rules,
            fleet=fleet,
        )
        decisions = schedule(state, draft.now)
        for lease in apply_decisions(state, decisions, draft.now):
            draft.leases.put(lease.name, lease)
            if lease.state is LeaseState.READY and lease.begun_at == draft.now:
                draft.note("scheduler", "lease.grant", f"leases/{lease.name}", f"exporters/{lease.exporter}")
            elif lease.state is LeaseState.EXPIRED:
                draft.note("scheduler", "lease.expire", f"leases/{lease.name}")
        return decisions.outlooks, decisions.wake_at

    def _fleet_of(self, draft: Draft) -> tuple[Fleet, bool]:
        """The exporters of *draft*, and whether a decision about who waits may depend on what changed."""
        fleet, counts = self._fleet, None
        if fleet is not None:
            moved = {name: self.records.exporters.get(name) for name in self._moved}
            counts = fleet.update(moved | draft.exporters.changed)
        self._moved.clear()
        if fleet is None or counts is None:
            self._fleet = fleet = Fleet(draft.exporters.values(), draft.now)
            return fleet, True
        return fleet, fleet.advance(draft.now, self.records.exporters.get) or counts

    def _may_decide(self, draft: Draft, counts: bool) -> bool:
        """Whether there may be anything to decide: most reports of exporters change nothing for anybody."""
        if self._undecided or draft.leases.changed or draft.clients.changed or draft.policies.changed:
            return True
        if self._wake_at is not None and self._wake_at <= draft.now:
            return True
        return counts and bool(self.outlooks)

    def _write_seen(self, draft: Draft, *, always: bool = False) -> None:
        """Once in a while, put into *draft* when exporters were last heard of."""
        if not always and draft.now - self._seen_written < SEEN_INTERVAL:
            return
        self._seen_written = draft.now
        draft.writes_seen = True
        for name, exporter in self.records.exporters.items():
            if exporter.last_seen is not None and name not in draft.exporters.changed:
                draft.exporters.put(name, exporter)

    def _show(self, draft: Draft, outlooks: Mapping[str, Outlook]) -> None:
        """What is stored becomes what is."""
        topics: set[tuple[str, str]] = set()
        cut: list[str] = []
        for name, lease in draft.leases.changed.items():
            topics.add(("lease", name))
            before = self.records.leases.get(name)
            topics |= {("exporter", each.exporter) for each in (before, lease) if each and each.exporter}
            if lease is None or (before is not None and (lease.ended or lease.client != before.client)):
                cut.append(name)
            self._show_lease(name, lease, before)
        for role, owner in self._revoked(draft):
            topics.add(identity_topic(role, owner))
            cut += [name for name in self._leases_of(role, owner) if name not in cut]
        for exporter_name, exporter in draft.exporters.changed.items():
            topics.add(("exporter", exporter_name))
            self._show_exporter(exporter_name, exporter)
        for mine, changed in (
            (self.records.clients, draft.clients.changed),
            (self.records.policies, draft.policies.changed),
            (self.records.tokens, draft.tokens.changed),
        ):
            _update(mine, changed)
        for name in {*outlooks, *self.outlooks}:
            if outlooks.get(name) != self.outlooks.get(name):
                topics.add(("lease", name))
        self.outlooks = outlooks
        for name in cut:
            self._on_cut(name)
        for lease in draft.leases.changed.values():
            if lease is not None and lease.state is LeaseState.READY:
                self._on_lease(lease)
        self.hub.tell(topics)

    def _revoked(self, draft: Draft) -> set[tuple[Role, str]]:
        """Whose tokens *draft* revokes."""
        return {
            (token.role, token.owner)
            for name, token in draft.tokens.changed.items()
            if token is not None and token.revoked_at is not None and self.records.tokens.get(name) != token
        }

    def _leases_of(self, role: Role, name: str) -> list[str]:
        """The leases that a client has, or an exporter serves."""
        return [
            lease.name
            for lease in self.records.leases.values()
            if name == (lease.client if role is Role.CLIENT else lease.exporter)
            and role is not Role.ADMINISTRATOR
        ]

    def _show_exporter(self, name: str, exporter: Exporter | None) -> None:
        if exporter is not None:
            # It may have been heard of, or lost, while the store was writing.
            now = self.records.exporters.get(name)
            if now is not None:
                seen = [moment for moment in (now.last_seen, exporter.last_seen) if moment is not None]
                exporter = replace(exporter, last_seen=max(seen, default=None), lost_at=now.lost_at)
        _update(self.records.exporters, {name: exporter})

    def _show_lease(self, name: str, lease: Lease | None, before: Lease | None) -> None:
        if before is not None and before.exporter and self._holders.get(before.exporter) == name:
            del self._holders[before.exporter]
        if lease is None or lease.ended:
            self.records.leases.pop(name, None)
        else:
            # Whether somebody is there may have changed while the store was writing.
            unattended = before is not None and before.unattended
            if lease.unattended != unattended:
                lease = replace(lease, unattended=unattended)
            self.records.leases[name] = lease
            if lease.exporter is not None:
                self._holders[lease.exporter] = name
        self._recent.pop(name, None)
        if lease is not None and lease.ended:
            self._recent[name] = lease
            if len(self._recent) > RECENT:
                del self._recent[next(iter(self._recent))]


def identity_topic(role: Role, name: str) -> tuple[str, str]:
    """What tells that tokens of that identity were revoked."""
    return role.value, f"token of {name}"


def _update(records: dict[str, Any], changed: Mapping[str, Any]) -> None:
    for name, record in changed.items():
        if record is None:
            records.pop(name, None)
        else:
            records[name] = record


def _fail(pending: _Pending, error: Exception) -> None:
    if not pending.outcome.done():
        pending.outcome.set_exception(error)
