"""A lab in miniature: acts, time and the scheduler's decisions, with the rules that must hold checked after each step.

The rules are written again here, one exporter and one lease at a time, as a reader of the documentation would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from jumpstarter.common.enums import ExporterStatus
from jumpstarter_controller.model import (
    AccessPolicy,
    Approval,
    Client,
    Exporter,
    Lease,
    LeaseState,
    find_approval,
)
from jumpstarter_controller.scheduling import Decisions, LabState, Rules, apply_decisions, schedule

from utest.jumpstarter_controller.labs import HOUR, MINUTE, NOW, client, exporter, lease

RULES = Rules(spot_notice=2 * MINUTE, patience=4 * HOUR)


@dataclass
class Lab:
    """The state of the lab, its clock, and who held what."""

    exporters: dict[str, Exporter]
    clients: dict[str, Client]
    policies: tuple[AccessPolicy, ...] = ()
    now: datetime = NOW
    leases: dict[str, Lease] = field(default_factory=dict)
    ended: dict[str, Lease] = field(default_factory=dict)
    check: bool = True
    _count: int = 0

    def state(self) -> LabState:
        boards = [replace(e, last_seen=self.now) if e.last_seen else e for e in self.exporters.values()]
        return LabState(boards, self.clients, list(self.leases.values()), self.policies, RULES)

    def ask(self, owner: str, **kw: object) -> str:
        """A new lease."""
        self._count += 1
        name = f"l{self._count}"
        self.leases[name] = replace(lease(name, owner, **kw), created_at=self.now)  # type: ignore[arg-type]
        return name

    def release(self, name: str) -> None:
        self.leases[name] = self.leases[name].released(self.now)
        self._sweep()

    def settle(self) -> Decisions:
        """Do what the scheduler decides; deciding again must not decide anything."""
        state = self.state()
        decisions = schedule(state, self.now)
        before = dict(self.leases)
        for changed in apply_decisions(state, decisions, self.now):
            self.leases[changed.name] = changed
        self._sweep()
        if self.check:
            again = schedule(self.state(), self.now)
            assert not (again.grants or again.expired or again.refusals or again.notices), again
            check_rules(self, before, decisions)
        return decisions

    def advance(self, to: datetime) -> None:
        """Let time pass, waking up whenever the scheduler asked for it."""
        while True:
            wake = self.settle().wake_at
            assert wake is None or wake > self.now
            if wake is None or wake > to:
                break
            self.now = wake
        self.now = to
        self.settle()

    def _sweep(self) -> None:
        for name in [name for name, x in self.leases.items() if x.ended]:
            self.ended[name] = self.leases.pop(name)


def approval(lab: Lab, x: Lease, board: Exporter) -> Approval | None:
    """How the lease may have the exporter, whatever that does now."""
    spec = x.spec
    if spec.exporter_name and spec.exporter_name != board.name:
        return None
    if not spec.selector.selects(board.labels) or x.client not in lab.clients:
        return None
    if not board.enabled and not (spec.exporter_name and spec.allow_disabled):
        return None
    return find_approval(lab.policies, lab.clients[x.client], board, spec.times.duration)


def is_up(board: Exporter) -> bool:
    return (
        board.devices is not None
        and board.last_seen is not None
        and board.status in (ExporterStatus.AVAILABLE, ExporterStatus.UNSPECIFIED)
    )


def rank(lab: Lab, x: Lease, how: Approval) -> tuple[int, float, datetime, str]:
    """The order in which waiters come to an exporter."""
    if how.spot:
        return (2, -how.priority, x.created_at, x.name)
    if lab.now - x.waits_since >= RULES.patience:
        return (0, x.waits_since.timestamp(), x.created_at, x.name)
    return (1, -how.priority, x.created_at, x.name)


def check_rules(lab: Lab, before: dict[str, Lease], decisions: Decisions) -> None:
    """Everything that must hold after each decision."""
    holders = [x.exporter for x in lab.leases.values() if x.state is LeaseState.READY]
    assert len(holders) == len(set(holders)), f"two holders: {holders}"
    _check_grants(lab, before, decisions)
    _check_order(lab, decisions, set(holders))
    _check_refusals(lab, before, decisions)
    _check_notices(lab, before, decisions)
    _check_ends(lab)
    waiting = {name for name, x in lab.leases.items() if x.state is LeaseState.WAITING}
    assert set(decisions.outlooks) == waiting


def _check_grants(lab: Lab, before: dict[str, Lease], decisions: Decisions) -> None:
    for grant in decisions.grants:
        board, x = lab.exporters[grant.exporter], before[grant.lease]
        assert x.state is LeaseState.WAITING and x.waits_since <= lab.now
        assert is_up(board)
        assert approval(lab, x, board) == Approval(grant.priority, grant.spot)


def _waiting(lab: Lab) -> Iterator[Lease]:
    return (x for x in lab.leases.values() if x.state is LeaseState.WAITING and x.waits_since <= lab.now)


def _check_order(lab: Lab, decisions: Decisions, holders: set[str | None]) -> None:
    """Nobody who waits comes before someone who was served, and no exporter that is wanted stays free.

    A place that is kept for a lease that begins later is the only excuse.
    """
    kept = any(x.waits_since > lab.now for x in lab.leases.values())
    for x in _waiting(lab):
        for board in lab.exporters.values():
            how = approval(lab, x, board)
            if how is None or not is_up(board):
                continue
            if board.name not in holders:
                assert kept, f"{board.name} is free and {x.name} waits for it"
                assert how.spot or decisions.outlooks[x.name].longest_free is not None
            for grant in decisions.grants:
                if grant.exporter == board.name and not kept:
                    served = Approval(grant.priority, grant.spot)
                    assert rank(lab, lab.leases[grant.lease], served) < rank(lab, x, how)


def _check_refusals(lab: Lab, before: dict[str, Lease], decisions: Decisions) -> None:
    refused = {refusal.lease for refusal in decisions.refusals}
    for name, x in before.items():
        if x.state is not LeaseState.WAITING or x.waits_since > lab.now or name in decisions.expired:
            assert name not in refused
            continue
        possible = any(approval(lab, x, board) is not None for board in lab.exporters.values())
        named = x.spec.exporter_name or x.spec.selector
        assert (name in refused) != bool(possible and named)


def _check_notices(lab: Lab, before: dict[str, Lease], decisions: Decisions) -> None:
    wanted_by = [notice.wanted_by for notice in decisions.notices]
    assert len(wanted_by) == len(set(wanted_by))
    for notice in decisions.notices:
        holder, wanting = before[notice.lease], lab.leases[notice.wanted_by]
        assert holder.spot and holder.state is LeaseState.READY and holder.notice_at is None
        assert notice.at == lab.now + RULES.spot_notice
        assert holder.exporter is not None and wanting.state is LeaseState.WAITING
        how = approval(lab, wanting, lab.exporters[holder.exporter])
        assert how is not None and not how.spot
    for x in lab.leases.values():
        assert x.notice_at is None or x.spot


def _check_ends(lab: Lab) -> None:
    for x in lab.leases.values():
        assert x.expires_at is None or x.expires_at > lab.now
    for x in lab.ended.values():
        if x.state is LeaseState.EXPIRED and x.begun_at is not None and x.notice_at is None:
            assert x.ended_at is not None and x.expires_at is not None and x.ended_at >= x.expires_at


Act = tuple[int, int, int, int]

LABELS = ({"kind": "x"}, {"kind": "x", "fast": ""}, {"kind": "y"}, {"kind": "y", "rack": "1"})
STATUSES = (
    ExporterStatus.AVAILABLE,
    ExporterStatus.UNSPECIFIED,
    ExporterStatus.AFTER_LEASE_HOOK,
    ExporterStatus.OFFLINE,
    ExporterStatus.BEFORE_LEASE_HOOK_FAILED,
)
SELECTORS = ("kind=x", "kind=y", "kind in (x,y)", "fast", "!fast", "kind!=y", "kind=z")
DURATIONS = tuple(minutes * MINUTE for minutes in (1, 10, 60, 300))


def make_lab(boards: int, policies: tuple[AccessPolicy, ...]) -> Lab:
    exporters = {f"b{n}": exporter(f"b{n}", dict(LABELS[n])) for n in range(boards)}
    return Lab(exporters, {f"c{n}": client(f"c{n}", team=f"t{n}") for n in range(3)}, policies)


def _ask(lab: Lab, who: int, what: int, how: int) -> None:
    duration = DURATIONS[how % 4]
    begin = lab.now + (how // 4 % 4) * 20 * MINUTE if how & 32 else None
    if what < len(SELECTORS):
        lab.ask(f"c{who % 3}", selector=SELECTORS[what], duration=duration, begin=begin)
    else:
        pin = f"b{what - len(SELECTORS)}"
        lab.ask(f"c{who % 3}", pin=pin, duration=duration, begin=begin, allow_disabled=bool(how & 64))


def _release(lab: Lab, who: int, what: int, how: int) -> None:
    if lab.leases:
        lab.release(sorted(lab.leases)[(who + what) % len(lab.leases)])


def _wait(lab: Lab, who: int, what: int, how: int) -> None:
    lab.advance(lab.now + (1 + how) * timedelta(seconds=37 if who % 2 else 311))


def _change_board(lab: Lab, who: int, what: int, how: int) -> None:
    name = f"b{what % len(lab.exporters)}"
    board = lab.exporters[name]
    if who % 4 == 0:
        board = replace(board, enabled=not board.enabled)
    elif who % 4 == 1:
        board = replace(board, devices=None if board.registered else ())
    else:
        board = replace(board, status=STATUSES[how % 5])
    lab.exporters[name] = board


def _retime(lab: Lab, who: int, what: int, how: int) -> None:
    ready = sorted(name for name, x in lab.leases.items() if x.state is LeaseState.READY)
    if ready:
        x = lab.leases[ready[who % len(ready)]]
        times = replace(x.spec.times, duration=DURATIONS[how % 4], end=None)
        lab.leases[x.name] = x.retimed(times)


ACTS: tuple[Callable[[Lab, int, int, int], None], ...] = (
    _ask,
    _ask,
    _ask,
    _ask,
    _wait,
    _wait,
    _release,
    _change_board,
    _change_board,
    _retime,
)


def play(lab: Lab, acts: list[Act]) -> None:
    for kind, who, what, how in acts:
        ACTS[kind](lab, who, what, how)
        lab.settle()
