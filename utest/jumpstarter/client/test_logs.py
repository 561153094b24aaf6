"""Log lines of an exporter in the client's logging."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from jumpstarter.client.logs import Following, follow, level_number
from jumpstarter.client.transport import ExporterStub
from jumpstarter.common.enums import LogSource
from jumpstarter.common.grpc import exporter_channel
from jumpstarter.session import Session
from jumpstarter_driver_power.driver import MockPower


def test_levels_have_numbers() -> None:
    assert level_number("warning") == logging.WARNING
    assert level_number("TRACE") == logging.INFO


@pytest.fixture
def session() -> Iterator[Session]:
    with Session(root_device=MockPower()) as session:
        yield session


@pytest.fixture
def log(session: Session) -> Iterator[Following]:
    """Lines of the afterLease hook, shown from the begin on."""
    with session.serve_unix() as path, exporter_channel(path) as channel:
        stub = ExporterStub(channel)
        with follow(stub, show_all=False, sources=(LogSource.AFTER_LEASE_HOOK,)) as following:
            following.wait_for_begin()
            yield following


def test_lines_are_shown_once_the_log_has_settled(
    session: Session, log: Following, caplog: pytest.LogCaptureFixture
) -> None:
    hook = logging.getLogger("a.hook")
    with session.context_log_source("a.hook", LogSource.AFTER_LEASE_HOOK):
        for number in range(200):
            hook.warning("line %d", number)
    log.settle()
    shown = [record.message for record in caplog.records if record.name == "exporter:afterLease"]
    assert shown == [f"line {number}" for number in range(200)]
    assert not log.ended.is_set()


def test_settling_ends_with_the_log(session: Session) -> None:
    with session.serve_unix() as path, exporter_channel(path) as channel:
        with follow(ExporterStub(channel), show_all=True) as following:
            following.wait_for_begin()
        assert following.ended.is_set()
        following.settle()
