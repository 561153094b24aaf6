"""An event loop that may end while operations of gRPC are under way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import TypeVarTuple

Ts = TypeVarTuple("Ts")


class EventLoop(asyncio.SelectorEventLoop):
    """Drops what gRPC tells it once it is closed.

    All loops of a process share gRPC's queue of events. An operation that ends after its loop has, such as a call that was
    cancelled last, is told by the loop that runs next; there, the usual "Event loop is closed" would strike a bystander.
    """

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """As asyncio's. Raises RuntimeError when the loop is closed, but not to gRPC."""
        try:
            return super().call_soon_threadsafe(callback, *args, context=context)
        except RuntimeError:
            if not self.is_closed() or not (getattr(callback, "__module__", None) or "").startswith("grpc."):
                raise
            return asyncio.Handle(callback, args, self, context)
