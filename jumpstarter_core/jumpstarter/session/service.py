"""ExporterService: reports, driver calls, logs and status of a session."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from random import getrandbits
from typing import TYPE_CHECKING, Any, Final

import grpc
from jumpstarter_protocol import jumpstarter_pb2 as pb

from jumpstarter.common.errors import ERROR_TYPE_KEY, status_of, type_name
from jumpstarter.common.log_marks import MARK_KEY, mark_in
from jumpstarter.common.repeats import REPEATS_KEY
from jumpstarter.common.values import decode_value, fill_value
from jumpstarter.driver.decorators import MARKER_DRIVERCALL, MARKER_STREAMING_DRIVERCALL

from .items import Items

if TYPE_CHECKING:
    from . import Session

logger = logging.getLogger("jumpstarter.session")

#: What gRPC peers accept in one message unless told otherwise, less some room for the envelope.
MAX_RESULT: Final = (4 << 20) - 1024


class ExporterService:
    """The handlers; each runs on a thread of its own (see `DaemonExecutor`)."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def GetReport(self, request: Any, context: grpc.ServicerContext) -> pb.GetReportResponse:  # noqa: N802
        context.set_trailing_metadata(((REPEATS_KEY, "1"),))
        return self._session.report()

    def DriverCall(  # noqa: N802
        self, request: pb.DriverCallRequest, context: grpc.ServicerContext
    ) -> pb.DriverCallResponse:
        try:
            self._session.status.check_open()
            method = self._session.methods.find(request.uuid, request.method, MARKER_DRIVERCALL)
            result = method([decode_value(arg) for arg in request.args])
            if hasattr(result, "__await__"):
                result = self._await(result, context)
            response = pb.DriverCallResponse(uuid=_fresh_uuid())
            fill_value(response.result, result)
            _check_size(response, request.method)
        except BaseException as error:  # noqa: BLE001 - becomes the status of the call, also what ends programs
            self._fail(context, error, request)
        return response

    def StreamingDriverCall(  # noqa: N802
        self, request: pb.StreamingDriverCallRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.StreamingDriverCallResponse]:
        try:
            self._session.status.check_open()
            method = self._session.methods.find(request.uuid, request.method, MARKER_STREAMING_DRIVERCALL)
            items = Items(method([decode_value(arg) for arg in request.args]), self._session.portal)
            if not context.add_callback(items.close):
                items.close()
            uuid = _fresh_uuid()
            for item in items:
                response = pb.StreamingDriverCallResponse(uuid=uuid)
                fill_value(response.result, item)
                items.sent(_check_size(response, request.method))
                yield response
        except GeneratorExit:
            raise
        except BaseException as error:  # noqa: BLE001 - becomes the status of the call, also what ends programs
            self._fail(context, error, request)

    def LogStream(self, request: Any, context: grpc.ServicerContext) -> Iterator[pb.LogStreamResponse]:  # noqa: N802
        with self._session.logs.subscribe(mark_in(context.invocation_metadata())) as lines:
            if not context.add_callback(lines.close):
                return
            # Headers at once: a client knows that it is subscribed before the first line comes.
            context.send_initial_metadata(())
            for line in lines:
                yield line.to_response()

    def Reset(self, request: Any, context: grpc.ServicerContext) -> pb.ResetResponse:  # noqa: N802
        try:
            self._session.status.check_open()
            self._session.root_device.reset()
        except BaseException as error:  # noqa: BLE001 - becomes the status of the call, also what ends programs
            self._fail(context, error, None)
        return pb.ResetResponse()

    def GetStatus(self, request: Any, context: grpc.ServicerContext) -> pb.GetStatusResponse:  # noqa: N802
        status, message, version, previous = self._session.status.snapshot()
        if (log := mark_in(context.invocation_metadata())) and self._session.logs.mark(log):
            context.set_trailing_metadata(((MARK_KEY, log),))
        response = pb.GetStatusResponse(status=status.to_proto(), message=message, status_version=version)  # type: ignore[arg-type]
        if previous is not None:
            response.previous_status = previous.to_proto()  # type: ignore[assignment]
        return response

    def EndSession(self, request: Any, context: grpc.ServicerContext) -> pb.EndSessionResponse:  # noqa: N802
        end: Callable[[], None] | None = self._session.on_end_session
        if end is None:
            return pb.EndSessionResponse(success=False, message="No active lease context")
        end()
        message = "Session end triggered, afterLease hook running asynchronously"
        return pb.EndSessionResponse(success=True, message=message)

    def _await(self, awaitable: Any, context: grpc.ServicerContext) -> Any:
        """The result of an async driver method, run on the session's loop; a client that goes away cancels it."""
        future = self._session.portal.submit(_as_coroutine(awaitable))
        if not context.add_callback(lambda: void(future.cancel())):
            future.cancel()  # the client was gone before the method began
        return future.result()

    def _fail(self, context: grpc.ServicerContext, error: BaseException, request: Any) -> None:
        """End the call with the status of *error*."""
        code, details = status_of(error)
        if code is grpc.StatusCode.UNKNOWN:
            name = getattr(request, "method", "reset")
            logger.warning("%s failed: %s: %s", name, type(error).__name__, details)
            logger.debug("the error's origin", exc_info=error)
        context.set_trailing_metadata(((ERROR_TYPE_KEY, type_name(error)),))
        context.abort(code, details)


async def _as_coroutine(awaitable: Any) -> Any:
    return await awaitable


def void(_: object) -> None:
    """gRPC's callbacks give nothing."""


def _check_size(response: Any, method: str) -> int:
    size: int = response.ByteSize()
    if size > MAX_RESULT:
        raise OverflowError(
            f"{method} returned {size / (1 << 20):.1f} MiB: a call carries 4 MiB at the most; "
            "return it item by item, or as a stream or resource"
        )
    return size


def _fresh_uuid() -> str:
    # A version 4 UUID of random bits that need not be secret: the operating system's source costs a call per answer.
    # Written by hand, in less than half the time that the class takes.
    digits = f"{getrandbits(128):032x}"
    variant = "89ab"[getrandbits(2)]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
