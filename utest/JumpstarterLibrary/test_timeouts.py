from datetime import timedelta

import pytest

from JumpstarterLibrary.timeouts import Scope, Timeouts

S = [timedelta(seconds=n) for n in range(10)]


def test_a_tests_timeout_ends_with_the_test():
    timeouts = Timeouts(S[9])
    timeouts.start_suite()
    timeouts.start_test()
    assert timeouts.set(S[1], Scope.TEST) == S[9]
    assert timeouts.current == S[1]
    timeouts.end_test()
    assert timeouts.current == S[9]


def test_a_suites_timeout_holds_in_its_children_and_ends_with_it():
    timeouts = Timeouts(S[9])
    timeouts.start_suite()
    timeouts.set(S[2], Scope.SUITE)
    timeouts.start_suite()
    assert timeouts.current == S[2]
    timeouts.set(S[3], Scope.SUITE)
    timeouts.end_suite()
    assert timeouts.current == S[2]
    timeouts.end_suite()
    assert timeouts.current == S[9]


def test_a_tests_timeout_set_in_a_suite_setup_is_the_suites():
    timeouts = Timeouts(S[9])
    timeouts.start_suite()
    timeouts.set(S[2], Scope.TEST)
    timeouts.start_test()
    assert timeouts.current == S[2]
    timeouts.end_test()
    assert timeouts.current == S[2]


def test_a_wider_setting_replaces_narrower_ones():
    timeouts = Timeouts(S[9])
    timeouts.start_suite()
    timeouts.set(S[2], Scope.SUITE)
    timeouts.start_test()
    timeouts.set(S[1], Scope.TEST)
    timeouts.set(S[5], Scope.GLOBAL)
    assert timeouts.current == S[5]
    timeouts.end_test()
    timeouts.end_suite()
    assert timeouts.current == S[5]


def test_a_given_timeout_wins_and_a_negative_one_is_refused():
    timeouts = Timeouts(S[9])
    assert timeouts.seconds(None) == 9
    assert timeouts.seconds(S[1]) == 1
    with pytest.raises(ValueError, match="expected 0 or more"):
        timeouts.seconds(timedelta(seconds=-1))
