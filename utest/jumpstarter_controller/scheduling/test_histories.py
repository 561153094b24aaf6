"""Rules of the scheduler over random histories: 10 000 and more of them in all."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from jumpstarter_controller.model import LeaseState

from utest.jumpstarter_controller.labs import HOUR, MINUTE, policy, rule
from utest.jumpstarter_controller.scheduling.simulator import (
    ACTS,
    DURATIONS,
    RULES,
    SELECTORS,
    Act,
    Lab,
    approval,
    make_lab,
    play,
)

pytestmark = pytest.mark.timeout(1200)

EACH = settings(
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    print_blob=True,
)

POLICIES = {
    "none": (),
    "priorities": (
        policy("p", "", rule("team=t0", priority=2), rule("team=t1", priority=1), rule("", priority=0)),
        policy("q", "kind=y", rule("team=t2", priority=9)),
    ),
    "limits": (
        policy("p", "kind=x", rule("team=t0", maximum_duration=HOUR), rule("team=t1", priority=1)),
        policy("q", "", rule("team in (t0,t2)", maximum_duration=HOUR / 3, priority=-1)),
    ),
    "spot": (
        policy("p", "", rule("team=t0"), rule("", spot_access=True)),
        policy("q", "kind=y", rule("team=t1", priority=3), rule("team=t2", priority=2, spot_access=True)),
        policy("r", "kind=y", rule("team=t0", priority=4)),
    ),
}

act = st.tuples(
    st.integers(0, len(ACTS) - 1), st.integers(0, 7), st.integers(0, len(SELECTORS) + 4), st.integers(0, 127)
)


@pytest.mark.parametrize("policies", POLICIES)
@settings(EACH, max_examples=2400)
@given(boards=st.integers(1, 4), acts=st.lists(act, max_size=14))
def test_no_history_breaks_a_rule(policies: str, boards: int, acts: list[Act]) -> None:
    play(make_lab(boards, POLICIES[policies]), acts)


@settings(EACH, max_examples=800)
@given(acts=st.lists(act, max_size=8), victim=st.integers(0, 2), wanted=st.integers(0, 3))
@example(acts=[], victim=2, wanted=0)
def test_nobody_starves_however_many_come_with_a_higher_priority(
    acts: list[Act], victim: int, wanted: int
) -> None:
    lab = make_lab(2, POLICIES["priorities"])
    play(lab, acts)
    lab.exporters = make_lab(2, ()).exporters
    name = lab.ask(f"c{victim}", selector=SELECTORS[wanted], duration=HOUR)
    lab.check = False
    ahead = sum(1 for x in lab.leases.values() if not x.ended)
    longest = 5 * HOUR
    # Everyone ahead keeps an exporter to the end, and somebody more important comes whenever one is free.
    limit = lab.now + RULES.patience + (ahead + 1) * longest
    while name in lab.leases and lab.leases[name].state is LeaseState.WAITING:
        assert lab.now < limit, "starved"
        _keep_busy(lab)
        lab.settle()
        lab.advance(lab.now + HOUR / 2)
    served = lab.leases.get(name) or lab.ended[name]
    possible = any(approval(lab, served, board) for board in lab.exporters.values())
    assert (served.begun_at is not None) == possible


def _keep_busy(lab: Lab) -> None:
    """As many as there are exporters come with the highest priority."""
    for pin in lab.exporters:
        lab.ask("c0", pin=pin, duration=HOUR)


@pytest.mark.parametrize("policies", ["priorities", "spot"])
@settings(EACH, max_examples=400)
@given(before=st.lists(act, max_size=8), after=st.lists(act, max_size=8))
# Somebody with spot access comes at the very moment at which a notice has to be given.
@example(before=[], after=[(0, 0, 0, 92), *[(0, 0, 0, 124)] * 3, (0, 0, 0, 1)])
def test_a_kept_place_is_there_when_its_time_comes(
    policies: str, before: list[Act], after: list[Act]
) -> None:
    lab = make_lab(2, POLICIES[policies])
    play(lab, before)
    lab.exporters = make_lab(2, ()).exporters
    for name in [name for name, x in lab.leases.items() if x.state is LeaseState.WAITING]:
        lab.release(name)
    begin = lab.now + HOUR
    name = lab.ask("c0", pin="b0", duration=HOUR, begin=begin)
    if lab.settle().outlooks[name].estimate is None:
        return  # its exporter is leased for longer
    for _, who, what, how in after:
        # Everyone who comes is less important on this exporter.
        lab.ask(
            f"c{1 + who % 2}", selector="kind=x" if what % 2 else "", pin="b0", duration=DURATIONS[how % 4]
        )
        lab.advance(min(begin, lab.now + (how // 4) * MINUTE / 2))
    lab.advance(begin)
    assert lab.leases[name].begun_at == begin


@settings(EACH, max_examples=400)
@given(acts=st.lists(act, max_size=10))
def test_spot_access_keeps_no_regular_waiter_for_longer_than_the_notice(acts: list[Act]) -> None:
    lab = make_lab(2, POLICIES["spot"])
    play(lab, acts)
    lab.exporters = make_lab(2, ()).exporters
    for name in [name for name, x in lab.leases.items() if not x.spot]:
        lab.release(name)
    lab.settle()
    name = lab.ask("c0", selector="kind=x", duration=HOUR)
    asked_at = lab.now
    lab.advance(lab.now + RULES.spot_notice)
    begun = lab.leases[name].begun_at
    assert begun is not None and begun - asked_at <= RULES.spot_notice
    assert not lab.leases[name].spot


@settings(EACH, max_examples=400)
@given(boards=st.integers(1, 4), acts=st.lists(act, max_size=12))
def test_an_estimate_is_kept_when_nothing_else_happens(boards: int, acts: list[Act]) -> None:
    lab = make_lab(boards, POLICIES["none"])
    play(lab, acts)
    lab.exporters = make_lab(boards, ()).exporters
    for name in [name for name, x in lab.leases.items() if x.spec.times.begin is not None]:
        lab.release(name)  # what is kept for them makes an estimate a guess
    estimates = {name: outlook.estimate for name, outlook in lab.settle().outlooks.items()}
    for name, estimate in sorted(estimates.items(), key=lambda item: str(item[1])):
        assert estimate is not None
        lab.advance(max(estimate, lab.now))
        found = lab.leases.get(name) or lab.ended[name]
        assert found.begun_at is not None and found.begun_at <= estimate, name
