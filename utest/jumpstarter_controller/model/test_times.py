from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from jumpstarter_controller.model import (
    InvalidRequest,
    LeaseTimes,
    TimeChange,
    WrongState,
    check_update_mask,
    resolve_times,
    update_times,
)

T = datetime(2026, 3, 1, 12, tzinfo=UTC)
H = timedelta(hours=1)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((None, H, None), LeaseTimes(H)),
        ((T, H, None), LeaseTimes(H, T)),
        ((T, None, T + H), LeaseTimes(H, T, T + H)),
        ((None, H, T + H), LeaseTimes(H, T, T + H)),
        ((T, H, T + H), LeaseTimes(H, T, T + H)),
    ],
)
def test_times_are_made_whole(given: Any, expected: Any) -> None:
    assert resolve_times(*given) == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((None, None, None), "duration required"),
        ((T, None, None), "duration required"),
        ((None, None, T), "duration required"),
        ((T, 2 * H, T + H), "contradict one another"),
        ((None, timedelta(0), None), "duration must be positive, got 0s"),
        ((None, -H, None), "duration must be positive, got -1h"),
        ((T, None, T - H), "duration must be positive"),
        ((T, None, T), "duration must be positive"),
        ((None, timedelta(days=40000), None), "at most 100 years"),
        ((None, timedelta(days=36000), datetime(2, 1, 1, tzinfo=UTC)), "out of the calendar"),
        ((datetime(9999, 1, 1, tzinfo=UTC), timedelta(days=400), None), "out of the calendar"),
    ],
)
def test_times_that_cannot_be_are_refused_in_one_line(given: Any, message: Any) -> None:
    with pytest.raises(InvalidRequest, match=message) as refused:
        resolve_times(*given)
    assert "\n" not in str(refused.value)


def test_the_window_ends_where_it_is_said_or_follows() -> None:
    assert LeaseTimes(H).window_end is None
    assert LeaseTimes(H, T).window_end == T + H
    assert LeaseTimes(H, T, T + 2 * H).window_end == T + 2 * H


FLEXIBLE = LeaseTimes(H)
SCHEDULED = LeaseTimes(H, T)
FIXED = LeaseTimes(H, T, T + H)


@pytest.mark.parametrize(
    ("stored", "asked", "expected"),
    [
        (FLEXIBLE, (T, None, None), SCHEDULED),
        (FLEXIBLE, (None, None, T + H), FIXED),
        (FLEXIBLE, (None, 2 * H, None), LeaseTimes(2 * H)),
        (SCHEDULED, (T + H, None, None), LeaseTimes(H, T + H)),
        (SCHEDULED, (None, None, T + 3 * H), LeaseTimes(3 * H, T, T + 3 * H)),
        (SCHEDULED, (None, 2 * H, None), LeaseTimes(2 * H, T)),
        (FIXED, (None, 2 * H, None), LeaseTimes(2 * H, T, T + 2 * H)),
        (FIXED, (T + H, None, None), LeaseTimes(H, T + H, T + 2 * H)),
        (FIXED, (None, 2 * H, T + 3 * H), LeaseTimes(2 * H, T + H, T + 3 * H)),
        (FIXED, (T - H, None, T + H), LeaseTimes(2 * H, T - H, T + H)),
        (FIXED, (T + H, 2 * H, None), LeaseTimes(2 * H, T + H, T + 3 * H)),
        (FIXED, (None, None, None), FIXED),
    ],
)
def test_an_update_of_a_waiting_lease_goes_together_with_what_is_stored(
    stored: Any, asked: Any, expected: Any
) -> None:
    assert update_times(stored, TimeChange.asked(*asked), None) == expected


@pytest.mark.parametrize(
    ("stored", "asked", "expected"),
    [
        (FLEXIBLE, (None, 2 * H, None), LeaseTimes(2 * H)),
        (FLEXIBLE, (None, None, T + 3 * H), LeaseTimes(3 * H, T, T + 3 * H)),
        (FLEXIBLE, (None, 2 * H, T + 2 * H), LeaseTimes(2 * H, T, T + 2 * H)),
        (SCHEDULED, (T, 2 * H, None), LeaseTimes(2 * H, T)),
        (FIXED, (None, timedelta(minutes=5), None), LeaseTimes(H / 12, T, T + H / 12)),
        (FIXED, (None, None, T + 2 * H), LeaseTimes(2 * H, T, T + 2 * H)),
    ],
)
def test_a_lease_that_has_begun_is_extended_and_shortened(stored: Any, asked: Any, expected: Any) -> None:
    assert update_times(stored, TimeChange.asked(*asked), T) == expected


def test_the_begin_of_a_lease_that_has_begun_stays() -> None:
    with pytest.raises(
        WrongState, match="begin time cannot change, the lease has begun at 2026-03-01T12:00:00"
    ):
        update_times(SCHEDULED, TimeChange.asked(T + H, None, None), T)
    with pytest.raises(InvalidRequest, match="contradict"):
        update_times(FLEXIBLE, TimeChange.asked(None, 2 * H, T + H), T)


def test_only_what_the_mask_names_changes() -> None:
    change = TimeChange.asked(T + H, 2 * H, None, ["duration", "client"])
    assert update_times(SCHEDULED, change, None) == LeaseTimes(2 * H, T)


def test_what_the_mask_names_and_the_request_lacks_is_taken_away() -> None:
    assert update_times(SCHEDULED, TimeChange.asked(None, None, None, ["begin_time"]), None) == FLEXIBLE
    assert update_times(FIXED, TimeChange.asked(None, None, None, ["end_time"]), T) == SCHEDULED
    for begun_at in (None, T):
        with pytest.raises(InvalidRequest, match="duration required"):
            update_times(SCHEDULED, TimeChange.asked(None, None, None, ["duration"]), begun_at)
    assert update_times(FIXED, TimeChange.asked(None, None, None, ["duration"]), None) == FIXED


def test_a_mask_of_everything_replaces_all_times() -> None:
    assert update_times(FIXED, TimeChange.asked(None, 2 * H, None, ["*"]), None) == LeaseTimes(2 * H)


def test_a_mask_that_names_another_field_is_refused_with_the_names_that_may_be() -> None:
    check_update_mask(["duration", "begin_time", "end_time", "client", "*"])
    with pytest.raises(
        InvalidRequest, match=r"selector, tags of a lease cannot be changed, expected begin_time, client"
    ):
        check_update_mask(["tags", "selector", "duration"])
