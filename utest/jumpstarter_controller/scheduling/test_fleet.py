"""A fleet that is kept says what one says that is made anew."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from jumpstarter.common.enums import ExporterStatus
from jumpstarter.common.selectors import Selector
from jumpstarter_controller.model import OFFLINE_AFTER, Exporter
from jumpstarter_controller.scheduling import Fleet

from utest.jumpstarter_controller.labs import NOW, exporter

NAMES = ("a", "b", "c", "d")
SELECTORS = tuple(
    map(Selector.parse, ("kind=x", "kind!=x", "kind", "!kind", "kind in (x,y),site=s", "site=t"))
)
LABELS: tuple[dict[str, str], ...] = (
    {},
    {"kind": "x"},
    {"kind": "y", "site": "s"},
    {"site": "t", "kind": "x"},
)
STATUSES = (
    ExporterStatus.AVAILABLE,
    ExporterStatus.UNSPECIFIED,
    ExporterStatus.OFFLINE,
    ExporterStatus.LEASE_READY,
    ExporterStatus.AFTER_LEASE_HOOK,
)

change = st.fixed_dictionaries(
    {},
    optional={
        "labels": st.sampled_from(LABELS),
        "status": st.sampled_from(STATUSES),
        "enabled": st.booleans(),
        "devices": st.sampled_from((None, ())),
        "last_seen": st.integers(-90, 0),
        "lost_at": st.sampled_from((None, NOW)),
    },
)
step = st.one_of(
    st.tuples(st.just("change"), st.sampled_from(NAMES), change),
    st.tuples(st.just("heard"), st.sampled_from(NAMES), st.none()),
    st.tuples(st.just("wait"), st.integers(-5, 70), st.none()),
)


def sets(fleet: Fleet) -> tuple[Any, ...]:
    """All that a decision sees of a fleet."""
    selected = tuple(fleet.labels.select(selector) for selector in SELECTORS)
    return fleet.enabled, fleet.online, fleet.ready, fleet.passing, selected


def changed(exporter: Exporter, values: dict[str, Any], now: datetime) -> Exporter:
    if "last_seen" in values:
        values = {**values, "last_seen": now + timedelta(seconds=values["last_seen"])}
    return replace(exporter, **values)


@settings(deadline=None, database=None, max_examples=500)
@given(steps=st.lists(step, max_size=20))
def test_fleet_that_is_kept_says_what_a_new_one_says(steps: list[tuple[str, Any, Any]]) -> None:
    now = NOW
    records = {name: exporter(name, LABELS[1]) for name in NAMES}
    fleet = Fleet(records.values(), now)
    for kind, what, values in steps:
        before, told = sets(fleet), False
        if kind == "wait":
            now += timedelta(seconds=what)
        elif kind == "heard":
            # As `Lab.seen`: nobody is told, unless it counted as offline.
            if records[what].last_seen is None or not now - records[what].last_seen <= OFFLINE_AFTER:
                continue
            records[what] = replace(records[what], last_seen=now)
        else:
            records[what] = changed(records[what], values, now)
            counts = fleet.update({what: records[what]})
            assert counts is not None
            told = counts
        told |= fleet.advance(now, records.get)
        assert sets(fleet) == sets(Fleet(records.values(), now))
        assert told or sets(fleet) == before


def test_exporters_that_come_or_go_take_another_fleet() -> None:
    fleet = Fleet([exporter("a")], NOW)
    assert fleet.update({"b": exporter("b")}) is None
    assert fleet.update({"a": None}) is None
    assert fleet.update({"b": None}) is False
