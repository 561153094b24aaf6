"""One table for all errors: exception class, gRPC status, exit code, message.

An exporter turns what a driver raises into a status (`status_of`); a client turns the status back into an exception
(`driver_error`); a command turns any exception into an exit code and one line (`exit_code`, `one_line`).
"""

from __future__ import annotations

import builtins
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import grpc

from . import exceptions as errors
from .end_reason import end_reason
from .printable import printable
from .secrets import mask

if TYPE_CHECKING:
    from grpc import StatusCode

#: Additive trailing metadata: the class name of the exception that the driver raised.
ERROR_TYPE_KEY: Final = "x-jmp-error-type"

#: Bytes of a status's details. gRPC refuses headers and trailers of more than 8 KiB.
MAX_DETAILS: Final = 6000

#: Most special first. The codes are those that stock exporters answer with.
_STATUS: Final[tuple[tuple[type[BaseException], StatusCode], ...]] = (
    (errors.ExporterNotReady, grpc.StatusCode.FAILED_PRECONDITION),
    (NotImplementedError, grpc.StatusCode.UNIMPLEMENTED),
    (ValueError, grpc.StatusCode.INVALID_ARGUMENT),
    (TimeoutError, grpc.StatusCode.DEADLINE_EXCEEDED),
)

_EXCEPTIONS: Final[dict[StatusCode, type[errors.DriverError]]] = {
    grpc.StatusCode.NOT_FOUND: errors.DriverMethodNotImplemented,
    grpc.StatusCode.UNIMPLEMENTED: errors.DriverMethodNotImplemented,
    grpc.StatusCode.INVALID_ARGUMENT: errors.DriverInvalidArgument,
    grpc.StatusCode.FAILED_PRECONDITION: errors.ExporterNotReady,
}

#: Statuses that gRPC itself gives when the exporter is gone, as opposed to a driver's own error.
_LOST: Final = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
)


class MethodNotFoundError(Exception):
    """A client asked for a method that the driver does not export. Answered with NOT_FOUND."""


def status_of(error: BaseException) -> tuple[StatusCode, str]:
    """The gRPC status and details for what a driver raised."""
    error = unwrap(error)
    text = _details(error)
    if isinstance(error, MethodNotFoundError):
        return grpc.StatusCode.NOT_FOUND, text
    for kind, code in _STATUS:
        if isinstance(error, kind):
            return code, text
    return grpc.StatusCode.UNKNOWN, text


def type_name(error: BaseException) -> str:
    """The value of `ERROR_TYPE_KEY`: metadata is ASCII."""
    return type(unwrap(error)).__name__.encode("ascii", "backslashreplace").decode()


def _details(error: BaseException) -> str:
    """The error's text, in a form and length that a call's status can carry."""
    try:
        text = mask(str(error))
    except Exception as broken:  # noqa: BLE001 - whatever a driver's class does, its error has to arrive
        text = f"an error without text ({type(broken).__name__} in its __str__)"
    text = (text or type(error).__name__).encode(errors="backslashreplace").decode()
    full = len(text)
    # On the wire all but printable ASCII takes three bytes for one.
    while (cost := sum(1 if 32 <= byte < 127 and byte != 37 else 3 for byte in text.encode())) > MAX_DETAILS:
        text = text[: len(text) * MAX_DETAILS // cost - 1]
    return text if len(text) == full else f"{text}... ({full - len(text)} more characters are left out)"


def remote_type(error: grpc.RpcError) -> str | None:
    """The class name of the exporter's exception, where the exporter told it."""
    trailing = getattr(error, "trailing_metadata", lambda: None)() or ()
    return next((str(value) for key, value in trailing if key == ERROR_TYPE_KEY), None)


def driver_error(error: grpc.RpcError, method: str) -> errors.JumpstarterException:
    """The exception for a failed call of a driver's *method*."""
    code, details = error.code(), error.details() or ""
    kind = remote_type(error)
    if kind is None and code in _LOST:
        return connection_error(error)
    if kind is None and code is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in details:
        details = f"{details}: a call carries 4 MiB at the most, use a stream or a resource"
    if kind is None and details.startswith("Exception deserializing"):
        details = "a value cannot be carried: lists and dictionaries nest some 30 levels deep at the most"
    what = printable(f"{kind}: {details}" if kind else details)
    return _EXCEPTIONS.get(code, errors.DriverError)(
        f"'{method}' failed on the exporter: {what}", remote_type=kind
    )


#: What knows why exporters cannot be reached: see `explained_by`.
_explanations: list[Callable[[], str | None]] = []


@contextmanager
def explained_by(explain: Callable[[], str | None]) -> Iterator[None]:
    """While the context lasts, *explain* may say why an exporter cannot be reached: a lease has ended. None: not for its part.

    It is called for every call that does not reach an exporter of this process, on the thread of the call.
    """
    _explanations.append(explain)
    try:
        yield
    finally:
        _explanations.remove(explain)


#: Addresses (HOST:PORT) of the exporters that this process is connected to.
_addresses: list[str] = []


@contextmanager
def reached_at(address: str) -> Iterator[None]:
    """While the context lasts, errors of a connection name *address*, HOST:PORT of an exporter."""
    _addresses.append(address)
    try:
        yield
    finally:
        _addresses.remove(address)


def _address(details: str) -> str:
    """The address that a call was for; "" where it is not known, or may be one of several."""
    known = set(_addresses)
    named = {address for address in known if f":{address}:" in details}
    return next(iter(named or known)) if len(named or known) == 1 else ""


def _explanation() -> str:
    """What is known of why an exporter cannot be reached; "" for nothing."""
    return "; ".join(filter(None, (explain() for explain in tuple(_explanations))))


def connection_error(error: grpc.RpcError) -> errors.ConnectionError:
    """The exception for a call that did not reach the exporter, or was refused before any driver ran."""
    details = printable(error.details() or "")
    message = _connection_message(error.code(), details)
    address = _address(details)
    return errors.ConnectionError(f"{address}: {message}" if address else message)


def _connection_message(code: grpc.StatusCode, details: str) -> str:
    if code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
        return f"the exporter refused the connection: {details}; give the right passphrase or token"
    from .causes import in_words  # a `j` that reaches its exporter needs none of it

    if code is grpc.StatusCode.UNAVAILABLE and (reason := end_reason()):
        return f"the exporter cannot be reached any more: {reason}"
    if code is grpc.StatusCode.UNAVAILABLE:
        reason, known = _last_reason(details), _explanation()
        if known:
            # Of several exporters it may be another one that is meant.
            reason = known if len(_explanations) == 1 else f"{reason} ({known})"
        elif _addresses:
            reason = in_words(details, reason)
        return f"the exporter cannot be reached or went away: {reason}"
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return "the exporter did not answer in time"
    if code is grpc.StatusCode.UNIMPLEMENTED and _addresses:
        return f"the exporter answered {code.name}: {in_words('method not found', details)}"
    return f"the exporter answered {code.name}: {details}"


def _last_reason(details: str) -> str:
    """gRPC's details without the address list and timing in front."""
    last = details.rsplit("Failed to connect to remote host: ", 1)[-1]
    if " last error: " in last:
        # "CODE: ADDRESS: connect failed: addr: ADDRESS error: REASON", or "CODE: ADDRESS: REASON"
        last = last.rpartition(" last error: ")[2].partition(": ")[2]
        address, _, last = last.rpartition(" error: ")
        path = address.rpartition("addr: unix:")[2]
        if path and last == "Connection refused":
            return f"nobody serves {path}; the 'jmp shell' that set JUMPSTARTER_HOST has ended"
    if "HTTP proxy returned response code" in last:
        return "the router of the lab has no connection to it now"
    return last or "no reason given"


def exit_code(error: BaseException) -> int:
    """The exit code of a command that *error* ended: 2 for wrong usage, 128+n for signals, else 1."""
    error = unwrap(error)
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    if isinstance(error, KeyboardInterrupt):
        return 128 + signal.SIGINT
    own = getattr(error, "exit_code", None)  # click's errors carry theirs
    if isinstance(own, int):
        return own
    return 2 if isinstance(error, errors.ArgumentError) else 1


def one_line(error: BaseException) -> str:
    """What happened, in one line (or a line a problem, for a file with several), without secrets."""
    return mask(_one_line(unwrap(error)))


def _one_line(error: BaseException) -> str:
    if isinstance(error, grpc.RpcError) and hasattr(error, "code"):
        return str(connection_error(error))
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    formatted: Any = getattr(error, "format_message", None)  # click's errors
    if formatted is not None:
        return str(formatted())
    if isinstance(error, errors.JumpstarterException):
        return str(error)
    if isinstance(error, builtins.OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def unwrap(error: BaseException) -> BaseException:
    """The one error inside nested groups; the first one where there are several."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
