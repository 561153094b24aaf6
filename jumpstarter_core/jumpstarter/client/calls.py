"""Calls of an exporter's methods in the caller's thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final
from uuid import UUID

import grpc
from jumpstarter_protocol import jumpstarter_pb2 as pb

from jumpstarter.common.enums import ExporterStatus
from jumpstarter.common.errors import connection_error, driver_error
from jumpstarter.common.exceptions import ConnectionError
from jumpstarter.common.repeats import UNKNOWN_END
from jumpstarter.common.values import decode_value, fill_value

from .rpc import StreamCall
from .transport import moved, note_loss, recovers

#: What `ItemStream` gives to ``next(items, END)`` after the last item.
END: Final = object()

#: Seconds that a call about the session itself may take.
CONTROL_TIMEOUT: Final = 5.0


def call(stub: Any, uuid: UUID, method: str, args: Sequence[Any]) -> Any:
    """The result of a driver's *method*. Raises DriverError and its subclasses, ConnectionError when the exporter is gone."""
    request = pb.DriverCallRequest(uuid=str(uuid), method=method)
    for arg in args:
        fill_value(request.args.add(), arg)
    try:
        return decode_value(stub.DriverCall(request).result)
    except grpc.RpcError as error:
        new = moved(stub, error, request.uuid)
        if new is None:
            raise _failure(stub, error, method) from None
        return call(stub, UUID(new), method, args)


def _failure(stub: Any, error: grpc.RpcError, method: str) -> Exception:
    failure = driver_error(error, method)
    if recovers(stub, error) and isinstance(failure, ConnectionError):
        failure.add(UNKNOWN_END)  # an exporter that knows no calls by their names
    return failure


class ItemStream:
    """Iterates what a driver's generator gives; `close` ends it."""

    def __init__(self, stub: Any, uuid: UUID, method: str, args: Sequence[Any]) -> None:
        self._method = method
        self._stub = stub
        self._received = 0
        self._request = pb.StreamingDriverCallRequest(uuid=str(uuid), method=method)
        for arg in args:
            fill_value(self._request.args.add(), arg)
        self._call = self._start()

    def _start(self) -> Any:
        return StreamCall(lambda: self._stub.StreamingDriverCall(self._request))

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            item = next(self._call)
        except grpc.RpcError as error:
            note_loss(self._stub, error)
            new = None if self._received else moved(self._stub, error, self._request.uuid)
            if new is None:
                raise self._failure(error) from None
            self._request.uuid = new
            self._call = self._start()
            return next(self)
        self._received += 1
        return decode_value(item.result)

    def _failure(self, error: grpc.RpcError) -> Exception:
        failure = driver_error(error, self._method)
        if isinstance(failure, ConnectionError):
            failure.add(f"the call of '{self._method}' was cut when {self._received} items had arrived")
        return failure

    def close(self) -> None:
        """End the generator on the exporter, if it has not ended."""
        self._call.cancel()


def get_status(stub: Any) -> ExporterStatus | None:
    """The exporter's status; None when it is too old to tell."""
    try:
        return ExporterStatus.from_proto(
            stub.GetStatus(pb.GetStatusRequest(), timeout=CONTROL_TIMEOUT).status
        )
    except grpc.RpcError as error:
        if error.code() is grpc.StatusCode.UNIMPLEMENTED:
            return None
        raise connection_error(error) from None


def end_session(stub: Any) -> bool:
    """See `AsyncDriverClient.end_session_async`."""
    try:
        return bool(stub.EndSession(pb.EndSessionRequest(), timeout=CONTROL_TIMEOUT).success)
    except grpc.RpcError as error:
        if error.code() is grpc.StatusCode.UNIMPLEMENTED:
            return False
        # The exporter may be gone before its answer: the session has ended all the same.
        return error.code() in (
            grpc.StatusCode.UNAVAILABLE,
            grpc.StatusCode.CANCELLED,
            grpc.StatusCode.DEADLINE_EXCEEDED,
        )
