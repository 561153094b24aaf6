"""The states of an exporter, and the ways between them."""

from __future__ import annotations

import pytest
from jumpstarter.common.enums import OPEN_STATUSES, ExporterStatus, LogSource
from jumpstarter.common.exceptions import ExporterNotReady
from jumpstarter.session.status import TRANSITIONS, SessionStatus
from jumpstarter_protocol.jumpstarter.v1 import common_pb2

S = ExporterStatus

#: The ways of the protocol's description.
PATHS = [
    [S.BEFORE_LEASE_HOOK, S.LEASE_READY, S.AFTER_LEASE_HOOK, S.AVAILABLE],
    [S.LEASE_READY, S.AVAILABLE],
    [S.LEASE_READY, S.AFTER_LEASE_HOOK, S.AVAILABLE, S.LEASE_READY],
    [S.BEFORE_LEASE_HOOK, S.BEFORE_LEASE_HOOK_FAILED, S.AVAILABLE],
    [S.BEFORE_LEASE_HOOK, S.BEFORE_LEASE_HOOK_FAILED, S.OFFLINE],
    [S.LEASE_READY, S.AFTER_LEASE_HOOK, S.AFTER_LEASE_HOOK_FAILED, S.AVAILABLE],
    [S.LEASE_READY, S.AFTER_LEASE_HOOK, S.AFTER_LEASE_HOOK_FAILED, S.OFFLINE],
    [S.LEASE_READY, S.OFFLINE, S.AVAILABLE],
]


def reach(status: ExporterStatus) -> SessionStatus:
    """A session's status after the shortest way to *status*."""
    ways: dict[ExporterStatus, list[ExporterStatus]] = {S.AVAILABLE: []}
    queue = [S.AVAILABLE]
    for here in queue:
        for there in (*TRANSITIONS[here], S.OFFLINE):
            if there not in ways:
                ways[there] = [*ways[here], there]
                queue.append(there)
    session = SessionStatus()
    for step in ways[status]:
        session.update(step)
    return session


REACHABLE = [status for status in S if status is not S.UNSPECIFIED]


@pytest.mark.parametrize("path", PATHS, ids=lambda p: "-".join(s.name for s in p))
def test_every_documented_way_can_be_walked(path: list[ExporterStatus]) -> None:
    session = SessionStatus()
    for version, status in enumerate(path, 1):
        before = session.status
        session.update(status, f"step {version}")
        assert session.snapshot() == (status, f"step {version}", version, before)


@pytest.mark.parametrize("there", S, ids=str)
@pytest.mark.parametrize("here", REACHABLE, ids=str)
def test_the_table_alone_says_what_may_follow(here: ExporterStatus, there: ExporterStatus) -> None:
    session = reach(here)
    version = session.version
    if there in TRANSITIONS[here] or there in (here, S.OFFLINE):
        session.update(there)
        assert (session.status, session.previous, session.version) == (there, here, version + 1)
    else:
        with pytest.raises(ValueError, match=f"does not go from {here.name} to {there.name}"):
            session.update(there)
        assert (session.status, session.version) == (here, version)


def test_every_status_has_a_row() -> None:
    assert set(TRANSITIONS) == set(S)


@pytest.mark.parametrize("status", REACHABLE, ids=str)
def test_drivers_are_open_in_hooks_and_leases_only(status: ExporterStatus) -> None:
    session = reach(status)
    session.update(status, "the reason")
    if status in (S.BEFORE_LEASE_HOOK, S.LEASE_READY, S.AFTER_LEASE_HOOK):
        session.check_open()
        assert status in OPEN_STATUSES
    else:
        text = rf"Exporter not ready for driver calls \(status: {status.name}\): the reason"
        with pytest.raises(ExporterNotReady, match=text):
            session.check_open()


def test_before_the_first_update_there_is_no_previous_status() -> None:
    assert SessionStatus().snapshot() == (S.AVAILABLE, "", 0, None)


def test_the_numbers_are_those_of_the_wire() -> None:
    assert {f"EXPORTER_STATUS_{s.name}": s.to_proto() for s in S} == dict(common_pb2.ExporterStatus.items())
    assert {f"LOG_SOURCE_{s.name}": s.to_proto() for s in LogSource} == dict(common_pb2.LogSource.items())


def test_an_unknown_number_is_unspecified() -> None:
    assert S.from_proto(99) is S.UNSPECIFIED
    assert S.from_proto(4) is S.LEASE_READY
    assert str(S.LEASE_READY) == "LEASE_READY"
