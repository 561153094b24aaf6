"""Adapters turn a driver's stream into something else: a port, a socket, a console."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from functools import wraps
from typing import Any, TypeVar

T = TypeVar("T")


def blocking(
    adapter: Callable[..., AbstractAsyncContextManager[T]],
) -> Callable[..., AbstractContextManager[T]]:
    """An async context manager that takes ``client=``, as a plain one that runs on the client's event loop."""

    @wraps(adapter)
    def wrapper(*args: Any, client: Any, **kwargs: Any) -> AbstractContextManager[T]:
        manager: AbstractContextManager[T] = client.portal.wrap_async_context_manager(
            adapter(*args, client=client, **kwargs)
        )
        return manager

    return wrapper
