"""What drivers, clients and services have in common. Names load when they are used."""

from __future__ import annotations

# Under another name: the submodule `importlib` becomes an attribute of this module.
from importlib import import_module as _import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .enums import ExporterStatus, LogSource
    from .fls import download_fls, get_fls_binary, get_fls_github_url
    from .metadata import Metadata
    from .stubs import AsyncChannel, ControllerStub, ExporterStub, RouterStub
    from .tempfile import TemporarySocket, TemporaryTcpListener, TemporaryUnixListener

#: Starts the status message of a hook that failed with onFailure warn; clients show it as a warning.
HOOK_WARNING_PREFIX = "[HOOK_WARNING] "

_MODULES = {
    "AsyncChannel": "stubs",
    "ControllerStub": "stubs",
    "ExporterStatus": "enums",
    "ExporterStub": "stubs",
    "LogSource": "enums",
    "Metadata": "metadata",
    "RouterStub": "stubs",
    "TemporarySocket": "tempfile",
    "TemporaryTcpListener": "tempfile",
    "TemporaryUnixListener": "tempfile",
    "download_fls": "fls",
    "get_fls_binary": "fls",
    "get_fls_github_url": "fls",
}

__all__ = [
    "HOOK_WARNING_PREFIX",
    "AsyncChannel",
    "ControllerStub",
    "ExporterStatus",
    "ExporterStub",
    "LogSource",
    "Metadata",
    "RouterStub",
    "TemporarySocket",
    "TemporaryTcpListener",
    "TemporaryUnixListener",
    "download_fls",
    "get_fls_binary",
    "get_fls_github_url",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_import_module(f".{_MODULES[name]}", __name__), name)
