"""Clients that send what no client should: each call ends with a status, and the exporter serves the next one."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from jumpstarter.common.exceptions import DriverError, DriverInvalidArgument
from jumpstarter_protocol import jumpstarter_pb2 as pb
from jumpstarter_testing.eventually import eventually

from .conftest import LIMIT, Exporter

Code = grpc.StatusCode
DATA, RST, PING, GOAWAY = 0, 3, 6, 7
BYTES = 1 << 27
#: The UUID of no driver and of no stream.
NOBODY = "0190163a-0000-7000-8000-000000000000"


class Raw:
    """The exporter's methods without our client."""

    def __init__(self, channel: grpc.Channel, uuid: str) -> None:
        self.channel = channel
        self.uuid = uuid
        self._stream = channel.stream_stream("/jumpstarter.v1.RouterService/Stream")

    def unary(self, method: str, message: bytes) -> bytes:
        """Call a method of ExporterService with the bytes of a message."""
        call = self.channel.unary_unary(f"/jumpstarter.v1.ExporterService/{method}")
        return bytes(call(message, timeout=LIMIT))

    def stream(self, frames: Any, request: Any) -> Any:
        metadata = () if request is None else (("request", request),)
        return self._stream(iter(frames), metadata=metadata, timeout=LIMIT)

    def driver_stream(self, frames: Any, method: str = "port") -> Any:
        return self.stream(frames, json.dumps({"kind": "driver", "uuid": self.uuid, "method": method}))


@pytest.fixture
def raw(exporter: Exporter) -> Iterator[Raw]:
    with exporter.client() as client, grpc.insecure_channel(exporter.address) as channel:
        yield Raw(channel, str(client.faulty.uuid))


def frame(kind: int, payload: bytes = b"") -> bytes:
    from jumpstarter_protocol import router_pb2

    return router_pb2.StreamRequest(payload=payload, frame_type=kind).SerializeToString()  # type: ignore[arg-type]


def status(action: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        action()
    error: Any = caught.value
    return error.code(), error.details()


@pytest.mark.parametrize(
    ("uuid", "method", "code"),
    [
        ("", "ping", Code.NOT_FOUND),
        ("no uuid", "ping", Code.NOT_FOUND),
        (NOBODY, "ping", Code.NOT_FOUND),
        (None, "", Code.NOT_FOUND),
        (None, "nope", Code.NOT_FOUND),
        (None, "__init__", Code.NOT_FOUND),
        (None, "close", Code.NOT_FOUND),
        (None, "children", Code.NOT_FOUND),
        (None, "logger.info", Code.NOT_FOUND),
        (None, "ticks", Code.NOT_FOUND),  # of another kind
        (None, "x" * 100_000, Code.NOT_FOUND),
        (None, "fail", Code.UNKNOWN),  # no arguments
    ],
)
def test_calls_of_what_is_not_there(raw: Raw, uuid: str | None, method: str, code: Code) -> None:
    request = pb.DriverCallRequest(uuid=raw.uuid if uuid is None else uuid, method=method)
    assert status(lambda: raw.unary("DriverCall", request.SerializeToString()))[0] is code
    if method != "ticks":
        call = raw.channel.unary_stream("/jumpstarter.v1.ExporterService/StreamingDriverCall")
        found = status(lambda: list(call(request.SerializeToString(), timeout=LIMIT)))[0]
        assert found is Code.NOT_FOUND


def test_bytes_that_are_no_message(raw: Raw) -> None:
    for garbage in (b"\xff", b"\x0a\xff\xff\xff\xff\x7f", b"\x08", bytes(range(256))):
        for method in ("DriverCall", "StreamingDriverCall"):
            assert status(lambda m=method, g=garbage: raw.unary(m, g))[0] in (  # type: ignore[misc]
                Code.INTERNAL,
                Code.UNKNOWN,
                Code.NOT_FOUND,
            )
    assert status(lambda: raw.unary("NoSuchMethod", b""))[0] is Code.UNIMPLEMENTED


def test_a_message_that_is_too_large(raw: Raw) -> None:
    request = pb.DriverCallRequest(uuid=raw.uuid, method="ping")
    request.args.add().string_value = "x" * (5 << 20)
    assert status(lambda: raw.unary("DriverCall", request.SerializeToString()))[0] is Code.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    "request_text",
    [
        None,
        "",
        "no json",
        "[]",
        "null",
        "1",
        "{}",
        '{"kind": "driver"}',
        '{"kind": "driver", "uuid": "x", "method": "port"}',
        '{"kind": "other", "uuid": "UUID", "method": "port"}',
        '{"kind": "driver", "uuid": "UUID"}',
        '{"kind": "driver", "uuid": "UUID", "method": 5}',
        '{"kind": "driver", "uuid": "UUID", "method": null}',
        '{"kind": "driver", "uuid": "UUID", "method": "ping"}',
        '{"kind": ["driver"], "uuid": "UUID", "method": {"a": 1}}',
        '{"kind": "resource", "uuid": "UUID", "x_jmp_content_encoding": 5}',
        '{"kind": "resource"}',
        "[" * 5000,
    ],
)
def test_streams_that_ask_for_nonsense(raw: Raw, request_text: str | None) -> None:
    text = request_text.replace("UUID", raw.uuid) if request_text else request_text
    code, details = status(lambda: list(raw.stream([frame(GOAWAY)], text)))
    assert code in (Code.INVALID_ARGUMENT, Code.NOT_FOUND), (code, details)
    assert details and len(details.splitlines()) == 1


def test_an_unknown_encoding_is_not_accepted(raw: Raw) -> None:
    request = {"kind": "resource", "uuid": raw.uuid, "x_jmp_content_encoding": "rot13"}
    call = raw.stream([frame(GOAWAY)], json.dumps(request))
    metadata = dict(call.initial_metadata())
    assert "resource" in metadata
    assert "x_jmp_accept_encoding" not in metadata
    call.cancel()


def test_frames_that_mean_nothing_are_left_out(raw: Raw) -> None:
    frames = [frame(PING, b"ping"), frame(42, b"?"), frame(DATA), frame(DATA, b"data"), frame(GOAWAY)]
    assert b"data" in b"".join(raw.driver_stream(frames))


def test_data_after_the_end_and_two_ends(raw: Raw) -> None:
    frames = [frame(DATA, b"first"), frame(GOAWAY), frame(GOAWAY), frame(DATA, b"late"), frame(GOAWAY)]
    answer = b"".join(raw.driver_stream(frames))
    assert b"first" in answer
    assert b"late" not in answer


def test_frames_that_are_no_message_end_the_stream(exporter: Exporter, raw: Raw) -> None:
    code, _ = status(lambda: list(raw.driver_stream([b"\xff\xff\xff"])))
    assert code is not Code.OK
    eventually(lambda: exporter.held() == [], timeout=LIMIT)


@pytest.mark.parametrize("method", ["port", "deaf"])
def test_a_half_close_without_goaway(exporter: Exporter, raw: Raw, method: str) -> None:
    call = raw.driver_stream([frame(DATA, b"data")], method)
    if method == "port":
        assert b"data" in b"".join(call)
    call.cancel()
    eventually(lambda: exporter.held() == [], timeout=LIMIT)


def test_reset_at_once(exporter: Exporter, raw: Raw) -> None:
    call = raw.driver_stream([frame(RST), frame(GOAWAY)])
    list(call)
    eventually(lambda: exporter.held() == [], timeout=LIMIT)


@pytest.mark.parametrize(
    "handle",
    [
        None,
        5,
        "x",
        [],
        {},
        {"kind": "client_stream"},
        {"kind": "client_stream", "uuid": "x"},
        {"kind": "client_stream", "uuid": NOBODY, "x_jmp_content_encoding": None},
        {"kind": "client_stream", "uuid": NOBODY, "x_jmp_content_encoding": "rot13"},
        {"kind": "presigned_request"},
        {"kind": "presigned_request", "url": "file:///etc/passwd", "method": "GET", "headers": {}},
        {"kind": "presigned_request", "url": "http://", "method": "GET", "headers": {}},
        {"kind": "presigned_request", "url": "http://127.0.0.1:1/x", "method": "GET", "headers": {}},
        {"kind": "presigned_request", "url": "http://127.0.0.1:1/x", "method": "DELETE", "headers": {}},
        {"kind": "presigned_request", "url": 5, "method": "GET", "headers": 5},
        {"kind": "other"},
    ],
    ids=lambda handle: str(handle)[:70],
)
@pytest.mark.parametrize("method", ["take", "take_async"])
def test_handles_that_are_none(exporter: Exporter, method: str, handle: Any) -> None:
    with exporter.client() as client, pytest.raises(DriverError) as caught:
        client.faulty.call(method, handle)
    assert "root:" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_handle_is_good_once(exporter: Exporter) -> None:
    with exporter.client() as client, client.faulty.sending([b"x"]) as handle:
        assert client.faulty.call("take", handle) == 1
        with pytest.raises(DriverError, match="valid once"):
            client.faulty.call("take", handle)


def bomb() -> Iterator[bytes]:
    """128 MiB of zeros in 128 KiB."""
    packer = zlib.compressobj(9, wbits=31)
    for _ in range(BYTES >> 20):
        yield packer.compress(bytes(1 << 20))
    yield packer.flush()


@pytest.mark.parametrize("method", ["take", "take_async"])
def test_a_decompression_bomb_costs_no_memory(exporter: Exporter, method: str) -> None:
    packed = b"".join(bomb())
    with exporter.client() as client:
        before = exporter.rss()
        with client.faulty.sending([packed], "gzip") as handle:
            assert client.faulty.call(method, handle) == BYTES
        assert exporter.rss() < before + 40


@pytest.mark.parametrize("method", ["take", "take_async"])
def test_compressed_data_that_is_cut_or_broken(exporter: Exporter, tmp_path: Path, method: str) -> None:
    import random

    packed = gzip.compress(random.Random(1).randbytes(300_000))
    broken = packed[:1000] + bytes(1000) + packed[2000:]
    cases = {
        "ends in the middle": packed[:-9],
        "not gzip data": b"PK\x03\x04" + packed,
        "not gzip data: .*": broken,
    }
    with exporter.client() as client:
        for words, data in cases.items():
            arguments = [str(tmp_path / "out")] if method == "take" else []
            with (
                pytest.raises(DriverInvalidArgument, match=words),
                client.faulty.sending([data], "gzip") as handle,
            ):
                client.faulty.call(method, handle, *arguments)
            assert not (tmp_path / "out").exists()


def test_connections_that_say_nothing_or_rubbish(exporter: Exporter) -> None:
    host, _, port = exporter.address.rpartition(":")
    files = exporter.open_files()
    quiet = [socket.create_connection((host, int(port))) for _ in range(50)]
    for sock in quiet[:25]:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + bytes(range(256)) * 20)
    with exporter.client() as client:
        assert client.faulty.call("ping") == "pong"
    for sock in quiet:
        sock.close()
    eventually(lambda: exporter.open_files() <= files + 2, timeout=LIMIT)


def test_a_thousand_calls_with_random_cancellations(exporter: Exporter) -> None:
    import random
    from concurrent.futures import ThreadPoolExecutor

    chance = random.Random(4)
    plan = [chance.choice(("ping", "block_async", "ticks", "ticks_async", "port")) for _ in range(1000)]
    holding = threading.Lock()

    def one(raw_client: Any, kind: str) -> str:
        stub, uuid = raw_client.stub, str(raw_client.faulty.uuid)
        if kind == "ping":
            future = stub.DriverCall.future(pb.DriverCallRequest(uuid=uuid, method="ping"))
            return str(future.result(LIMIT).result.string_value)
        if kind == "block_async":
            future = stub.DriverCall.future(pb.DriverCallRequest(uuid=uuid, method=kind))
            future.cancel()
        elif kind == "port":
            with holding:
                stream = raw_client.faulty.open_stream(kind)
                stream.stream.cancel()
        else:
            items = raw_client.faulty.streamingcall(kind)
            try:
                next(items)
            except DriverError as error:
                assert "in use by another client" in str(error)
            items.close()
        return "cancelled"

    with exporter.client() as client, ThreadPoolExecutor(64) as pool:
        client.faulty.call("ping")
        answers = list(pool.map(lambda kind: settle(one, client, kind), plan))
        assert answers.count("pong") == plan.count("ping")
        eventually(lambda: exporter.held() == [], timeout=LIMIT)
        assert client.faulty.call("ping") == "pong"


def settle(action: Any, client: Any, kind: str) -> str:
    """*action*; a device that another thread's cancelled call is about to leave may refuse."""
    try:
        return str(action(client, kind))
    except DriverError as error:
        assert "in use by another client" in str(error)
        return "refused"
