from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from jumpstarter_controller.model import (
    TRANSITIONS,
    Condition,
    ConditionType,
    InvalidRequest,
    Lease,
    LeaseSpec,
    LeaseState,
    LeaseTimes,
    Reason,
    WrongState,
    check_new_lease,
    with_condition,
)

from utest.jumpstarter_controller.labs import HOUR, MINUTE, NOW, lease

#: How each state is reached.
STEPS = {
    LeaseState.READY: lambda x: x.granted(NOW, "board", 0, False),
    LeaseState.RELEASED: lambda x: x.released(NOW),
    LeaseState.EXPIRED: lambda x: x.expired(NOW),
    LeaseState.UNSATISFIABLE: lambda x: x.refused(NOW, Reason.NO_ACCESS, "nobody may"),
    LeaseState.INVALID: lambda x: x.refused(NOW, Reason.INVALID_SELECTOR, "no selector"),
}


def in_state(state: LeaseState) -> Lease:
    waiting = lease("x", selector="a=b")
    return waiting if state is LeaseState.WAITING else STEPS[state](waiting)


@pytest.mark.parametrize("after", STEPS)
@pytest.mark.parametrize("before", LeaseState)
def test_a_lease_takes_the_steps_of_the_table_and_no_other(before: Any, after: Any) -> None:
    begun = in_state(before)
    if after in TRANSITIONS[before]:
        assert STEPS[after](begun).state is after
    else:
        with pytest.raises(WrongState, match=f"lease x is {before.value}, it cannot become {after.value}"):
            STEPS[after](begun)


def test_every_state_is_in_the_table_and_every_end_is_reached() -> None:
    assert set(TRANSITIONS) == set(LeaseState)
    ends = {state for state in LeaseState if state.ended}
    assert ends == set(LeaseState) - {LeaseState.WAITING, LeaseState.READY}
    assert TRANSITIONS[LeaseState.WAITING] >= ends


def conditions(x: Lease) -> list[tuple[str, bool, str]]:
    return [(c.type.value, c.status, c.reason.value) for c in x.conditions]


def test_conditions_are_those_that_stock_clients_read() -> None:
    waiting = lease("x", selector="a=b").waiting(NOW, Reason.OFFLINE, "none is online")
    ready = waiting.granted(NOW, "board", 3, True)
    assert conditions(ready) == [("Pending", True, "Offline"), ("Ready", True, "Ready")]
    assert conditions(ready.released(NOW))[-1] == ("Ready", False, "Released")
    assert conditions(ready.expired(NOW))[-1] == ("Ready", False, "Expired")
    assert conditions(waiting.released(NOW)) == [("Pending", True, "Offline"), ("Ready", False, "Released")]
    refused = waiting.refused(NOW, Reason.ALL_DISABLED, "all are disabled")
    assert conditions(refused)[-1] == ("Unsatisfiable", True, "AllDisabled")
    invalid = waiting.refused(NOW, Reason.INVALID_SELECTOR, "")
    assert conditions(invalid)[-1] == ("Invalid", True, "InvalidSelector")


def test_a_lease_that_expires_before_it_begins_tells_a_stock_client_to_stop() -> None:
    over = lease("x", selector="a=b", begin=NOW - HOUR, duration=HOUR).expired(NOW)
    assert conditions(over)[-1] == ("Unsatisfiable", True, "Expired")


def test_a_condition_keeps_its_place_and_its_time_while_its_status_stays() -> None:
    first = Condition(ConditionType.PENDING, True, Reason.OFFLINE, "", NOW)
    second = Condition(ConditionType.READY, True, Reason.READY, "", NOW)
    later = Condition(ConditionType.PENDING, True, Reason.NOT_READY, "m", NOW + HOUR)
    assert with_condition((first, second), later) == (replace(later, since=NOW), second)
    ended = replace(second, status=False, reason=Reason.RELEASED, since=NOW + HOUR)
    assert with_condition((first, second), ended) == (first, ended)


def test_a_lease_ends_at_its_end_or_its_duration_after_it_began() -> None:
    later = NOW + 5 * MINUTE
    assert lease("x", pin="b").expires_at is None
    assert lease("x", pin="b").granted(later, "b", 0, False).expires_at == later + HOUR
    scheduled = lease("x", pin="b", begin=NOW)
    assert scheduled.expires_at == NOW + HOUR
    assert scheduled.granted(later, "b", 0, False).expires_at == NOW + HOUR
    by_end = lease("x", pin="b", end=NOW + MINUTE)
    assert by_end.granted(later, "b", 0, False).expires_at == NOW + MINUTE
    warned = lease("x", pin="b").granted(later, "b", 0, True).warned(later + MINUTE)
    assert warned.expires_at == later + MINUTE


def test_taking_spot_access_back_is_said_to_its_holder() -> None:
    warned = lease("x", pin="b").granted(NOW, "b", 0, True).warned(NOW + MINUTE)
    assert "regular lease needs" in warned.expired(NOW + MINUTE).conditions[-1].message


def test_a_lease_is_transferred_while_it_is_ready() -> None:
    ready = in_state(LeaseState.READY)
    moved = ready.transferred("bert", 7, True)
    assert (moved.client, moved.priority, moved.spot) == ("bert", 7, True)
    assert moved.conditions == ready.conditions
    for state in set(LeaseState) - {LeaseState.READY}:
        with pytest.raises(WrongState, match="expected one that is ready"):
            in_state(state).transferred("bert", 0, False)


def test_regular_access_after_a_transfer_ends_the_notice() -> None:
    warned = lease("x", pin="b").granted(NOW, "b", 0, True).warned(NOW + MINUTE)
    assert warned.transferred("bert", 0, True).notice_at == NOW + MINUTE
    assert warned.transferred("bert", 0, False).notice_at is None


def test_a_lease_waits_since_it_could_have_begun() -> None:
    assert lease("x", pin="b", age=HOUR).waits_since == NOW - HOUR
    assert lease("x", pin="b", begin=NOW + HOUR).waits_since == NOW + HOUR
    assert lease("x", pin="b", begin=NOW - HOUR).waits_since == NOW


@pytest.mark.parametrize(
    ("name", "spec", "message"),
    [
        ("x", {}, "one of selector or exporter_name is required"),
        ("X", {"exporter_name": "b"}, "lease name 'X' is not valid"),
        ("", {"exporter_name": "b"}, "lease name '' is not valid"),
        ("a" * 254, {"exporter_name": "b"}, "lease name"),
        ("x", {"exporter_name": "b/c"}, "exporter name 'b/c' is not valid"),
        ("x", {"exporter_name": "b", "tags": {str(n): "" for n in range(11)}}, "11 tags are too many"),
        ("x", {"exporter_name": "b", "tags": {"a/b": "c"}}, "tag key 'a/b' is not valid"),
        ("x", {"exporter_name": "b", "tags": {"a": "b c"}}, "tag a='b c' is not valid"),
        ("x", {"exporter_name": "b", "context": {str(n): "" for n in range(9)}}, "9 entries of context"),
        ("x", {"exporter_name": "b", "context": {"k" * 33: ""}}, "context key .* 33 characters long"),
        ("x", {"exporter_name": "b", "context": {"k": "v" * 65}}, "context value .* 65 characters long"),
        ("x", {"exporter_name": "b", "context": {"": "v"}}, "a context key is empty"),
    ],
)
def test_what_no_lease_may_ask_for_is_refused_in_one_line(name: Any, spec: Any, message: Any) -> None:
    with pytest.raises(InvalidRequest, match=message) as refused:
        check_new_lease(name, LeaseSpec(times=LeaseTimes(timedelta(1)), **spec))
    assert "\n" not in str(refused.value)


def test_a_lease_may_have_what_stock_clients_send() -> None:
    spec = LeaseSpec(
        times=LeaseTimes(HOUR),
        exporter_name="board.lab-1",
        tags={"team": "alpha", "build_1": ""},
        context={"any key": "any value / at all"},
    )
    check_new_lease("019e4b5c-7a1b-7000-8000-000000000001", spec)
