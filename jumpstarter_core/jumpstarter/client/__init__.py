"""What a driver's client is made of. Names load when they are used, so that a command imports what it needs."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .base import DriverClient
    from .client import client_from_path
    from .flasher import FlasherClient, FlasherClientInterface
    from .lease import DirectLease, Lease

_MODULES = {
    "DirectLease": "lease",
    "DriverClient": "base",
    "FlasherClient": "flasher",
    "FlasherClientInterface": "flasher",
    "Lease": "lease",
    "client_from_path": "client",
}

__all__ = [
    "DirectLease",
    "DriverClient",
    "FlasherClient",
    "FlasherClientInterface",
    "Lease",
    "client_from_path",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
