"""Interceptors that were written for servers of grpc.aio, in ours, whose handlers run on threads.

They run on the session's event loop. An interceptor may pass a call on, answer it by a handler of its own, or wrap the handler.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import grpc

from jumpstarter.common.portal import LazyPortal

from .items import Items


def adapted(interceptor: Any, portal: LazyPortal) -> grpc.ServerInterceptor:
    """*interceptor*, made fit if it is one for grpc.aio."""
    return (
        _Adapted(interceptor, portal) if isinstance(interceptor, grpc.aio.ServerInterceptor) else interceptor
    )


class _Adapted(grpc.ServerInterceptor):
    def __init__(self, interceptor: grpc.aio.ServerInterceptor, portal: LazyPortal) -> None:
        self._interceptor = interceptor
        self._portal = portal

    def intercept_service(
        self, continuation: Callable[[Any], Any], handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        from anyio import to_thread

        passed: list[tuple[Any, Any]] = []

        async def proceed(details: grpc.HandlerCallDetails) -> Any:
            # On a thread: what comes next may be an interceptor that wants this loop, too.
            handler = await to_thread.run_sync(continuation, details)
            if handler is None:
                return None
            passed.append((_for_loop(handler, self._portal), handler))
            return passed[-1][0]

        given = self._portal.run(self._interceptor.intercept_service(proceed, handler_call_details))
        for offered, original in passed:
            if given is offered:
                return original
        return None if given is None else _for_threads(given, self._portal)


def _kind(handler: Any) -> str:
    """Name of the handler's function, and the first part of the name of what makes handlers."""
    arrives = "stream" if handler.request_streaming else "unary"
    return f"{arrives}_{'stream' if handler.response_streaming else 'unary'}"


def _like(handler: Any, behave: Callable[[Any, Any], Any]) -> Any:
    """A handler for the same messages that behaves otherwise."""
    make = getattr(grpc, f"{_kind(handler)}_rpc_method_handler")
    return make(behave, handler.request_deserializer, handler.response_serializer)


def _for_threads(handler: Any, portal: LazyPortal) -> Any:
    """A handler of grpc.aio for a server of threads."""
    function = getattr(handler, _kind(handler))

    def behave(request: Any, context: grpc.ServicerContext) -> Any:
        given = _Requests(request) if handler.request_streaming else request
        result = function(given, _Context(context))
        if hasattr(result, "__aiter__"):
            return Items(result, portal)
        answer = portal.run(result)
        return iter(()) if handler.response_streaming else answer

    return _like(handler, behave)


def _for_loop(handler: Any, portal: LazyPortal) -> Any:
    """A handler of threads for an interceptor that may wrap it."""
    from anyio import to_thread

    function = getattr(handler, _kind(handler))

    def call(request: Any, context: Any) -> Any:
        if isinstance(request, _Requests):
            request = request.source
        elif handler.request_streaming:
            request = Items(request, portal)
        return function(request, context.context if isinstance(context, _Context) else context)

    async def answer(request: Any, context: Any) -> Any:
        return await to_thread.run_sync(call, request, context)

    async def answers(request: Any, context: Any) -> AsyncIterator[Any]:
        items = await to_thread.run_sync(call, request, context)
        end = object()
        while (item := await to_thread.run_sync(next, items, end)) is not end:
            yield item

    return _like(handler, answers if handler.response_streaming else answer)


class _Requests:
    """What a client sends, for a coroutine."""

    def __init__(self, source: Iterator[Any]) -> None:
        self.source = source

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        from anyio import to_thread

        end = object()
        if (item := await to_thread.run_sync(next, self.source, end)) is end:
            raise StopAsyncIteration
        return item


class _Context:
    """A call of a server of threads, for a coroutine."""

    def __init__(self, context: grpc.ServicerContext) -> None:
        self.context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self.context, name)

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Any = ()) -> None:
        if trailing_metadata:
            self.context.set_trailing_metadata(trailing_metadata)
        self.context.abort(code, details)

    async def send_initial_metadata(self, initial_metadata: Any) -> None:
        self.context.send_initial_metadata(initial_metadata)
