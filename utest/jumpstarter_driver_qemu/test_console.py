from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from jumpstarter_driver_qemu import console
from jumpstarter_driver_qemu.console import ConsoleHub

from .conftest import Line


@pytest.fixture
def hub(folder: Path) -> Iterator[ConsoleHub]:
    hub = ConsoleHub(folder / "console", logging.getLogger("test"))
    yield hub
    hub.close()


def switch_on(hub: ConsoleHub) -> Line:
    ours, theirs = socket.socketpair()
    hub.attach(ours)
    return Line(theirs)


def meet(guest: Line, reader: Line) -> None:
    """Return when the hub serves *reader*: a connection is accepted some time after it was made."""
    reader.send(b"<hello>")
    guest.until(b"<hello>")


def test_reader_that_comes_late_gets_the_boot_from_its_first_line(hub: ConsoleHub) -> None:
    guest = switch_on(hub)
    guest.send(b"first line\n")
    guest.send(b"prompt> ")
    reader = Line.open(hub.path)
    assert reader.until(b"prompt> ") == b"first line\nprompt> "
    reader.send(b"ls\r")
    assert guest.until(b"\r") == b"ls\r"


def test_what_nobody_read_is_given_once(hub: ConsoleHub) -> None:
    guest = switch_on(hub)
    guest.send(b"boot.")
    first = Line.open(hub.path)
    first.until(b"boot.")
    second = Line.open(hub.path)
    meet(guest, second)
    guest.send(b"more.")
    assert second.until(b"more.") == b"more."
    assert first.until(b"more.") == b"more."


def test_output_between_two_readers_is_kept(hub: ConsoleHub) -> None:
    guest = switch_on(hub)
    reader = Line.open(hub.path)
    meet(guest, reader)
    reader.close()
    guest.send(b"kept.")
    assert Line.open(hub.path).until(b"kept.") == b"kept."


def test_new_guest_begins_with_nothing_kept(hub: ConsoleHub) -> None:
    switch_on(hub).send(b"old boot.")
    guest = switch_on(hub)
    guest.send(b"new boot.")
    assert Line.open(hub.path).until(b"new boot.") == b"new boot."


def test_reader_stays_connected_while_the_board_is_off(hub: ConsoleHub) -> None:
    first = switch_on(hub)
    reader = Line.open(hub.path)
    meet(first, reader)
    first.close()
    second = switch_on(hub)
    meet(second, reader)
    second.send(b"again.")
    assert reader.until(b"again.") == b"again."


def test_only_the_newest_output_is_kept(hub: ConsoleHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "KEPT", 1000)
    guest = switch_on(hub)
    guest.send(b"old" + b"." * 5000)
    guest.connection.shutdown(socket.SHUT_WR)
    assert guest.connection.recv(1) == b"", "the hub hung up, so it has read everything"
    reader = Line.open(hub.path)
    assert reader.until(b"." * 1000) == b"." * 1000
    hub.close()
    assert reader.end() == b""


def test_reader_that_takes_nothing_is_disconnected_and_others_go_on(
    hub: ConsoleHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "BACKLOG", 200_000)
    guest = switch_on(hub)
    lazy, busy = Line.open(hub.path), Line.open(hub.path)
    meet(guest, lazy)
    meet(guest, busy)
    for _ in range(20):
        guest.send(b"y" * 50_000 + b"|")
        busy.until(b"|")
    assert len(lazy.end()) < 1_000_000


def test_guest_that_takes_no_input_stalls_the_writer_and_loses_nothing(hub: ConsoleHub) -> None:
    guest = switch_on(hub)
    reader = Line.open(hub.path)
    reader.connection.setblocking(False)
    sent = 0
    while True:
        try:
            sent += reader.connection.send(b"z" * 65536)
        except BlockingIOError:
            # The hub may still be moving what it has room for: it is full when nothing moves.
            reader.connection.settimeout(0.5)
            try:
                sent += reader.connection.send(b"z")
            except TimeoutError:
                break
            reader.connection.setblocking(False)
    received = 0
    while received < sent:
        received += len(guest.connection.recv(65536))
    assert received == sent


def test_reader_that_ended_its_input_still_gets_output(hub: ConsoleHub) -> None:
    guest = switch_on(hub)
    reader = Line.open(hub.path)
    meet(guest, reader)
    reader.connection.shutdown(socket.SHUT_WR)
    guest.send(b"answer.")
    assert reader.until(b"answer.") == b"answer."


def test_close_disconnects_everyone_and_removes_the_socket(hub: ConsoleHub) -> None:
    guest = switch_on(hub)
    reader = Line.open(hub.path)
    meet(guest, reader)
    hub.close()
    assert reader.end() == b""
    assert guest.end() == b""
    assert not hub.path.exists()
