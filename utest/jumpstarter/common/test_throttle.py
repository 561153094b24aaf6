"""Log lines of strangers."""

from __future__ import annotations

import logging

import pytest
from jumpstarter.common.throttle import BURST, INTERVAL, LENGTH, PEERS, ThrottledLog, peer_host


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log(clock: Clock, caplog: pytest.LogCaptureFixture) -> ThrottledLog:
    caplog.set_level(logging.DEBUG)
    return ThrottledLog(logging.getLogger("strangers"), clock)


def test_few_lines_of_each_peer_in_a_window(
    log: ThrottledLog, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(1000):
        log.warning("10.0.0.7", "refused")
    log.warning("10.0.0.8", "refused")
    assert caplog.messages == ["refused"] * (BURST + 1)
    clock.now = INTERVAL
    log.warning("10.0.0.7", "refused")
    assert caplog.messages[-1] == f"refused ({1000 - BURST} more lines like this were held back)"
    log.warning("10.0.0.7", "refused")
    assert caplog.messages[-1] == "refused"


def test_many_peers_cannot_fill_the_log_nor_the_memory(
    log: ThrottledLog, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(10 * PEERS):
        log.warning(f"peer {number}", "refused")
    assert len(caplog.messages) == PEERS + BURST
    assert len(log._windows) <= PEERS + 1


def test_line_is_one_short_line(log: ThrottledLog, caplog: pytest.LogCaptureFixture) -> None:
    log.log(logging.INFO, "peer", "a\r\nERROR forged \x1b[31m" + "x" * 100_000)
    (message,) = caplog.messages
    assert message.startswith("a??ERROR forged ?[31mxxx")
    assert len(message) == LENGTH


@pytest.mark.parametrize(
    ("peer", "host"),
    [("ipv4:10.0.0.7:4711", "10.0.0.7"), ("ipv6:%5B::1%5D:47", "::1"), ("unix:/run/x", "unix:/run/x")],
)
def test_host_of_a_peer(peer: str, host: str) -> None:
    assert peer_host(peer) == host
