"""Frames are what protobuf would write, and everything that protobuf reads is read."""

from __future__ import annotations

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from jumpstarter.streams.frames import (
    DATA,
    GOAWAY,
    GOAWAY_FRAME,
    MAX_MESSAGE,
    PING,
    RST_STREAM,
    decode_frame,
    encode_frame,
    split,
)
from jumpstarter_protocol import router_pb2

kinds = st.sampled_from([DATA, RST_STREAM, PING, GOAWAY])


@given(kinds, st.binary(max_size=300))
def test_bytes_are_those_of_protobuf(kind: int, payload: bytes) -> None:
    message = router_pb2.StreamRequest(payload=payload, frame_type=kind)  # type: ignore[arg-type]
    assert encode_frame((kind, payload)) == message.SerializeToString()
    assert decode_frame(message.SerializeToString()) == (kind, payload)


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16383, 16384, 65536, 1 << 20, (1 << 21) + 3])
@pytest.mark.parametrize("kind", [DATA, GOAWAY])
def test_every_length_of_the_length(size: int, kind: int) -> None:
    payload = b"\x10" * size
    message = router_pb2.StreamResponse(payload=payload, frame_type=kind)  # type: ignore[arg-type]
    assert encode_frame((kind, payload)) == message.SerializeToString()
    assert decode_frame(encode_frame((kind, payload))) == (kind, payload)


@given(kinds, st.binary(max_size=40))
def test_fields_in_another_order_are_read(kind: int, payload: bytes) -> None:
    payload_field = router_pb2.StreamRequest(payload=payload).SerializeToString()
    kind_field = router_pb2.StreamRequest(frame_type=kind).SerializeToString()  # type: ignore[arg-type]
    assert decode_frame(kind_field + payload_field) == (kind, payload)


@given(st.binary(max_size=40))
def test_unknown_fields_are_passed_over(payload: bytes) -> None:
    unknown = b"\x7a\x03abc" + b"\x98\x01\x05"  # field 15, text; field 19, a number
    known = encode_frame((DATA, payload))
    assert decode_frame(known + unknown) == (DATA, payload)
    assert decode_frame(unknown + known) == (DATA, payload)


def test_of_a_repeated_field_the_last_one_counts() -> None:
    assert decode_frame(encode_frame((DATA, b"a")) + encode_frame((GOAWAY, b"b"))) == (GOAWAY, b"b")


def test_an_explicit_default_is_data() -> None:
    assert decode_frame(b"\x0a\x01x\x10\x00") == (DATA, b"x")
    assert decode_frame(b"\x0a\x00") == (DATA, b"")


@given(st.binary(max_size=60))
def test_any_bytes_are_read_as_protobuf_reads_them(data: bytes) -> None:
    try:
        message = router_pb2.StreamRequest.FromString(data)
    except DecodeError:
        with pytest.raises(DecodeError):
            decode_frame(data)
    else:
        assert decode_frame(data) == (message.frame_type, message.payload)


@given(st.binary(max_size=100), st.integers(1, 30))
def test_split_keeps_every_byte_and_the_bound(chunk: bytes, most: int) -> None:
    frames = list(split(chunk, most))
    assert b"".join(payload for _, payload in frames) == chunk
    assert all(kind == DATA and len(payload) <= most for kind, payload in frames)


def test_the_largest_frame_fits_into_a_grpc_message() -> None:
    assert len(encode_frame((DATA, bytes(MAX_MESSAGE)))) <= 4 << 20


def test_the_end_is_a_goaway_without_payload() -> None:
    assert decode_frame(encode_frame(GOAWAY_FRAME)) == (GOAWAY, b"")
