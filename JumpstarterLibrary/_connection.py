"""The one module that touches the core: connecting, and bounding what a driver streams."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from jumpstarter.common.exceptions import JumpstarterException, LeaseError
from jumpstarter.common.local import running_exporter
from robot.api import logger

from .conversion import time_text
from .errors import StreamTimeoutError
from .selection import Candidate, Choice, Request, Where


@dataclass
class Connection:
    """A connected exporter: *client* is the root of its tree. Closing it twice is fine."""

    client: Any
    name: str
    address: str
    labels: Mapping[str, str] = field(default_factory=dict)
    lease: str | None = None
    _stack: ExitStack = field(default_factory=ExitStack, repr=False)

    def close(self) -> None:
        """End the connection, and the exporter if it was started for it."""
        self._stack.close()


def collect(
    client: Any,
    call: Callable[..., Any],
    args: Sequence[Any],
    named: Mapping[str, Any],
    *,
    count: int | None,
    timeout: float,
    what: str,
) -> list[Any]:
    """Up to *count* items (None: all) of a stream of *client*, within *timeout* seconds.

    The stream is cancelled on the exporter when there are enough, and whenever the caller is interrupted.
    Raises `StreamTimeoutError` when the time is over first.
    """
    if count is not None and count < 1:
        raise ValueError(f"count is {count}, expected 1 or more")
    deadline = monotonic() + timeout
    items: list[Any] = []
    try:
        with _deadline(client, deadline):
            stream = call(*args, **named)
            with closing(stream) if hasattr(stream, "close") else nullcontext():
                for item in stream:
                    items.append(item)
                    if len(items) == count:
                        return items
    except Exception as error:
        if monotonic() < deadline:
            raise
        wanted = "its end" if count is None else f"{count} items"
        raise StreamTimeoutError(
            f"{what}: {wanted} did not come in {time_text(timeout)}, {len(items)} items did: {items!r}"
        ) from error
    return items


class _DeadlineStub:
    """A stub whose streaming calls end at a deadline."""

    def __init__(self, stub: Any, deadline: float) -> None:
        self._stub = stub
        self._deadline = deadline

    def StreamingDriverCall(self, request: Any) -> Any:  # noqa: N802 - the name of the RPC
        return self._stub.StreamingDriverCall(request, timeout=max(self._deadline - monotonic(), 0.001))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stub, name)


@contextmanager
def _deadline(client: Any, deadline: float) -> Iterator[None]:
    stub = client.stub
    client.stub = _DeadlineStub(stub, deadline)
    try:
        yield
    finally:
        client.stub = stub


def connect(
    choice: Choice,
    request: Request,
    *,
    passphrase: str | None = None,
    insecure: bool = False,
    used: Collection[str] = (),
    held: Mapping[str, str] | None = None,
) -> Connection:
    """Connect to the exporter of *choice*; *passphrase* and *insecure* are about a host.

    *used* are the leases of other connections, whose boards are not meant; *held* is as in
    `refuse_waiting_for_oneself`.

    Raises ConfigurationError and ConnectionError as `jumpstarter.connection.connect` does, LeaseError as
    `jumpstarter.connection.lease` does.
    """
    from jumpstarter.connection import connect as connect_core

    if choice.where is Where.LEASE:
        return _connect_leased(choice, request, used, held or {})
    argument = {Where.LOCAL: "exporter", Where.FILE: "config", Where.HOST: "host"}.get(choice.where)
    arguments: dict[str, Any] = {} if argument is None else {argument: choice.value}
    if choice.where is Where.HOST:
        arguments |= {"passphrase": passphrase, "insecure": insecure}
    with ExitStack() as stack:
        client = stack.enter_context(connect_core(**arguments))
        name, labels = _identity(choice)
        return Connection(client, name, choice.value or "in this process", labels, _stack=stack.pop_all())


def _connect_leased(
    choice: Choice, request: Request, used: Collection[str], held: Mapping[str, str]
) -> Connection:
    from jumpstarter.connection.lease import client_of, lease

    config = client_configuration(choice.client if request.client is None else request.client)
    wanted = _reusing(lease_request(request, choice.value), request, used)
    if not wanted.lease:
        refuse_waiting_for_oneself(config, request, held)
    with ExitStack() as stack:
        lines = stack.enter_context(hook_lines())
        leased = stack.enter_context(lease(config, wanted, progress=to_console, notify=to_console))
        client = stack.enter_context(client_of(leased))
        lines.show()
        if leased.warning:
            logger.warn(leased.warning)
        found = leased.exporter
        return Connection(
            client, found.name, str(config.endpoint), found.labels, leased.name, _stack=stack.pop_all()
        )


def client_configuration(client: str | None) -> Any:
    """The configuration of the client *client*, else of the one that commands use."""
    from jumpstarter.config.client import resolve_client_config

    return resolve_client_config(client)


def client_identity(client: str | None) -> tuple[str, ...] | None:
    """What a controller knows the client by, and where that controller is; None when there is no such client."""
    try:
        config = client_configuration(client)
    except JumpstarterException:
        return None
    return config.endpoint or "", config.metadata.namespace or "default", config.metadata.name


def refuse_waiting_for_oneself(config: Any, request: Request, held: Mapping[str, str]) -> None:
    """Raise LeaseError when every exporter that a new lease for *request* may get is under a lease of *held*.

    *held* are this library's own leases, with how each is held. Nobody would end one while a keyword waits.
    """
    from jumpstarter.connection.controller import controller

    if not held:
        return
    with controller(config) as lab:
        ours = {each.exporter: held[each.name] for each in lab.list_leases() if each.name in held}
        if request.name is not None:
            fitting = [request.name]
        else:
            exporters = lab.list_exporters(request.selector or "")
            fitting = [each.name for each in exporters if each.enabled is not False]
    if fitting and all(name in ours for name in fitting):
        told = ", ".join(f"{name} is {ours[name]}" for name in fitting)
        raise LeaseError(
            f"no exporter to wait for: this library holds all that fit ({told}); disconnect or release one before, "
            "or use its lease with lease="
        )


def lab_is_configured() -> bool:
    """Whether the client that commands use has a controller. Raises ConfigurationError for one that is not valid."""
    from jumpstarter.connection.local import lab_client

    return lab_client() is not None


def lease_request(request: Request, name: str | None) -> Any:
    """What *request* asks a controller for, or the lease *name*. Raises ConfigurationError."""
    from jumpstarter.connection.holding import DEFAULT_DURATION
    from jumpstarter.connection.lease import LeaseRequest

    duration: Any = request.duration
    return LeaseRequest(
        selector=request.selector or "",
        exporter_name=request.name or "",
        lease=name or "",
        duration=DEFAULT_DURATION if duration is None else duration,
    )


def _reusing(wanted: Any, request: Request, used: Collection[str]) -> Any:
    """*wanted* with a lease that was made for it beforehand, as `jmp shell` and `JumpstarterTest` take it."""
    from dataclasses import replace

    from jumpstarter.utils.env import lease_of_environment

    if wanted.lease or request.client is not None:
        return wanted
    named = lease_of_environment()
    return replace(wanted, lease="" if named in used else named, adopt=not used)


def to_console(text: str) -> None:
    """Show a line where the user sees it while a keyword runs; from any thread."""
    if sys.__stderr__ is not None:
        sys.__stderr__.write(f"{text}\n")
        sys.__stderr__.flush()


class HookLines(logging.Handler):
    """Keeps what hooks print, which comes on other threads, until Robot's own thread can log it."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(record.getMessage())

    def show(self) -> None:
        """Log what has come until now."""
        lines, self._lines = self._lines, []
        if lines:
            logger.info("\n".join(lines))


@contextmanager
def hook_lines() -> Iterator[HookLines]:
    """Collect what hooks print; what is left at the end is logged then."""
    lines = HookLines()
    loggers = [logging.getLogger(f"exporter:{name}") for name in ("beforeLease", "afterLease")]
    for each in loggers:
        each.addHandler(lines)
    try:
        yield lines
    finally:
        for each in loggers:
            each.removeHandler(lines)
        lines.show()


def _identity(choice: Choice) -> tuple[str, Mapping[str, str]]:
    """The exporter's name and labels where they are known."""
    if choice.where is Where.SHELL:
        from jumpstarter.utils.env import ExporterMetadata

        metadata = ExporterMetadata.from_env()
        return metadata.name or choice.where.value, metadata.labels
    if choice.where is Where.BACKGROUND and (running := running_exporter()) is not None:
        return running.name, {}
    return choice.value or choice.where.value, {}


def background_exporter() -> Candidate | None:
    """The exporter that ``jmp local start`` has started, by its address; None when there is none."""
    running = running_exporter()
    return Candidate(running.socket, running.labels) if running is not None else None


def active_leases(client: str | None) -> list[str]:
    """The leases that the client has."""
    from jumpstarter.connection.controller import controller

    with controller(client_configuration(client)) as lab:
        return [each.name for each in lab.list_leases() if each.client == lab.name and each.failure is None]


def local_candidates() -> list[Candidate]:
    """The user's and the system's exporter configurations; one that is not valid is left out."""
    from jumpstarter.config.exporter import ExporterConfigV1Alpha1

    return [
        Candidate(item.alias, item.metadata.labels or None) for item in ExporterConfigV1Alpha1.list().items
    ]


def selector_matches(selector: str, labels: Mapping[str, str]) -> bool:
    """Whether *selector* selects *labels*. Raises ConfigurationError for a selector that is not valid."""
    from jumpstarter.common.selectors import selects

    return selects(selector, labels)
