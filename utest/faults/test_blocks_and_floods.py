"""Drivers that block or flood: others go on, ends come in time, and memory stays bounded."""

from __future__ import annotations

import itertools
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from anyio import BrokenResourceError
from jumpstarter.common.exceptions import ConnectionError, DriverError
from jumpstarter.session.executor import MAX_STREAMS
from jumpstarter_testing.eventually import eventually

from .conftest import LIMIT, Exporter, Process

#: MiB that an exporter may grow by while a client reads nothing of a flood.
GROWTH = 100


def test_others_go_on_while_a_hundred_calls_block(doomed: Exporter) -> None:
    with doomed.client() as client:
        blocked = []
        for _ in range(100):
            thread = threading.Thread(target=ends, args=(client, "block_too"), daemon=True)
            thread.start()
            blocked.append(thread)
        eventually(lambda: client.faulty.call("waiting") == 100, timeout=LIMIT)
        for _ in range(20):
            assert client.other.call("ping") == "pong"
        assert doomed.process.end(signal.SIGTERM) == 143
        for thread in blocked:
            thread.join(LIMIT)
            assert not thread.is_alive()


def ends(client: Any, method: str) -> None:
    with pytest.raises(ConnectionError):
        client.faulty.call(method)


@pytest.mark.parametrize("method", ["block", "block_async", "ticks", "port", "deaf"])
def test_sigterm_ends_an_exporter_whose_driver_is_busy(doomed: Exporter, method: str) -> None:
    kind = {"ticks": "items", "port": "read", "deaf": "read"}.get(method, "call")
    with doomed.command("j", "faulty", kind, method) as j:
        eventually(lambda: method in doomed.held(), timeout=LIMIT)
        assert doomed.process.end(signal.SIGTERM) == 143
        assert j.end() == 1
    assert not any("Traceback" in line for line in doomed.process.lines), doomed.process.lines


def test_sigterm_ends_an_exporter_whose_event_loop_is_blocked(doomed: Exporter) -> None:
    with doomed.client_process('faulty.call("block_loop", 1000)') as client:
        eventually(lambda: "block_loop" in doomed.held(), timeout=LIMIT)
        assert doomed.process.end(signal.SIGTERM) == 143
        assert client.end() == 1
    assert any("does not end: something blocks it" in line for line in doomed.process.lines)


def test_a_blocked_event_loop_blocks_no_plain_method(doomed: Exporter) -> None:
    with doomed.client_process('faulty.call("block_loop", 1000)'), doomed.client() as client:
        eventually(lambda: "block_loop" in doomed.held(), timeout=LIMIT)
        assert client.other.call("ping") == "pong"
        doomed.process.kill()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("held", "command"),
    [
        ("block", ("call", "block")),
        ("block_async", ("call", "block_async")),
        ("ticks", ("items", "ticks")),
        ("port", ("read", "port")),
    ],
)
def test_a_signal_ends_a_command(
    doomed: Exporter, signum: signal.Signals, held: str, command: tuple[str, ...]
) -> None:
    with doomed.command("j", "faulty", *command) as j:
        eventually(lambda: held in doomed.held(), timeout=LIMIT)
        assert j.end(signum) == 128 + signum
    assert not any("Traceback" in line for line in j.lines), j.lines
    if held != "block":
        eventually(lambda: doomed.held() == [], timeout=LIMIT)


@pytest.mark.parametrize("method", ["flood_items", "flood_items_async"])
@pytest.mark.parametrize("size", [100, 1 << 20])
def test_items_nobody_takes_wait_at_their_source(exporter: Exporter, method: str, size: int) -> None:
    with exporter.client() as client:
        before = exporter.rss()
        items = client.faulty.streamingcall(method, size)
        assert next(items) == "x" * size
        settled(exporter)
        assert exporter.rss() < before + GROWTH
        assert all(item == "x" * size for item in itertools.islice(items, 20))
        items.close()


def test_a_stream_that_nobody_reads_waits_at_its_source(exporter: Exporter) -> None:
    with exporter.client() as client:
        before = exporter.rss()
        with client.faulty.stream("flood") as stream:
            assert stream.receive()
            settled(exporter)
            assert exporter.rss() < before + GROWTH
            assert stream.receive()


def settled(exporter: Exporter) -> None:
    """Return when the exporter has nothing more to do: its processor time stands still."""

    def ticks() -> int:
        fields = Path(f"/proc/{exporter.process.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    seen = [ticks()]

    def quiet() -> bool:
        seen.append(ticks())
        return len(seen) > 3 and seen[-1] - seen[-3] <= 1

    eventually(quiet, timeout=LIMIT, interval=0.2)


def test_a_log_that_nobody_reads_is_dropped_and_the_reader_told(exporter: Exporter) -> None:
    from google.protobuf.empty_pb2 import Empty

    with exporter.client() as client:
        log = client.stub.LogStream(Empty())
        next(log)
        before = exporter.rss()
        assert client.faulty.call("flood_log", 30_000) == 30_000
        assert exporter.rss() < before + GROWTH
        found = next(line.message for line in log if "log lines were dropped" in line.message)
        assert found.endswith("this client reads them too slowly")
        log.cancel()


def test_threads_that_a_driver_leaks_do_not_keep_the_exporter(doomed: Exporter) -> None:
    with doomed.client() as client:
        assert client.faulty.call("leak_threads", 50) > 50
    assert doomed.process.end(signal.SIGTERM) == 143


def test_a_handle_that_the_driver_ignores_ends_with_the_call(exporter: Exporter) -> None:
    import io

    with exporter.client() as client:
        with client.faulty.sending([b"x"] * 3) as handle:
            assert client.faulty.call("ignore", handle) == "ignored"
        with client.faulty.receiving(io.BytesIO()) as handle:
            assert client.faulty.call("ignore", handle) == "ignored"


def test_a_source_that_fails_cuts_the_upload(exporter: Exporter, tmp_path: Path) -> None:
    def source() -> Any:
        yield b"x" * 1000
        raise OSError(5, "Input/output error", "/mnt/image")

    target = tmp_path / "target"
    with exporter.client() as client:
        with pytest.raises(OSError, match="Input/output error"), client.faulty.sending(source()) as handle:
            client.faulty.call("take", handle, str(target))
        eventually(lambda: not target.exists(), timeout=LIMIT)


def test_a_stream_whose_exporter_stops_tells_its_writer(doomed: Exporter) -> None:
    with doomed.client() as client, client.faulty.stream("port") as stream:
        stream.send(b"x")
        assert stream.receive() == b"x"
        assert doomed.process.end(signal.SIGTERM) == 143
        with pytest.raises(BrokenResourceError):
            while True:
                stream.send(b"x")


def test_two_exporters_on_one_port(doomed: Exporter, tmp_path: Path) -> None:
    port = doomed.address.rpartition(":")[2]
    command = ["jmp", "run", "--exporter-config", str(tmp_path / "exporter.yaml"), "--tls-grpc-insecure"]
    with Process([*command, "--tls-grpc-listener", f"127.0.0.1:{port}"], tmp_path) as second:
        assert second.end() == 1
        assert [line for line in second.lines if "in use" in line and doomed.address in line]
    with doomed.client() as client:
        assert client.faulty.call("ping") == "pong"


def test_calls_go_on_when_a_session_has_as_many_streams_as_it_takes(doomed: Exporter) -> None:
    with doomed.client() as client:
        streams = [client.faulty.open_stream("silent") for _ in range(MAX_STREAMS)]
        with pytest.raises(
            DriverError, match=f"the exporter has {MAX_STREAMS} streams open.*close some of them$"
        ):
            client.faulty.open_stream("silent")
        assert client.other.call("ping") == "pong"
        for stream in streams:
            stream.stream.cancel()

        def opens() -> bool:
            try:
                client.faulty.open_stream("silent").stream.cancel()
            except DriverError:
                return False
            return True

        eventually(opens, timeout=LIMIT)
        doomed.process.kill()


def test_more_streams_at_once_than_a_session_takes_stop_no_call(doomed: Exporter) -> None:
    opened: list[Any] = []
    refused: list[str] = []

    def open_one() -> None:
        try:
            opened.append(client.faulty.open_stream("silent"))
        except DriverError as error:
            refused.append(str(error))

    with doomed.client() as client:
        threads = [threading.Thread(target=open_one) for _ in range(MAX_STREAMS + 88)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT)
        assert len(opened) + len(refused) == len(threads)
        assert all(text.endswith("close some of them") for text in refused)
        assert client.other.call("ping") == "pong"
        for stream in opened:
            stream.stream.cancel()
        doomed.process.kill()
