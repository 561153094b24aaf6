"""The scheduler by example; test_histories.py has the rules that always hold."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from types import FrameType
from typing import Any

import pytest
from jumpstarter.common.enums import ExporterStatus
from jumpstarter_controller.model import OFFLINE_AFTER, AccessPolicy, Exporter, Lease, LeaseState, Reason
from jumpstarter_controller.scheduling import (
    Decisions,
    Grant,
    LabState,
    Notice,
    Rules,
    apply_decisions,
    schedule,
)

from utest.jumpstarter_controller.labs import HOUR, MINUTE, NOW, client, exporter, lease, policy, rule

CLIENTS = {
    "anna": client("anna", team="a"),
    "bert": client("bert", team="b"),
    "carl": client("carl", team="c"),
}
NOTICE = Rules().spot_notice


def lab(exporters: list[Exporter], leases: list[Lease], *policies: AccessPolicy) -> LabState:
    return LabState(exporters, CLIENTS, leases, policies)


def held(
    name: str, board: str, owner: str = "anna", *, spot: bool = False, since: datetime = NOW, **kw: Any
) -> Lease:
    return lease(name, owner, pin=board, **kw).granted(since, board, 0, spot)


def granted(decisions: Decisions) -> dict[str, str]:
    return {grant.lease: grant.exporter for grant in decisions.grants}


X = [exporter("x1", {"kind": "x"}), exporter("x2", {"kind": "x"})]


def test_a_waiter_gets_the_first_exporter_that_is_free() -> None:
    decisions = schedule(lab(X, [held("h", "x1"), lease("w", selector="kind=x")]), NOW)
    assert decisions.grants == (Grant("w", "x2", 0, False),)
    assert not decisions.outlooks


@pytest.mark.parametrize(
    ("exporters", "waiter", "reason", "message"),
    [
        ([], {"pin": "x1"}, Reason.EXPORTER_NOT_FOUND, "there is no exporter x1"),
        (
            X,
            {"pin": "x1", "selector": "kind=y"},
            Reason.SELECTOR_MISMATCH,
            "x1 does not match selector kind=y",
        ),
        ([replace(X[0], enabled=False)], {"pin": "x1"}, Reason.EXPORTER_DISABLED, "x1 is disabled"),
        (
            [replace(X[0], enabled=False)],
            {"selector": "kind=x"},
            Reason.ALL_DISABLED,
            "all 1 exporters .* x1",
        ),
        (X, {"selector": "kind=y"}, Reason.NO_ACCESS, "no exporter matches selector kind=y"),
        (X, {"selector": ""}, Reason.INVALID_SELECTOR, "neither a selector nor an exporter name"),
        (X, {"selector": "kind=x", "owner": "dora"}, Reason.NO_ACCESS, "client dora does not exist any more"),
    ],
)
def test_what_cannot_be_served_is_refused_with_the_reason(
    exporters: Any, waiter: Any, reason: Any, message: Any
) -> None:
    decisions = schedule(lab(exporters, [lease("w", **waiter)]), NOW)
    (refusal,) = decisions.refusals
    assert refusal.reason is reason
    assert re.search(message, refusal.message)
    assert not decisions.grants and not decisions.outlooks


def test_policies_refuse_with_the_description_or_the_longest_time() -> None:
    policies = (
        policy("p", "kind=x", rule("team=a", maximum_duration=HOUR, description="team a, short runs")),
    )
    leases = [lease("long", "anna", "kind=x", duration=2 * HOUR), lease("other", "bert", "kind=x")]
    decisions = schedule(lab(X, leases, *policies), NOW)
    messages = {refusal.lease: refusal.message for refusal in decisions.refusals}
    assert {refusal.reason for refusal in decisions.refusals} == {Reason.NO_ACCESS}
    assert "2h is longer than the 1h" in messages["long"]
    assert "client bert use any of the 2 matching exporters (team a, short runs)" in messages["other"]


def test_a_disabled_exporter_is_leased_by_name_only_when_that_is_asked_for() -> None:
    board = replace(X[0], enabled=False)
    decisions = schedule(lab([board, X[1]], [lease("w", pin="x1", allow_disabled=True)]), NOW)
    assert granted(decisions) == {"w": "x1"}
    selected = schedule(
        lab([board], [lease("w", selector="kind=x", allow_disabled=True)]),
        NOW,
    )
    assert selected.refusals[0].reason is Reason.ALL_DISABLED


def test_waiter_is_told_which_boards_are_offline_while_it_waits_for_others() -> None:
    away = replace(X[1], lost_at=NOW)
    decisions = schedule(lab([X[0], away], [held("h", "x1"), lease("w", selector="kind=x")]), NOW)
    assert not decisions.grants
    assert decisions.outlooks["w"].message == "leased: exporter x1; offline: exporter x2"


def test_waiter_whose_client_has_gone_gets_nothing_and_keeps_its_place() -> None:
    waits = replace(lease("w", selector="kind=x", age=MINUTE), claims=frozenset({"c"}))
    gone, later = replace(waits, unattended=True), lease("later", selector="kind=x")
    assert granted(schedule(lab([X[0]], [gone, later]), NOW)) == {"later": "x1"}
    assert granted(schedule(lab([X[0]], [waits, later]), NOW)) == {"w": "x1"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"devices": None}, Reason.OFFLINE),
        ({"last_seen": None}, Reason.OFFLINE),
        ({"last_seen": NOW - OFFLINE_AFTER - MINUTE}, Reason.OFFLINE),
        ({"status": ExporterStatus.OFFLINE}, Reason.OFFLINE),
        ({"lost_at": NOW}, Reason.OFFLINE),
        ({"status": ExporterStatus.AFTER_LEASE_HOOK}, Reason.NOT_READY),
        ({"status": ExporterStatus.LEASE_READY}, Reason.NOT_READY),
        ({"status": ExporterStatus.BEFORE_LEASE_HOOK_FAILED}, Reason.NOT_READY),
    ],
)
def test_an_exporter_that_is_offline_or_not_ready_is_waited_for(changes: Any, reason: Any) -> None:
    decisions = schedule(lab([replace(X[0], **changes)], [lease("w", selector="kind=x")]), NOW)
    assert not decisions.grants and not decisions.refusals
    outlook = decisions.outlooks["w"]
    assert outlook.reason is reason and "exporter x1" in outlook.message
    assert (outlook.estimate is None) == (reason is Reason.OFFLINE)


def test_an_old_exporter_that_never_reports_its_status_is_ready() -> None:
    board = replace(X[0], status=ExporterStatus.UNSPECIFIED)
    assert granted(schedule(lab([board], [lease("w", selector="kind=x")]), NOW)) == {"w": "x1"}


def test_priority_goes_before_age_and_age_before_name() -> None:
    policies = (policy("p", "", rule("team=a", priority=1), rule("", priority=0)),)
    leases = [
        lease("b", "bert", "kind=x", age=2 * HOUR),
        lease("a", "carl", "kind=x", age=HOUR),
        lease("c", "anna", "kind=x"),
        lease("d", "anna", "kind=x"),
    ]
    decisions = schedule(lab(X, leases, *policies), NOW)
    assert granted(decisions) == {"c": "x1", "d": "x2"}
    assert [decisions.outlooks[name].position for name in ("b", "a")] == [1, 2]


def test_priority_is_that_on_the_exporter_that_becomes_free() -> None:
    policies = (
        policy("p", "kind=x", rule("team=a", priority=0), rule("team=b", priority=5)),
        policy("q", "kind=y", rule("team=a", priority=9)),
    )
    both = lease("both", "anna", "kind in (x,y)", age=HOUR)
    boards = [X[0], exporter("y1", {"kind": "y"})]
    leases = [both, lease("only-x", "bert", "kind=x"), held("h", "y1", "carl")]
    assert granted(schedule(lab(boards, leases, *policies), NOW)) == {"only-x": "x1"}


def test_a_waiter_that_nobody_can_serve_holds_nobody_up() -> None:
    leases = [
        held("h", "x1"),
        lease("first", pin="x1", age=HOUR),
        lease("second", selector="kind=x"),
    ]
    assert granted(schedule(lab(X, leases), NOW)) == {"second": "x2"}


def test_exporters_asked_for_by_name_are_given_to_others_last() -> None:
    leases = [lease("any", selector="kind=x", age=HOUR), lease("that", pin="x1")]
    assert granted(schedule(lab(X, leases), NOW)) == {"any": "x2", "that": "x1"}


def test_whoever_lost_patience_goes_before_all_priorities() -> None:
    policies = (policy("p", "", rule("team=a", priority=9), rule("", priority=0)),)
    leases = [lease("high", "anna", "kind=x", age=HOUR), lease("old", "bert", "kind=x", age=24 * HOUR)]
    assert granted(schedule(lab(X[:1], leases, *policies), NOW)) == {"old": "x1"}


def test_losing_patience_is_a_moment_to_wake_up_for() -> None:
    policies = (policy("p", "", rule("team=a", priority=9), rule("", priority=0)),)
    leases = [
        lease("kept", "anna", pin="x1", begin=NOW + 30 * HOUR),
        lease("long", "bert", pin="x1", duration=40 * HOUR),
    ]
    state = lab(X, leases, *policies)
    decisions = schedule(state, NOW)
    assert not decisions.grants and decisions.wake_at == NOW + 24 * HOUR
    boards = [replace(board, last_seen=decisions.wake_at) for board in X]
    assert granted(schedule(replace(state, exporters=boards), decisions.wake_at)) == {"long": "x1"}


def test_a_lease_expires_and_frees_its_exporter_at_once() -> None:
    leases = [held("h", "x1", since=NOW - HOUR), lease("w", pin="x1", age=MINUTE)]
    state = lab(X, leases)
    decisions = schedule(state, NOW)
    assert decisions.expired == ("h",) and granted(decisions) == {"w": "x1"}
    changed = apply_decisions(state, decisions, NOW)
    assert [(x.name, x.state) for x in changed] == [("h", LeaseState.EXPIRED), ("w", LeaseState.READY)]


def test_a_lease_stays_when_its_exporter_goes_away_and_ends_in_its_time() -> None:
    leases = [held("h", "gone", since=NOW - MINUTE), held("i", "x1")]
    offline = [replace(X[0], devices=None, status=ExporterStatus.OFFLINE)]
    assert schedule(lab(offline, leases), NOW + HOUR - 2 * MINUTE).expired == ()
    assert schedule(lab(offline, leases), NOW).wake_at == NOW + HOUR - MINUTE
    assert schedule(lab(offline, leases), NOW + HOUR).expired == ("h", "i")


def test_a_window_that_is_past_ends_the_waiter() -> None:
    leases = [held("h", "x1", since=NOW - MINUTE), lease("w", pin="x1", begin=NOW - HOUR)]
    assert schedule(lab(X, leases), NOW).expired == ("w",)


def test_a_lease_that_begins_later_waits_for_its_time() -> None:
    state = lab(X, [lease("w", pin="x1", begin=NOW + HOUR)])
    decisions = schedule(state, NOW)
    assert not decisions.grants and decisions.wake_at == NOW + HOUR
    outlook = decisions.outlooks["w"]
    assert (outlook.reason, outlook.position, outlook.estimate) == (None, 0, NOW + HOUR)
    assert apply_decisions(state, decisions, NOW) == ()
    boards = [replace(board, last_seen=NOW + HOUR) for board in X]
    assert granted(schedule(replace(state, exporters=boards), NOW + HOUR)) == {"w": "x1"}


def test_a_lease_that_begins_later_is_not_refused_before_its_time() -> None:
    state = lab([], [lease("w", pin="x1", begin=NOW + HOUR)])
    decisions = schedule(state, NOW)
    assert decisions.refusals == () and decisions.wake_at == NOW + HOUR
    assert decisions.outlooks["w"].estimate is None
    assert schedule(state, NOW + HOUR).refusals[0].reason is Reason.EXPORTER_NOT_FOUND


def test_a_place_is_kept_for_a_lease_that_begins_later() -> None:
    scheduled = lease("s", pin="x1", begin=NOW + HOUR, age=MINUTE)
    long, short = (
        lease("long", pin="x1", duration=2 * HOUR),
        lease("short", pin="x1", duration=HOUR / 2),
    )
    decisions = schedule(lab(X, [scheduled, long]), NOW)
    assert not decisions.grants
    outlook = decisions.outlooks["long"]
    assert outlook.longest_free == HOUR and outlook.estimate == NOW + 2 * HOUR
    assert outlook.reason is Reason.NOT_AVAILABLE and "reserved" in outlook.message
    assert granted(schedule(lab(X, [scheduled, long, short]), NOW)) == {"short": "x1"}


def test_whoever_comes_before_is_not_held_up_by_a_lease_that_begins_later() -> None:
    leases = [
        lease("s", pin="x1", begin=NOW + HOUR),
        lease("long", pin="x1", duration=2 * HOUR, age=MINUTE),
    ]
    assert granted(schedule(lab(X, leases), NOW)) == {"long": "x1"}


def test_the_place_of_a_later_lease_is_where_its_holder_has_left_by_then() -> None:
    leases = [
        held("h", "x1", duration=HOUR),
        held("i", "x2", duration=3 * HOUR),
        lease("s", selector="kind=x", begin=NOW + HOUR, age=MINUTE),
    ]
    assert schedule(lab(X, leases), NOW).outlooks["s"].estimate == NOW + HOUR
    early = [*leases[:2], lease("s", selector="kind=x", begin=NOW + HOUR / 2, age=MINUTE)]
    assert schedule(lab(X, early), NOW).outlooks["s"].estimate is None


def test_a_place_can_be_kept_behind_whoever_begins_now() -> None:
    leases = [
        lease("first", pin="x2", begin=NOW + HOUR, age=2 * MINUTE),
        lease("now", pin="x1", age=MINUTE),
        lease("s", pin="x1", begin=NOW + 2 * HOUR),
    ]
    decisions = schedule(lab(X, leases), NOW)
    assert granted(decisions) == {"now": "x1"}
    assert decisions.outlooks["s"].estimate == NOW + 2 * HOUR


SPOT = policy("p", "", rule("team=a", priority=1), rule("team in (b,c)", spot_access=True))


def test_spot_access_is_granted_on_what_is_idle() -> None:
    leases = [lease("s", "bert", "kind=x", age=HOUR), lease("w", "anna", "kind=x")]
    decisions = schedule(lab(X, leases, SPOT), NOW)
    assert decisions.grants == (Grant("w", "x1", 1, False), Grant("s", "x2", 0, True))
    assert granted(schedule(lab(X[:1], leases, SPOT), NOW)) == {"w": "x1"}


def test_spot_access_is_granted_before_a_kept_place_but_not_within_the_notice() -> None:
    spot = lease("s", "bert", pin="x1", duration=9 * HOUR)
    for begin, expected in ((NOW + HOUR, {"s": "x1"}), (NOW + NOTICE / 2, {})):
        leases = [lease("later", "anna", pin="x1", begin=begin), spot]
        assert granted(schedule(lab(X, leases, SPOT), NOW)) == expected


def test_spot_access_is_taken_back_with_notice_when_a_regular_waiter_needs_it() -> None:
    leases = [held("s", "x1", "bert", spot=True), lease("w", "anna", "kind=x")]
    state = lab(X[:1], leases, SPOT)
    decisions = schedule(state, NOW)
    assert decisions.notices == (Notice("s", NOW + NOTICE, "w"),)
    assert decisions.wake_at == NOW + NOTICE
    assert decisions.outlooks["w"].estimate == NOW + NOTICE
    after = [*apply_decisions(state, decisions, NOW)]
    again = schedule(replace(state, leases=after), NOW)
    assert not again.notices and not again.grants
    ended = schedule(replace(state, leases=after), NOW + NOTICE)
    assert ended.expired == ("s",) and granted(ended) == {"w": "x1"}


def test_spot_access_is_not_taken_back_for_other_spot_waiters() -> None:
    leases = [held("s", "x1", "bert", spot=True), lease("w", "carl", "kind=x")]
    decisions = schedule(lab(X[:1], leases, SPOT), NOW)
    assert not decisions.notices
    assert decisions.outlooks["w"].estimate is None


def test_one_waiter_takes_one_exporter_back_the_least_and_youngest_first() -> None:
    leases = [
        held("old", "x1", "bert", spot=True, since=NOW - MINUTE),
        held("young", "x2", "carl", spot=True),
        lease("w", "anna", "kind=x"),
    ]
    assert [n.lease for n in schedule(lab(X, leases, SPOT), NOW).notices] == ["young"]


def test_a_waiter_with_several_priorities_takes_one_exporter_back() -> None:
    leases = [
        held("s", "x1", "bert", spot=True),
        held("t", "y1", "bert", spot=True),
        lease("w", "anna", "kind in (x,y)"),
    ]
    higher = policy("q", "kind=y", rule("team=a", priority=7))
    decisions = schedule(lab([X[0], exporter("y1", {"kind": "y"})], leases, SPOT, higher), NOW)
    assert [notice.lease for notice in decisions.notices] == ["t"]


@pytest.mark.parametrize("other", ["tidying up", "ending soon"])
def test_nothing_is_taken_back_when_another_exporter_comes_free_in_time(other: Any) -> None:
    leases = [held("s", "x1", "bert", spot=True), lease("w", "anna", "kind=x")]
    boards = [X[0], replace(X[1], status=ExporterStatus.AFTER_LEASE_HOOK)]
    if other == "ending soon":
        boards = X
        leases.append(held("h", "x2", since=NOW - HOUR + NOTICE / 2))
    assert not schedule(lab(boards, leases, SPOT), NOW).notices


def test_spot_access_is_taken_back_in_time_for_a_lease_that_begins_later() -> None:
    begin = NOW + HOUR
    leases = [
        held("s", "x1", "bert", spot=True, duration=3 * HOUR),
        lease("w", "anna", "kind=x", begin=begin),
    ]
    state = lab(X[:1], leases, SPOT)
    first = schedule(state, NOW)
    assert not first.notices and first.wake_at == begin - NOTICE
    board = replace(X[0], last_seen=begin)
    later = schedule(replace(state, exporters=[board]), begin - NOTICE)
    assert later.notices == (Notice("s", begin, "w"),)


def test_what_comes_free_in_time_helps_one_waiter() -> None:
    boards = [X[0], replace(X[1], status=ExporterStatus.AFTER_LEASE_HOOK)]
    leases = [
        held("s", "x1", "bert", spot=True),
        lease("v", "anna", "kind=x", age=MINUTE),
        lease("w", "anna", "kind=x"),
    ]
    assert [n.wanted_by for n in schedule(lab(boards, leases, SPOT), NOW).notices] == ["w"]


def test_an_offline_exporter_is_not_taken_back() -> None:
    board = replace(X[0], status=ExporterStatus.OFFLINE)
    leases = [held("s", "x1", "bert", spot=True), lease("w", "anna", "kind=x")]
    assert not schedule(lab([board], leases, SPOT), NOW).notices


def test_estimates_follow_the_line() -> None:
    leases = [
        held("h", "x1", duration=HOUR),
        held("i", "x2", duration=2 * HOUR),
        lease("a", selector="kind=x", age=3 * MINUTE, duration=3 * HOUR),
        lease("b", selector="kind=x", age=2 * MINUTE),
        lease("c", selector="kind=x", age=MINUTE),
        lease("d", pin="x1"),
    ]
    outlooks = schedule(lab(X, leases), NOW).outlooks
    assert [outlooks[name].estimate for name in "abcd"] == [NOW + n * HOUR for n in (1, 2, 3, 4)]
    assert [outlooks[name].position for name in "abcd"] == [1, 2, 3, 4]


def test_there_is_no_estimate_for_a_window_that_is_over_by_then() -> None:
    leases = [held("h", "x1", duration=2 * HOUR), lease("w", pin="x1", begin=NOW)]
    assert schedule(lab(X, leases), NOW).outlooks["w"].estimate is None


def test_the_queue_is_that_of_the_same_exporters() -> None:
    boards = [*X, exporter("y1", {"kind": "y"})]
    leases = [
        *(held(f"h-{board.name}", board.name) for board in boards),
        lease("a", selector="kind=x", age=MINUTE),
        lease("b", pin="y1"),
        lease("c", pin="x2"),
    ]
    outlooks = schedule(lab(boards, leases), NOW).outlooks
    assert [outlooks[name].position for name in "abc"] == [1, 1, 2]


def test_an_outlook_is_one_line() -> None:
    leases = [held("h", "x1"), lease("w", pin="x1")]
    outlook = schedule(lab(X, leases), NOW).outlooks["w"]
    assert outlook.describe(NOW) == "leased: exporter x1, number 1 in the queue, expected in 1h at the latest"


def test_a_waiter_is_written_again_only_when_its_reason_changes() -> None:
    holder = held("h", "x1")
    state = lab(X, [holder, lease("w", pin="x1")])
    (waiter,) = apply_decisions(state, schedule(state, NOW), NOW)
    assert waiter.conditions[-1].reason is Reason.NOT_AVAILABLE
    state = replace(state, leases=[holder, waiter])
    assert apply_decisions(state, schedule(state, NOW), NOW) == ()
    offline = replace(state, exporters=[replace(X[0], devices=None)])
    (changed,) = apply_decisions(offline, schedule(offline, NOW), NOW)
    assert changed.conditions[-1].reason is Reason.OFFLINE


def crowd(number: int) -> LabState:
    """As many boards, all held, and as many waiters."""
    boards = [exporter(f"b{n:04}", {"kind": f"k{n % 50}", "rack": str(n % 9)}) for n in range(number)]
    leases = [held(f"h{n}", board.name, spot=n % 5 == 0) for n, board in enumerate(boards)]
    leases += [
        lease(f"w{n}", "anna", f"kind in (k{n % 50},k{n % 47})", age=n * timedelta(seconds=1))
        for n in range(number)
    ]
    return lab(boards, leases, SPOT)


def work_of(number: int) -> int:
    """How many functions are called, Python's own included, to schedule a crowd."""
    state, calls = crowd(number), 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        decisions = schedule(state, NOW)
    finally:
        sys.setprofile(None)
    assert len(decisions.outlooks) == number
    return calls


def test_the_work_grows_with_the_number_of_waiters_and_exporters_not_with_their_pairs() -> None:
    assert work_of(1000) < 3 * work_of(500)
