"""Byte streams and resources of a session over real sockets."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import grpc
import pytest
from anyio import BrokenResourceError, ClosedResourceError, EndOfStream
from jumpstarter.common.exceptions import DriverError
from jumpstarter.common.streams import ResourceStreamRequest
from jumpstarter.streams.frames import MAX_MESSAGE
from jumpstarter_protocol import router_pb2, router_pb2_grpc
from jumpstarter_testing.eventually import eventually

from .bench import Bench

WAIT = 60.0


# --- byte streams ---


def test_half_close_from_the_client(bench: Bench) -> None:
    with bench.client.stream("connect") as stream:
        stream.send(b"one")
        assert stream.receive() == b"one"
        stream.send_eof()
        assert stream.receive() == b"<end of input>"
        with pytest.raises(EndOfStream):
            stream.receive()
        with pytest.raises(EndOfStream):
            stream.receive()
    assert bench.lab.wait_for("closed")


def test_half_close_from_the_driver(bench: Bench) -> None:
    with bench.client.stream("cut") as stream:
        assert stream.receive() == b"before"
        with pytest.raises(EndOfStream):
            stream.receive()


def test_closing_a_stream_closes_the_driver(bench: Bench) -> None:
    stream = bench.client.open_stream("connect")
    assert bench.lab.wait_for("opened")
    stream.close()
    stream.close()
    assert bench.lab.wait_for("closed")
    with pytest.raises(ClosedResourceError):
        stream.send(b"x")


def test_a_cancelled_stream_closes_the_driver(bench: Bench) -> None:
    request = f'{{"kind":"driver","uuid":"{bench.lab.uuid}","method":"connect"}}'
    never = threading.Event()
    call = bench.stub.Stream(iter(lambda: never.wait(WAIT), True), metadata=(("request", request),))
    assert bench.lab.wait_for("opened")
    call.cancel()
    assert bench.lab.wait_for("closed")
    never.set()


def test_chunks_keep_their_boundaries(bench: Bench) -> None:
    with bench.client.stream("connect") as stream:
        for n in range(20):
            stream.send(b"%d" % n)
        assert [stream.receive() for _ in range(20)] == [b"%d" % n for n in range(20)]


def test_a_chunk_above_4_mib_is_split(bench: Bench) -> None:
    size = 2 * MAX_MESSAGE + 1000
    with bench.client.stream("connect") as stream, ThreadPoolExecutor(1) as pool:
        pool.submit(stream.send, bytes(size))
        sizes: list[int] = []
        while sum(sizes) < size:
            sizes.append(len(stream.receive()))
    assert sum(sizes) == size
    assert max(sizes) <= MAX_MESSAGE


def test_a_stalled_reader_costs_bounded_memory(bench: Bench) -> None:
    with bench.client.stream("flood") as stream:
        stream.receive()
        seen = -1
        while seen != bench.lab.flooded:  # until the flow control has stopped the driver
            seen = bench.lab.flooded
            # What is under way is bounded by the window of HTTP/2, which gRPC makes larger on a busy machine.
            assert seen < 256 << 20
            threading.Event().wait(0.5)
        assert bench.client.call("echo", "alive") == "alive"
    assert bench.lab.wait_for("flood closed")


def test_a_driver_that_cannot_open_its_stream_says_why(bench: Bench) -> None:
    with pytest.raises(DriverError, match="Custom: the port is gone"), bench.client.stream("refuse"):
        pass


def test_a_stream_whose_exporter_ends_breaks(bench: Bench) -> None:
    with bench.client.stream("connect") as stream:
        bench.session._stack.close()
        with ExitStack() as stack:
            stack.callback(bench.lab.release.set)
        with pytest.raises((EndOfStream, BrokenResourceError)):
            for _ in range(1000):
                stream.receive()


def test_stock_clients_streams_use_goaway_and_cancel(bench: Bench) -> None:
    """Frames through protobuf, as other peers make them; empty frames and pings are no data."""
    with grpc.insecure_channel(f"unix:{bench.path}") as channel:
        stub = router_pb2_grpc.RouterServiceStub(channel)  # type: ignore[no-untyped-call]
        request = f'{{"kind":"driver","uuid":"{bench.lab.uuid}","method":"connect"}}'
        frames = [
            router_pb2.StreamRequest(frame_type=6),  # type: ignore[arg-type]
            router_pb2.StreamRequest(payload=b""),
            router_pb2.StreamRequest(payload=b"data"),
            router_pb2.StreamRequest(frame_type=7),  # type: ignore[arg-type]
            router_pb2.StreamRequest(frame_type=7),  # type: ignore[arg-type]
        ]
        call = stub.Stream(iter(frames), metadata=(("request", request),))
        assert call.initial_metadata() is not None
        answers = list(call)
    assert [a.payload for a in answers if a.frame_type == 0] == [b"data", b"<end of input>"]
    assert answers[-1].frame_type == 7
    assert bench.lab.wait_for("closed")


# --- resources ---


def test_a_resource_is_read_by_the_driver(bench: Bench) -> None:
    with bench.client.sending([b"abc", b"", bytes(5 << 20)]) as handle:
        assert bench.client.call("size", handle) == 3 + (5 << 20)


def test_a_resource_is_written_by_the_driver(bench: Bench) -> None:
    file = io.BytesIO()
    with bench.client.receiving(file) as handle:
        bench.client.call("produce", handle, 9 << 20)
    assert len(file.getvalue()) == 9 << 20


def test_a_handle_is_valid_once_and_at_its_driver(bench: Bench) -> None:
    with bench.client.sending([b"abc"]) as handle:
        with pytest.raises(DriverError, match="no resource"):
            bench.client.children["other"].call("size", handle)
        assert bench.client.call("size", handle) == 3
        with pytest.raises(DriverError, match="a handle is valid once"):
            bench.client.call("size", handle)


def test_a_resource_that_nobody_reads_is_given_up_with_its_context(bench: Bench) -> None:
    with bench.client.sending(bytes(1 << 20) for _ in range(1000)) as handle:
        assert bench.client.call("ignore", handle) == "ignored"
        assert len(bench.lab.resources) == 1
    with bench.client.sending([b"abc"]) as handle:
        assert bench.client.call("size", handle) == 3
    eventually(lambda: not bench.lab.resources, timeout=WAIT)


def test_a_source_that_fails_fails_the_transfer(bench: Bench) -> None:
    def source() -> Iterator[bytes]:
        yield b"abc"
        raise OSError("the file is gone")

    with pytest.raises(OSError, match="the file is gone"), bench.client.sending(source()) as handle:
        bench.client.call("size", handle)


def test_encodings_that_are_not_known_are_not_accepted(bench: Bench) -> None:
    for encoding, accepted in ((None, ""), ("gzip", "gzip"), ("rar", None)):
        request = ResourceStreamRequest(uuid=bench.lab.uuid, x_jmp_content_encoding=encoding)
        call = bench.stub.Stream(iter(()), metadata=(("request", request.to_json()),))
        metadata = dict(call.initial_metadata())
        assert metadata.get("x_jmp_accept_encoding") == accepted
        assert "resource" in metadata
        call.cancel()
