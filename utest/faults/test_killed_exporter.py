"""An exporter that is killed ends whatever its clients wait for, at once and in one line."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from anyio import BrokenResourceError
from jumpstarter.common.exceptions import ConnectionError
from jumpstarter_driver_network.adapters import TcpPortforwardAdapter, UnixPortforwardAdapter
from jumpstarter_testing.eventually import eventually

from .conftest import LIMIT, Exporter, Process, running

GONE = "the exporter cannot be reached or went away: "


def endless() -> Iterator[bytes]:
    while True:
        yield b"x" * 65536


def unary(client: Any) -> None:
    client.faulty.call("block")


def unary_async(client: Any) -> None:
    client.faulty.call("block_async")


def items(client: Any) -> None:
    for _ in client.faulty.streamingcall("ticks"):
        pass


def items_async(client: Any) -> None:
    for _ in client.faulty.streamingcall("ticks_async"):
        pass


def receiving(client: Any) -> None:
    with client.faulty.stream("port") as stream:
        stream.receive()


def sending(client: Any) -> None:
    with client.faulty.stream("deaf") as stream:
        while True:
            stream.send(b"x" * 65536)


def upload(client: Any) -> None:
    with client.faulty.sending(endless()) as handle:
        client.faulty.call("take", handle)


def download(client: Any) -> None:
    with open(os.devnull, "wb") as file, client.faulty.receiving(file) as handle:
        client.faulty.call("give", handle, 1 << 40)


ACTIONS: dict[str, tuple[Callable[[Any], None], type[Exception]]] = {
    "block": (unary, ConnectionError),
    "block_async": (unary_async, ConnectionError),
    "ticks": (items, ConnectionError),
    "ticks_async": (items_async, ConnectionError),
    "port": (receiving, BrokenResourceError),
    "deaf": (sending, BrokenResourceError),
    "take": (upload, ConnectionError),
    "give": (download, ConnectionError),
}


def kill_when_held(exporter: Exporter, name: str) -> threading.Thread:
    """Kill the exporter when a client has *name* in use."""

    def kill() -> None:
        try:
            eventually(lambda: name in exporter.held(), timeout=LIMIT, interval=0.02)
        finally:
            exporter.process.kill()

    thread = threading.Thread(target=kill)
    thread.start()
    return thread


@pytest.mark.parametrize("name", ACTIONS)
def test_what_a_client_waits_for_ends(doomed: Exporter, name: str) -> None:
    action, expected = ACTIONS[name]
    before = set(threading.enumerate())
    with doomed.client() as client:
        killer = kill_when_held(doomed, name)
        with pytest.raises(expected) as caught:
            action(client)
        assert GONE in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1
        killer.join()
        # What comes after fails as clearly, and closing does not wait for an exporter that is gone.
        with pytest.raises(ConnectionError, match=GONE):
            client.faulty.call("ping")
    eventually(lambda: not left(before), timeout=LIMIT)


def left(before: set[threading.Thread]) -> list[threading.Thread]:
    """Threads of ours that were not there before."""
    return [t for t in threading.enumerate() if t not in before and t.name.startswith("jumpstarter")]


def test_a_download_that_is_cut_leaves_no_file(doomed: Exporter, tmp_path: Path) -> None:
    from jumpstarter.client.transfer import receiving as receiving_file

    target = tmp_path / "image"
    with doomed.client() as client:
        killer = kill_when_held(doomed, "give")
        with pytest.raises(ConnectionError, match=GONE), receiving_file(client.faulty, target) as handle:
            client.faulty.call("give", handle, 1 << 40)
        killer.join()
    assert not target.exists()


@pytest.mark.parametrize("adapter", [TcpPortforwardAdapter, UnixPortforwardAdapter])
def test_a_forwarded_connection_breaks(doomed: Exporter, adapter: Any) -> None:
    with doomed.client() as client, adapter(client.faulty, method="port") as address:
        family = socket.AF_INET if adapter is TcpPortforwardAdapter else socket.AF_UNIX
        with socket.socket(family) as local:
            local.settimeout(LIMIT)
            local.connect(address if family == socket.AF_INET else str(address))
            local.sendall(b"ping")
            assert local.recv(10) == b"ping"
            doomed.process.kill()
            if family == socket.AF_INET:
                # A program must not take what it has so far for the whole.
                with pytest.raises(ConnectionResetError):
                    local.recv(10)
            else:
                assert local.recv(10) == b""  # a unix socket has no reset
    if adapter is UnixPortforwardAdapter:
        assert not Path(address).exists()


@pytest.mark.parametrize(
    ("held", "command"),
    [
        ("block", ("call", "block")),
        ("ticks", ("items", "ticks")),
        ("port", ("read", "port")),
    ],
)
def test_commands_end_with_one_line(doomed: Exporter, held: str, command: tuple[str, ...]) -> None:
    with doomed.command("j", "faulty", *command) as process:
        eventually(lambda: held in doomed.held(), timeout=LIMIT)
        doomed.process.kill()
        assert process.end() == 1
    errors = [line for line in process.errors if not line.isdigit() and not line.startswith("opened")]
    assert len(errors) == 1, process.lines
    assert GONE in errors[0]


def test_a_command_says_that_nobody_listens(doomed: Exporter) -> None:
    doomed.process.kill()
    with doomed.command("j", "power", "on") as process:
        assert process.end() == 1
        assert len(process.errors) == 1
    assert doomed.address in process.errors[0]
    assert GONE in process.errors[0]


def test_the_log_of_a_killed_exporter_ends(doomed: Exporter, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with doomed.client() as client, client.faulty.log_stream():
        client.faulty.call("flood_log", 1)
        eventually(lambda: any("line 0" in r.getMessage() for r in caplog.records), timeout=LIMIT)
        doomed.process.kill()
        eventually(lambda: any("log ended" in r.getMessage() for r in caplog.records), timeout=LIMIT)


def test_the_next_exporter_takes_the_same_port(doomed: Exporter, tmp_path: Path) -> None:
    port = int(doomed.address.rpartition(":")[2])
    with doomed.client() as client:
        client.power.on()
        doomed.process.kill()
        with running(tmp_path, port=port) as second, second.client() as other:
            other.power.on()
            assert second.process.end(signal.SIGTERM) == 143


def test_the_next_exporter_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    def folders() -> list[Path]:
        return list(tmp_path.glob("jumpstarter-*"))

    with running(tmp_path) as first:
        kept = folders()
        first.process.kill()
    assert folders() == kept != []
    with running(tmp_path) as second:
        assert not set(folders()) & set(kept)
        # One that is alive keeps its own.
        with running(tmp_path):
            assert len(folders()) == 2
        assert second.process.end(signal.SIGTERM) == 143
    assert folders() == []


def test_a_shell_that_is_killed_leaves_a_command_that_ends_clearly(tmp_path: Path) -> None:
    path = tmp_path / "exporter.yaml"
    path.write_text("export: {faulty: {type: faulty.Faulty}}\nmetadata: {name: x}\n")
    shell = ["jmp", "shell", "--exporter-config", str(path), "--", "j", "faulty", "items", "ticks"]
    with Process(shell, tmp_path) as process:
        process.wait_for(r"^3$")
        process.popen.kill()
        # The command has our standard error: it is over when nobody holds that any more.
        process._reader.join(LIMIT)
        assert not process._reader.is_alive()
    errors = [line for line in process.errors if not line.isdigit()]
    assert len(errors) == 1 and GONE in errors[0], process.lines
