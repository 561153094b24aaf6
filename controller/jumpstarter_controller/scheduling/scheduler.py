"""The scheduler: a pure function from the state of the lab and the time to what is to be done.

What holds:

- An exporter has one holder at most, and only one that may have it: it matches, is enabled (or was asked for by name with
  *allow_disabled*), is online and ready, and an access policy approves the client and the duration.
- For each exporter that becomes free, the waiter with the highest priority there goes first, then the oldest. A waiter
  that nobody can serve now holds nobody up.
- A waiter whose client has gone gets nothing, and keeps its place for when the client is back.
- Whoever has waited for longer than the lab's patience goes before all priorities, the oldest first. As leases end, hence
  everyone with regular access gets an exporter.
- A lease that begins later is given a place as if its turn came now, and keeps it clear of those who come after it in
  the same order. Those before it are not held up by it.
- Spot access is granted on what no regular waiter can use, and taken back, with notice, when a regular one needs it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from jumpstarter_controller.model import Lease, LeaseState

from .access import AccessIndex, Level
from .board import Boards
from .decisions import Decisions, LabState, Refusal
from .forecast import look_ahead
from .reasons import find_targets, refuse_access
from .spot import take_back
from .turns import Turn, Waiter, grant_in_turn


def schedule(state: LabState, now: datetime) -> Decisions:
    """What is to be done at *now*. Deciding again after doing it decides nothing new."""
    boards = Boards(state, now)
    expired = _expire(state.leases, boards, now)
    access = AccessIndex(state.policies, boards.labels)
    waiters: list[Waiter] = []
    refusals: list[Refusal] = []
    for lease in state.leases:
        if lease.state is not LeaseState.WAITING or lease.name in expired or lease.abandoned:
            continue
        found = _admit(lease, boards, access, state)
        if isinstance(found, Waiter):
            waiters.append(found)
        elif lease.waits_since <= now:
            refusals.append(found)
        else:
            # Whoever begins later may find an exporter then that is not there yet.
            waiters.append(Waiter(lease, ()))
    turns = _turns(waiters, state, now)
    grants, places = grant_in_turn(turns, boards, state.rules, now)
    served = {grant.lease for grant in grants}
    remaining = [turn for turn in turns if turn.waiter.lease.name not in served]
    notices = take_back(remaining, places, boards, state, now)
    # Each waiter once, at its first turn; those that have none yet come last.
    line = {turn.waiter.lease.name: turn.waiter for turn in remaining}
    line |= {waiter.lease.name: waiter for waiter in waiters if not waiter.levels}
    outlooks = look_ahead(line.values(), places, boards, state.rules, now)
    wake_at = _next_change(state, boards, [waiter.lease for waiter in line.values()], now)
    return Decisions(tuple(expired), tuple(refusals), grants, notices, outlooks, wake_at)


def _expire(leases: Iterable[Lease], boards: Boards, now: datetime) -> dict[str, None]:
    expired: dict[str, None] = {}
    for lease in leases:
        end = lease.expires_at
        if end is not None and end <= now:
            expired[lease.name] = None
            number = boards.numbers.get(lease.exporter or "")
            if number is not None:
                boards.let_go(number)
    return expired


def _admit(lease: Lease, boards: Boards, access: AccessIndex, state: LabState) -> Waiter | Refusal:
    """The lease as a waiter, with what it may have, or why it may have nothing."""
    targets = find_targets(lease, boards)
    if isinstance(targets, Refusal):
        return targets
    client = state.clients.get(lease.client)
    levels: tuple[Level, ...] = ()
    if client is not None:
        found = access.levels(client, lease.spec.times.duration)
        levels = tuple(
            Level(level.priority, level.spot, level.exporters & targets)
            for level in found
            if level.exporters & targets
        )
    if not levels:
        return refuse_access(lease, client, targets, access, state)
    return Waiter(lease, levels)


def _turns(waiters: Iterable[Waiter], state: LabState, now: datetime) -> list[Turn]:
    """Everyone's turns: the overdue by how long they wait, the others by priority and age, spot access last."""
    turns = []
    for waiter in waiters:
        lease = waiter.lease
        age, since = lease.created_at.timestamp(), lease.waits_since
        overdue = now - since >= state.rules.patience
        order: tuple[int, float, float, str]
        for level in waiter.levels:
            if level.spot:
                order = (2, -level.priority, age, lease.name)
            elif overdue:
                order = (0, since.timestamp(), age, lease.name)
            else:
                order = (1, -level.priority, age, lease.name)
            turns.append(Turn(order, waiter, level))
    turns.sort(key=lambda turn: turn.order)
    return turns


def _next_change(state: LabState, boards: Boards, waiting: Iterable[Lease], now: datetime) -> datetime | None:
    """The first moment after *now* at which time alone changes something."""
    moments: list[datetime | None] = [lease.expires_at for lease in boards.holders.values()]
    moments += [lease.expires_at for lease in state.leases if lease.exporter not in boards.numbers]
    spot = any(lease.spot for lease in boards.holders.values())
    for lease in waiting:
        since = lease.waits_since
        if since > now:
            moments.append(since)
            if spot:
                moments.append(since - state.rules.spot_notice)
        else:
            moments.append(since + state.rules.patience)
    return min((moment for moment in moments if moment is not None and moment > now), default=None)
