"""Marks on driver methods: which of them clients may call, and how."""

from __future__ import annotations

from collections.abc import Callable
from inspect import isasyncgenfunction, iscoroutinefunction, isfunction, isgeneratorfunction
from typing import Any, Final, TypeVar

# The names and the value are those that stock drivers carry, so that theirs work here and ours there.
MARKER_MAGIC: Final = "07c9b9cc"
MARKER_DRIVERCALL: Final = "marker_drivercall"
MARKER_STREAMCALL: Final = "marker_streamcall"
MARKER_STREAMING_DRIVERCALL: Final = "marker_streamingdrivercall"

F = TypeVar("F", bound=Callable[..., Any])


def export(func: F) -> F:
    """Let clients call the decorated method: a function or coroutine once, a (sync or async) generator item by item.

    Arguments come over the wire as numbers, text, lists and dictionaries; they are converted to the annotations of the
    method before it runs. Static and class methods may be decorated, too. Raises ValueError for what is not a function.
    """
    if isinstance(func, staticmethod | classmethod):
        # The mark goes to the function: a driver's attribute is that, or bound to it.
        export(func.__func__)
    elif isgeneratorfunction(func) or isasyncgenfunction(func):
        setattr(func, MARKER_STREAMING_DRIVERCALL, MARKER_MAGIC)
    elif isfunction(func) or iscoroutinefunction(func) or callable(getattr(func, "__wrapped__", None)):
        # pydantic's validate_call and the like give a callable that wraps a function.
        wrapped = getattr(func, "__wrapped__", func)
        streaming = isgeneratorfunction(wrapped) or isasyncgenfunction(wrapped)
        setattr(func, MARKER_STREAMING_DRIVERCALL if streaming else MARKER_DRIVERCALL, MARKER_MAGIC)
    else:
        raise ValueError(f"@export decorates a method, not {func!r}")
    return func


def exportstream(func: F) -> F:
    """Let clients open the byte stream that the decorated method gives.

    The method is an async context manager (``@asynccontextmanager`` below this decorator) that yields an anyio stream of
    bytes. Raises ValueError for what cannot be called.
    """
    if not callable(func):
        raise ValueError(f"@exportstream decorates a method, not {func!r}")
    setattr(func, MARKER_STREAMCALL, MARKER_MAGIC)
    return func


def is_marked(method: Any, marker: str) -> bool:
    """True when *method* carries *marker*."""
    return getattr(method, marker, None) == MARKER_MAGIC
