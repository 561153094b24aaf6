"""Calls of which gRPC loses the event of the beginning, as it has done where a connection broke while a call began."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import _channel
from grpc._cython.cygrpc import OperationType
from jumpstarter.client.rpc import StreamCall

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def lossy(monkeypatch: pytest.MonkeyPatch) -> None:
    handle = _channel._handle_event

    def lose(event: Any, *args: Any) -> Any:
        kinds = {each.type() for each in event.batch_operations}
        return [] if kinds == {OperationType.receive_initial_metadata} else handle(event, *args)

    monkeypatch.setattr(_channel, "_handle_event", lose)


@pytest.mark.usefixtures("lossy")
def test_a_call_that_failed_without_a_beginning_is_not_waited_for(tmp_path: Path) -> None:
    # Not closed: gRPC's thread waits for the event still.
    channel = grpc.insecure_channel(f"unix:{tmp_path}/nobody")
    call = StreamCall(lambda: channel.stream_stream("/a/b")(iter(())))
    assert call.initial_metadata() == ()
    assert call.code() is grpc.StatusCode.UNAVAILABLE
