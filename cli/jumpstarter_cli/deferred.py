"""Modules that gRPC imports with itself, and that most commands never touch.

``import grpc`` brings grpc.aio and asyncio with it, which is more than a third of its time; a `j` command that
makes synchronous calls needs neither. Deferred, they are imported when something first uses them, by importlib's
own LazyLoader.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType

NAMES = ("asyncio", "grpc.aio")


class _DeferringFinder:
    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path) if name in NAMES else None
        if spec is not None and spec.loader is not None:
            spec.loader = LazyLoader(spec.loader)
        return spec


@contextmanager
def deferred() -> Iterator[None]:
    """Within the context, an import of one of `NAMES` gives a module that loads at its first use."""
    finder = _DeferringFinder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
