"""The exporter of the surrounding `jmp shell`, from its environment variables."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import jumpstarter.common.interrupts  # noqa: F401 - before anything is imported that a signal may meet
from jumpstarter.common.exceptions import ConfigurationError, EnvironmentVariableNotSetError
from jumpstarter.config.env import chosen

JUMPSTARTER_HOST = "JUMPSTARTER_HOST"
JMP_DRIVERS_ALLOW = "JMP_DRIVERS_ALLOW"
JMP_DRIVERS_UNSAFE = "JMP_DRIVERS_UNSAFE"
JMP_GRPC_INSECURE = "JMP_GRPC_INSECURE"
JUMPSTARTER_GRPC_INSECURE = "JUMPSTARTER_GRPC_INSECURE"
JMP_GRPC_PASSPHRASE = "JMP_GRPC_PASSPHRASE"
JMP_GRPC_CA = "JMP_GRPC_CA"
JMP_EXPORTER = "JMP_EXPORTER"
JMP_EXPORTER_LABELS = "JMP_EXPORTER_LABELS"
JMP_LEASE = "JMP_LEASE"


@dataclass(frozen=True)
class ExporterMetadata:
    """What a shell tells about its exporter: its name, its labels, and the lease; empty where it does not tell."""

    name: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    lease: str | None = None

    @classmethod
    def from_env(cls) -> Self:
        """From JMP_EXPORTER, JMP_EXPORTER_LABELS (``k=v,k=v``) and JMP_LEASE."""
        pairs = (
            entry.partition("=") for entry in os.environ.get(JMP_EXPORTER_LABELS, "").split(",") if entry
        )
        labels = {key: value for key, _, value in pairs}
        return cls(os.environ.get(JMP_EXPORTER, ""), labels, os.environ.get(JMP_LEASE))


def exporter_host() -> str:
    """The address of the surrounding shell's exporter, else of the one that ``jmp local start`` left running.

    Raises EnvironmentVariableNotSetError when there is neither, ArgumentError when JUMPSTARTER_HOST is set to nothing.
    """
    host = chosen(JUMPSTARTER_HOST) or _local_exporter()
    if not host:
        raise EnvironmentVariableNotSetError(
            f"{JUMPSTARTER_HOST} is not set: run this inside a jmp shell, for example 'jmp shell --exporter NAME -- COMMAND'"
        )
    return host


def _local_exporter() -> str:
    from jumpstarter.common.local import running_exporter

    exporter = running_exporter()
    return exporter.socket if exporter is not None else ""


def lease_of_environment() -> str:
    """The lease that JMP_LEASE names for use; "" when it is not set, or stands for an exporter in direct mode.

    Raises ArgumentError when it is set to nothing.
    """
    name = chosen(JMP_LEASE)
    return "" if name is None or name == "direct" else name


def drivers_allowed() -> tuple[list[str], bool]:
    """(patterns of allowed client classes, whether all are), from JMP_DRIVERS_ALLOW and JMP_DRIVERS_UNSAFE."""
    allow = [entry.strip() for entry in os.environ.get(JMP_DRIVERS_ALLOW, "").split(",") if entry.strip()]
    unsafe = "UNSAFE" in allow or os.environ.get(JMP_DRIVERS_UNSAFE, "").lower() in ("1", "true", "yes")
    # Without a shell that says what is allowed, the exporter is one that this user started on this machine.
    own = not os.environ.get(JUMPSTARTER_HOST) and JMP_DRIVERS_ALLOW not in os.environ
    return allow, unsafe or own


def tcp_options() -> dict[str, Any]:
    """How to reach an exporter on TCP: plain with JMP_GRPC_INSECURE=1; with JUMPSTARTER_GRPC_INSECURE=1 under TLS, but

    whatever its certificate; with JMP_GRPC_CA (a PEM file) under TLS with that root.
    """
    roots = chosen(JMP_GRPC_CA)
    return {
        "insecure": os.environ.get(JMP_GRPC_INSECURE) == "1",
        "verify": os.environ.get(JUMPSTARTER_GRPC_INSECURE) != "1",
        "passphrase": os.environ.get(JMP_GRPC_PASSPHRASE) or None,
        "root_certificates": _read(roots) if roots else None,
    }


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise ConfigurationError(
            f"{JMP_GRPC_CA}={path}: {error.strerror}: expected a file of PEM certificates"
        ) from None


@contextmanager
def env() -> Generator[Any]:
    """The client of the surrounding shell's exporter. Raises EnvironmentVariableNotSetError outside of one."""
    from jumpstarter.client.client import connect_path

    allow, unsafe = drivers_allowed()
    with connect_path(exporter_host(), allow=allow, unsafe=unsafe, **tcp_options()) as client:
        yield client


@asynccontextmanager
async def env_async(portal: Any, stack: ExitStack) -> AsyncGenerator[Any]:
    """`env` for coroutines; *portal* and *stack* become the client's, which lives until *stack* is closed."""
    from anyio import to_thread

    from jumpstarter.client.client import client_on_path

    def connect() -> Any:
        allow, unsafe = drivers_allowed()
        return client_on_path(exporter_host(), portal, stack, allow=allow, unsafe=unsafe, **tcp_options())

    yield await to_thread.run_sync(connect)


@asynccontextmanager
async def env_with_metadata_async(
    portal: Any, stack: ExitStack
) -> AsyncGenerator[tuple[Any, ExporterMetadata]]:
    """`env_async`, with what the shell tells about the exporter."""
    async with env_async(portal, stack) as client:
        yield client, ExporterMetadata.from_env()


@contextmanager
def env_with_metadata() -> Generator[tuple[Any, ExporterMetadata]]:
    """`env`, with what the shell tells about the exporter."""
    with env() as client:
        yield client, ExporterMetadata.from_env()
