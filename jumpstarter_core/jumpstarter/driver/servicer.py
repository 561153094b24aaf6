"""A driver's own answers to the calls of a `grpc.aio` server, for programs that serve one driver without a session."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any
from uuid import uuid4

from anyio import to_thread
from jumpstarter_protocol import jumpstarter_pb2 as pb

from jumpstarter.common.errors import ERROR_TYPE_KEY, status_of, type_name
from jumpstarter.common.streams import ResourceStreamRequest
from jumpstarter.common.values import decode_value, fill_value

from .base import Driver
from .calls import Method, MethodTable
from .decorators import MARKER_DRIVERCALL, MARKER_STREAMCALL, MARKER_STREAMING_DRIVERCALL


async def driver_call(driver: Driver, request: Any, context: Any) -> pb.DriverCallResponse:
    """See `Driver.DriverCall`. A method that may block runs on a thread."""
    async with _aborting(context):
        method = _method(driver, request.method, MARKER_DRIVERCALL)
        result = await to_thread.run_sync(method, [decode_value(arg) for arg in request.args])
        if hasattr(result, "__await__"):
            result = await result
        response = pb.DriverCallResponse(uuid=str(uuid4()))
        fill_value(response.result, result)
        return response
    raise AssertionError("abort() of the call's context raises")


async def streaming_driver_call(
    driver: Driver, request: Any, context: Any
) -> AsyncGenerator[pb.StreamingDriverCallResponse]:
    """See `Driver.StreamingDriverCall`."""
    async with _aborting(context):
        method = _method(driver, request.method, MARKER_STREAMING_DRIVERCALL)
        result = await to_thread.run_sync(method, [decode_value(arg) for arg in request.args])
        items = result if hasattr(result, "__aiter__") else _on_threads(result)
        async with aclosing(items):
            async for item in items:
                response = pb.StreamingDriverCallResponse(uuid=str(uuid4()))
                fill_value(response.result, item)
                yield response


@asynccontextmanager
async def open_stream(driver: Driver, request: Any, context: Any) -> AsyncGenerator[Any]:
    """See `Driver.Stream`."""
    async with AsyncExitStack() as stack:
        async with _aborting(context):
            if isinstance(request, ResourceStreamRequest):
                opening = _resource_stream(driver, request)
            else:
                opening = _method(driver, request.method, MARKER_STREAMCALL)([])
            stream = await stack.enter_async_context(opening)
        yield stream


@asynccontextmanager
async def _resource_stream(driver: Driver, request: ResourceStreamRequest) -> AsyncGenerator[Any]:
    from jumpstarter.streams.bridge import PipeStream
    from jumpstarter.streams.compression import usable_compressions
    from jumpstarter.streams.pipe import Pipe

    from .resources import PipeSource, register

    to_driver, from_driver = Pipe(), Pipe()
    source = PipeSource(to_driver, from_driver)
    encoding = request.x_jmp_content_encoding
    uuid, told = register(driver.resources, source, encoding, usable_compressions())
    try:
        async with PipeStream(from_driver, to_driver, metadata=told) as stream:
            yield stream
    finally:
        # A handle that nobody used goes with its stream.
        driver.resources.pop(uuid, None)


def _method(driver: Driver, name: str, marker: str) -> Method:
    return MethodTable({driver.uuid: driver}).find(str(driver.uuid), name, marker)


async def _on_threads(items: Any) -> AsyncGenerator[Any]:
    """The items of a generator that may block."""
    iterator, end = iter(items), object()
    try:
        while (item := await to_thread.run_sync(next, iterator, end)) is not end:
            yield item
    finally:
        if (close := getattr(iterator, "close", None)) is not None:
            await to_thread.run_sync(close)


@asynccontextmanager
async def _aborting(context: Any) -> AsyncGenerator[None]:
    """End the call with the status of an error that is raised, as `Session` does."""
    try:
        yield
    except Exception as error:
        code, details = status_of(error)
        # Tests of drivers bring contexts that can abort a call, and no more.
        if (tell := getattr(context, "set_trailing_metadata", None)) is not None:
            tell(((ERROR_TYPE_KEY, type_name(error)),))
        await context.abort(code, details)
        raise
