"""eventually(), with a clock that stands still unless the test moves it."""

from __future__ import annotations

import pytest
from jumpstarter_testing.eventually import eventually


class Time:
    def __init__(self) -> None:
        self.now = 0.0
        self.naps: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds


@pytest.fixture
def time() -> Time:
    return Time()


def test_result_is_returned_without_waiting(time: Time) -> None:
    assert eventually(lambda: "yes", clock=time.clock, sleep=time.sleep) == "yes"
    assert time.naps == []


def test_none_holds(time: Time) -> None:
    assert eventually(lambda: None, clock=time.clock, sleep=time.sleep) is None


def test_false_and_failed_assertions_are_tried_again(time: Time) -> None:
    answers = iter([False, AssertionError("not yet"), 0])

    def check() -> object:
        answer = next(answers)
        if isinstance(answer, AssertionError):
            raise answer
        return answer

    assert eventually(check, interval=0.5, clock=time.clock, sleep=time.sleep) == 0
    assert time.naps == [0.5, 0.5]


def test_last_failure_is_told(time: Time) -> None:
    def has_booted() -> None:
        raise AssertionError(f"silence after {time.now:g} s")

    with pytest.raises(
        AssertionError, match=r"^has_booted did not hold within 1 s: silence after 1 s$"
    ) as error:
        eventually(has_booted, timeout=1, interval=0.4, clock=time.clock, sleep=time.sleep)
    assert isinstance(error.value.__cause__, AssertionError)
    assert time.naps == pytest.approx([0.4, 0.4, 0.2])


def test_check_is_called_once_with_no_time(time: Time) -> None:
    calls: list[int] = []
    with pytest.raises(AssertionError, match="within 0 s"):
        eventually(lambda: bool(calls.append(1)), timeout=0, clock=time.clock, sleep=time.sleep)
    assert len(calls) == 1


def test_other_errors_pass_through(time: Time) -> None:
    def check() -> None:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        eventually(check, clock=time.clock, sleep=time.sleep)
