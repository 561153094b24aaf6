"""Log lines of an exporter in the client's logging."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from jumpstarter.client.logs import Following, follow, level_number
from jumpstarter.client.transport import ExporterStub
from jumpstarter.common.enums import LogSource
from jumpstarter.common.grpc import exporter_channel
from jumpstarter.session import Session
from jumpstarter_driver_power.driver import MockPower
from jumpstarter_testing.eventually import eventually


def test_levels_have_numbers() -> None:
    assert level_number("warning") == logging.WARNING
    assert level_number("TRACE") == logging.INFO


@pytest.fixture
def session() -> Iterator[Session]:
    with Session(root_device=MockPower()) as session:
        yield session


@pytest.fixture
def log(session: Session) -> Iterator[Following]:
    """Lines of the afterLease hook."""
    with (
        session.serve_unix() as path,
        exporter_channel(str(path)) as channel,
        follow(ExporterStub(channel), show_all=False, sources=(LogSource.AFTER_LEASE_HOOK,)) as following,
    ):
        yield following


def test_lines_are_shown_once_the_log_has_settled(
    session: Session, log: Following, caplog: pytest.LogCaptureFixture
) -> None:
    def shown() -> list[str]:
        return [record.message for record in caplog.records if record.name == "exporter:afterLease"]

    hook = logging.getLogger("a.hook")
    with session.context_log_source("a.hook", LogSource.AFTER_LEASE_HOOK):
        hook.warning("first")
        eventually(lambda: shown() == ["first"], timeout=60)
        for number in range(200):
            hook.warning("line %d", number)
    log.settle()
    assert shown() == ["first", *(f"line {number}" for number in range(200))]
    assert not log.ended.is_set()
    log.close()
    assert log.ended.is_set()
    log.settle()


class Slow(logging.Handler):
    """Takes its time for each line."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        time.sleep(0.3)
        self.shown.append(record.getMessage())


def test_lines_are_waited_for_that_are_shown_slowly(session: Session, log: Following) -> None:
    shown, logger = Slow(), logging.getLogger("exporter:afterLease")
    logger.addHandler(shown)
    try:
        with session.context_log_source("a.hook", LogSource.AFTER_LEASE_HOOK):
            for number in range(10):
                logging.getLogger("a.hook").warning("line %d", number)
        log.settle()
        assert shown.shown == [f"line {number}" for number in range(10)]
    finally:
        logger.removeHandler(shown)


def test_a_log_can_be_left_whose_exporter_says_nothing_at_all(tmp_path: Path) -> None:
    asked, over = threading.Event(), threading.Event()

    def silent(request: Any, context: Any) -> Iterator[Any]:
        asked.set()
        over.wait(60)
        yield from ()

    handler: Any = grpc.unary_stream_rpc_method_handler(silent)
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("jumpstarter.v1.ExporterService", {"LogStream": handler}),)
    )
    server.add_insecure_port(f"unix:{tmp_path / 's'}")
    server.start()
    try:
        with exporter_channel(str(tmp_path / "s")) as channel, follow(ExporterStub(channel), True) as log:
            assert asked.wait(60)
        assert log.ended.is_set()
    finally:
        over.set()
        server.stop(None).wait()
