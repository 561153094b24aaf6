"""A client that is killed, or vanishes, frees the device at once and leaves nothing on the exporter."""

from __future__ import annotations

from pathlib import Path

import pytest
from jumpstarter_testing.eventually import eventually

from .conftest import LIMIT, Exporter

#: What holds the device, and the client's code.
ACTIONS = {
    "block_async": 'faulty.call("block_async")',
    "ticks": '[None for _ in faulty.streamingcall("ticks")]',
    "ticks_async": '[None for _ in faulty.streamingcall("ticks_async")]',
    "port": 'with faulty.stream("port") as s: s.receive()',
    "deaf": 'with faulty.stream("deaf") as s:\n        while True: s.send(b"x" * 65536)',
    "take_async": 'with faulty.sending(endless()) as h: faulty.call("take_async", h)',
    "give": 'with faulty.receiving(open("/dev/null", "wb")) as h: faulty.call("give", h, 1 << 40)',
    "give_async": 'with faulty.receiving(open("/dev/null", "wb")) as h: faulty.call("give_async", h, 1 << 40)',
}


@pytest.mark.parametrize("name", ACTIONS)
def test_what_it_held_is_free(exporter: Exporter, name: str) -> None:
    with exporter.client_process(ACTIONS[name]) as client:
        eventually(lambda: name in exporter.held(), timeout=LIMIT)
        client.kill()
        eventually(lambda: name not in exporter.held(), timeout=LIMIT)


def test_its_upload_leaves_no_part(exporter: Exporter, tmp_path: Path) -> None:
    target = tmp_path / "image"
    action = f'with faulty.sending(endless()) as h: faulty.call("take", h, {str(target)!r})'
    with exporter.client_process(action) as client:
        eventually(lambda: target.exists() and target.stat().st_size > 1 << 20, timeout=LIMIT)
        client.kill()
        eventually(lambda: not target.exists(), timeout=LIMIT)


def test_a_handle_that_it_never_used_is_forgotten(exporter: Exporter) -> None:
    with exporter.client() as other:
        action = 'with faulty.sending(endless()) as h: faulty.call("block_async")'
        with exporter.client_process(action) as client:
            eventually(lambda: other.faulty.call("handles") == 1, timeout=LIMIT)
            client.kill()
            eventually(lambda: other.faulty.call("handles") == 0, timeout=LIMIT)


def test_its_forwarded_connections_close(exporter: Exporter) -> None:
    action = (
        "import socket\n"
        "    from jumpstarter_driver_network.adapters import TcpPortforwardAdapter\n"
        '    with TcpPortforwardAdapter(faulty, method="port") as a, socket.create_connection(a) as s: s.recv(1)'
    )
    with exporter.client_process(action) as client:
        eventually(lambda: "port" in exporter.held(), timeout=LIMIT)
        client.kill()
        eventually(lambda: "port" not in exporter.held(), timeout=LIMIT)


@pytest.mark.parametrize(("name", "command"), [("ticks", ("items", "ticks")), ("port", ("read", "port"))])
def test_a_killed_command_frees_the_device(exporter: Exporter, name: str, command: tuple[str, ...]) -> None:
    with exporter.command("j", "faulty", *command) as process:
        eventually(lambda: name in exporter.held(), timeout=LIMIT)
        process.kill()
        eventually(lambda: name not in exporter.held(), timeout=LIMIT)


def test_a_plain_method_cannot_be_cancelled_and_others_go_on(doomed: Exporter) -> None:
    with doomed.client_process('faulty.call("block")') as client:
        eventually(lambda: "block" in doomed.held(), timeout=LIMIT)
        client.kill()
    with doomed.client() as other:
        assert other.other.call("ping") == "pong"
        assert other.power.on() is None
        # The driver says itself who is in its way.
        assert other.faulty.call("held") == ["block"]


def test_many_killed_clients_leave_no_file_open_and_no_thread(doomed: Exporter) -> None:
    def round_of_clients() -> None:
        for name in ("ticks", "port", "give"):
            with doomed.client_process(ACTIONS[name]) as client:
                eventually(lambda name=name: name in doomed.held(), timeout=LIMIT)  # type: ignore[misc]
                client.kill()
                eventually(lambda name=name: name not in doomed.held(), timeout=LIMIT)  # type: ignore[misc]

    round_of_clients()
    with doomed.client():
        files, threads = doomed.open_files(), doomed.threads()
    for _ in range(3):
        round_of_clients()
    with doomed.client():
        eventually(lambda: doomed.open_files() <= files + 1, timeout=LIMIT)
        assert doomed.threads() <= threads + 2
