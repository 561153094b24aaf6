"""The scenarios of an older client and an older exporter (0.8.1) in a lab of ours."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from utest.scenarios.peers import AVAILABLE, OFFLINE, OURS, Board, Peers

OLD = "0.8.1"


@pytest.fixture(scope="module")
def old(peers: Peers) -> Iterator[Board]:
    with peers.board(OLD, "old", board="old") as board:
        yield board


def test_compat_old_exporter_registers_and_is_online(peers: Peers, old: Board) -> None:
    assert peers.lab.exporter("old").online
    assert old.status == AVAILABLE
    assert {
        dict(device.labels)["jumpstarter.dev/name"]
        for device in peers.lab.exporter("old").devices
        if device.parent_uuid
    } == {"power"}


def test_compat_new_client_with_old_exporter_stays_online(peers: Peers, old: Board) -> None:
    before = old.log.count("power on")
    peers.shell(OURS, "old", "j", "power", "on").ok()
    assert old.log.count("power on") == before + 1
    old.until(AVAILABLE)
    assert peers.lab.exporter("old").online


def test_compat_old_client_with_old_exporter_through_our_router(peers: Peers, old: Board) -> None:
    before = old.log.count("power off")
    peers.shell(OLD, "old", "j", "power", "off").ok()
    assert old.log.count("power off") == before + 1
    old.until(AVAILABLE)


def test_compat_old_client_before_the_exporter(peers: Peers) -> None:
    config = peers.lab.exporter_config("later")
    command = (
        "shell",
        "--client-config",
        str(peers.client("alice")),
        "-n",
        "later",
        "--",
        "j",
        "power",
        "on",
    )
    with peers.installations[OLD].start("jmp", *command) as shell:
        shell.until("Acquiring lease")
        with peers.exporting(OURS, "later", config) as board:
            assert shell.popen.wait(60) == 0, shell.text
            assert "power on" in board.log


def test_compat_old_exporter_goes_offline_and_recovers(peers: Peers) -> None:
    config = peers.lab.exporter_config("comes-and-goes")
    with peers.exporting(OLD, "comes-and-goes", config) as board:
        board.process.stop(signal.SIGTERM)
        board.until(OFFLINE)
        assert not peers.lab.exporter("comes-and-goes").online
    with peers.exporting(OLD, "comes-and-goes", config) as board:
        peers.shell(OURS, "comes-and-goes", "j", "power", "on").ok()
        assert "power on" in board.log
