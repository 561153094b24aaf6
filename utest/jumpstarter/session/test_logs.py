"""Log lines for clients: each has its own queue."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from jumpstarter.common.enums import LogSource
from jumpstarter.exporter.logging import LogHandler, get_logger
from jumpstarter.session.logs import BACKLOG, QUEUE, LogHub, Subscription
from jumpstarter_protocol import jumpstarter_pb2 as pb

WAIT = 60.0


@pytest.fixture
def hub() -> LogHub:
    return LogHub()


@pytest.fixture
def log(hub: LogHub) -> Iterator[logging.Logger]:
    logger = logging.getLogger("driver.OfThisTest")
    logger.setLevel(logging.INFO)
    logger.addHandler(hub)
    logger.propagate = False
    yield logger
    logger.removeHandler(hub)
    logger.propagate = True


def take(subscription: Subscription, count: int) -> list[str]:
    lines = iter(subscription)
    return [next(lines).message for _ in range(count)]


def test_every_subscriber_gets_every_line(hub: LogHub, log: logging.Logger) -> None:
    with hub.subscribe() as one, hub.subscribe() as two:
        for n in range(20):
            log.info("line %d", n)
        expected = [f"line {n}" for n in range(20)]
        assert take(one, 20) == expected
        assert take(two, 20) == expected


def test_lines_from_before_come_to_every_later_subscriber(hub: LogHub, log: logging.Logger) -> None:
    for n in range(BACKLOG + 10):
        log.info("line %d", n)
    for _ in range(2):
        with hub.subscribe() as subscription:
            lines = take(subscription, BACKLOG)
            assert (lines[0], lines[-1]) == ("line 10", f"line {BACKLOG + 9}")


def test_a_slow_subscriber_loses_its_own_lines_only_and_is_told_how_many(
    hub: LogHub, log: logging.Logger
) -> None:
    with hub.subscribe() as slow, hub.subscribe() as quick:
        with ThreadPoolExecutor(1) as pool:
            got = pool.submit(take, quick, QUEUE)
            for n in range(QUEUE):
                log.info("line %d", n)
            assert got.result(WAIT) == [f"line {n}" for n in range(QUEUE)]
        for n in range(5):
            log.info("late %d", n)
        assert take(quick, 5) == [f"late {n}" for n in range(5)]
        lines = take(slow, 3)
        assert lines[0] == "5 log lines were dropped: this client reads them too slowly"
        assert lines[1:] == ["line 5", "line 6"]


def test_lines_come_as_they_are_written(hub: LogHub, log: logging.Logger) -> None:
    with hub.subscribe() as subscription, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(take, subscription, 1)
        log.warning("now")
        assert waiting.result(WAIT) == ["now"]


def test_close_ends_a_waiting_subscriber(hub: LogHub) -> None:
    with hub.subscribe() as subscription, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(list, subscription)
        subscription.close()
        assert waiting.result(WAIT) == []


def test_one_that_has_left_gets_no_more(hub: LogHub, log: logging.Logger) -> None:
    with hub.subscribe() as subscription:
        pass
    log.info("later")
    subscription.close()
    assert list(subscription) == []
    assert not subscription._lines


def test_a_line_says_where_it_comes_from(hub: LogHub) -> None:
    def source(name: str) -> LogSource:
        return hub.source_of(logging.LogRecord(name, logging.INFO, "", 0, "", (), None))

    assert source("driver.MockPower") is LogSource.DRIVER
    assert source("jumpstarter.session") is LogSource.SYSTEM
    assert source("driverless") is LogSource.SYSTEM
    with hub.context_source("jumpstarter.exporter.hooks", LogSource.BEFORE_LEASE_HOOK):
        assert source("jumpstarter.exporter.hooks") is LogSource.BEFORE_LEASE_HOOK
        assert source("jumpstarter.exporter.hooks.script") is LogSource.BEFORE_LEASE_HOOK
        assert source("jumpstarter.exporter.hookset") is LogSource.SYSTEM
        hub.add_source("jumpstarter.exporter.hooks", LogSource.AFTER_LEASE_HOOK)
        assert source("jumpstarter.exporter.hooks") is LogSource.AFTER_LEASE_HOOK
        hub.add_source("another", LogSource.DRIVER)
    assert source("jumpstarter.exporter.hooks") is LogSource.SYSTEM
    assert source("another") is LogSource.DRIVER


def test_a_line_carries_severity_text_and_time(hub: LogHub, log: logging.Logger) -> None:
    with hub.subscribe() as subscription:
        log.error("broken: %s", "fuse")
        line = next(iter(subscription))
    assert (line.severity, line.message, line.source) == ("ERROR", "broken: fuse", LogSource.DRIVER)
    assert line.created > 1.7e9


def test_a_record_that_cannot_be_formatted_disturbs_nobody(
    hub: LogHub, log: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    with hub.subscribe() as subscription:
        hub.handle(logging.LogRecord("driver.X", logging.INFO, "", 0, "%d", ("no number",), None))
        log.info("next")
        assert take(subscription, 1) == ["next"]
    assert "no number" in capsys.readouterr().err


def test_a_logger_with_a_source_of_its_own() -> None:
    from jumpstarter.session import Session
    from jumpstarter_driver_power.driver import MockPower

    session = Session(root_device=MockPower())
    logger = get_logger("my.hooks", LogSource.AFTER_LEASE_HOOK, session)
    assert logger is logging.getLogger("my.hooks")
    record = logging.LogRecord("my.hooks", logging.INFO, "", 0, "", (), None)
    assert session.logs.source_of(record) is LogSource.AFTER_LEASE_HOOK


def test_handler_of_a_program_fills_its_queue_with_what_clients_would_get() -> None:
    queue: deque[pb.LogStreamResponse] = deque()
    handler = LogHandler(queue, LogSource.DRIVER)
    logger = logging.getLogger("queued.of.this.test")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        logger.info("one %d", 1)
        handler.add_child_handler("queued.of", LogSource.SYSTEM)
        logger.info("two")
        with handler.context_log_source("queued.of", LogSource.BEFORE_LEASE_HOOK):
            logger.info("three")
        handler.remove_child_handler("queued.of")
        logger.warning("four")
    finally:
        logger.removeHandler(handler)
    assert [(line.message, line.severity, LogSource.from_proto(line.source)) for line in queue] == [
        ("one 1", "INFO", LogSource.DRIVER),
        ("two", "INFO", LogSource.SYSTEM),
        ("three", "INFO", LogSource.BEFORE_LEASE_HOOK),
        ("four", "WARNING", LogSource.DRIVER),
    ]
    record = logging.LogRecord("other", logging.INFO, "", 0, "text", (), None)
    assert handler.get_source_for_record(record) is LogSource.DRIVER
    assert handler.prepare(record).message == "text"
