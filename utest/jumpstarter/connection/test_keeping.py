"""When a lease is extended, and when its user is told that it ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from jumpstarter.client.lab import Condition, Lease
from jumpstarter.connection.keeping import Due, due, remaining

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def lease(**values: object) -> Lease:
    return Lease(namespace="default", name="l", **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        (HOUR, Due(wait=1800)),
        (timedelta(minutes=31), Due(wait=60)),
        (timedelta(minutes=30), Due(wait=1, extend=True)),
        (timedelta(0), Due(wait=1, extend=True)),
    ],
)
def test_lease_is_extended_when_half_of_it_is_over(left: timedelta, expected: Due) -> None:
    assert due(left, HOUR, extend=True, warned=False) == expected


@pytest.mark.parametrize(
    ("left", "warned", "expected"),
    [
        (HOUR, False, Due(wait=3300)),
        (5 * MINUTE, False, Due(wait=None, warn=True)),
        (5 * MINUTE, True, Due(wait=None)),
        (4 * MINUTE, True, Due(wait=None)),
    ],
)
def test_user_is_warned_once_before_a_lease_ends(left: timedelta, warned: bool, expected: Due) -> None:
    assert due(left, HOUR, extend=False, warned=warned) == expected


def test_warning_of_a_short_lease_comes_in_its_last_fifth() -> None:
    assert due(timedelta(seconds=10), timedelta(seconds=10), extend=False, warned=False).wait == 8


@pytest.mark.parametrize(
    ("left", "expected"), [(HOUR, Due(wait=None, warn=True)), (3 * HOUR, Due(wait=3600))]
)
def test_who_follows_a_lease_says_what_soon_is(left: timedelta, expected: Due) -> None:
    assert due(left, HOUR, extend=False, warned=False, soon=2 * HOUR) == expected


def test_lease_without_an_end_needs_nothing() -> None:
    assert due(None, HOUR, extend=True, warned=False) == Due(wait=None)


def test_remaining_time_is_told_by_the_clock_of_the_controller() -> None:
    begun = NOW - timedelta(days=3)  # the controller's clock is days behind
    running = lease(duration=HOUR, effective_begin_time=begun, effective_duration=20 * MINUTE)
    assert remaining(running, NOW) == 40 * MINUTE


def test_remaining_time_of_a_lease_that_has_an_end() -> None:
    assert remaining(lease(end_time=NOW + HOUR), NOW) == HOUR
    assert remaining(lease(), NOW) is None


@pytest.mark.parametrize(
    ("conditions", "failure"),
    [
        ((), None),
        ((("Pending", "True", "NotAvailable", "busy"),), None),
        ((("Pending", "True", "NotAvailable", "busy"), ("Ready", "True", "Ready", "")), None),
        ((("Ready", "False", "Released", ""),), "has ended: Released"),
        ((("Unsatisfiable", "True", "NoAccess", "not yours"),), "cannot be satisfied: not yours"),
        ((("Invalid", "True", "InvalidSelector", ""),), "cannot be satisfied: InvalidSelector"),
        ((("Pending", "False", "", "given up"),), "was given up: given up"),
    ],
)
def test_failure_of_a_lease(conditions: tuple[tuple[str, str, str, str], ...], failure: str | None) -> None:
    told = tuple(Condition(type=t, status=s, reason=r, message=m) for t, s, r, m in conditions)
    assert lease(conditions=told).failure == failure
