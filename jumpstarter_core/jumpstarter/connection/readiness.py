"""The session of an exporter, as its client follows it: until it is ready, and until it is over."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import grpc
from jumpstarter_protocol import jumpstarter_pb2 as pb

from jumpstarter.common import HOOK_WARNING_PREFIX
from jumpstarter.common.enums import ExporterStatus
from jumpstarter.common.errors import connection_error
from jumpstarter.common.exceptions import (
    ConnectionError,
    ExporterNotReady,
    ExporterUnreachableError,
    LeaseError,
)
from jumpstarter.common.printable import printable_line

if TYPE_CHECKING:
    from jumpstarter.client.logs import Following

#: Seconds between two looks at the status: the protocol has no call that waits for a change of it.
POLL_INTERVAL: Final = 0.1
#: Seconds that the exporter gets to answer at all.
ANSWER_TIMEOUT: Final = 10.0
#: Seconds that an afterLease hook gets; its own timeout is the exporter's business.
END_TIMEOUT: Final = 300.0

WAITING: Final = frozenset(
    {ExporterStatus.AVAILABLE, ExporterStatus.BEFORE_LEASE_HOOK, ExporterStatus.UNSPECIFIED}
)
#: The session is over.
OVER: Final = frozenset(
    {
        ExporterStatus.AVAILABLE,
        ExporterStatus.OFFLINE,
        ExporterStatus.BEFORE_LEASE_HOOK_FAILED,
        ExporterStatus.AFTER_LEASE_HOOK_FAILED,
    }
)


class AfterLeaseHookFailed(LeaseError):
    """Raised when the lease was used, and the exporter's afterLease hook failed."""


def status_of(stub: Any, timeout: float = ANSWER_TIMEOUT) -> Any:
    """The exporter's GetStatusResponse; ready, for an exporter that is too old to have the call. Raises grpc.RpcError."""
    try:
        return stub.GetStatus(pb.GetStatusRequest(), timeout=timeout)
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
            raise
        return pb.GetStatusResponse(status=ExporterStatus.LEASE_READY.to_proto())


def wait_until_ready(status: Callable[[], Any]) -> str:
    """Wait while the exporter runs its beforeLease hook.

    *status* gives the status, or raises what ends the waiting. Gives the warning of a hook that failed without
    consequences, else "". Raises ExporterNotReady when the hook failed, or the exporter shuts down.
    """
    answer = status()
    while answer.status in WAITING:
        time.sleep(POLL_INTERVAL)
        answer = status()
    return _warning(answer)


def _warning(answer: Any) -> str:
    """The warning in the message of a status that is no longer one of waiting."""
    state = ExporterStatus.from_proto(answer.status)
    if state is not ExporterStatus.LEASE_READY:
        reason = printable_line(answer.message) or "no reason given"
        raise ExporterNotReady(f"exporter is not ready ({state}): {reason}")
    return _hook_warning(printable_line(answer.message))


def _hook_warning(message: str) -> str:
    return message.removeprefix(HOOK_WARNING_PREFIX) if message.startswith(HOOK_WARNING_PREFIX) else ""


def patient_status(
    stub: Any,
    retry_timeout: float,
    problem: Callable[[], str | None],
    over: Callable[[], str | None],
    lost_for: Callable[[float, str], object] = lambda seconds, why: None,
) -> Callable[[], Any]:
    """A *status* for `wait_until_ready` that bears with an exporter that cannot be reached for *retry_timeout* seconds in a row.

    *problem* says what is known about the reason, *over* why there is nothing to wait for any more (else None). *lost_for* is
    called after every attempt, with the seconds for which it cannot be reached and why, and may end the wait. Raises
    ExporterUnreachableError, LeaseError, ExporterNotReady when a hook failed before anybody could connect.
    """
    lost: float | None = None

    def status() -> Any:
        nonlocal lost
        while True:
            if (reason := over()) is not None:
                raise LeaseError(f"the lease {reason}")
            try:
                answer = status_of(stub)
            except grpc.RpcError as error:
                if "hook failed" in (problem() or ""):
                    raise ExporterNotReady(f"exporter is not ready: {problem()}; its log says why") from None
                lost = time.monotonic() if lost is None else lost
                if time.monotonic() - lost >= retry_timeout or not _may_come_back(error):
                    why = problem() or connection_error(error).message
                    raise ExporterUnreachableError(
                        f"the leased exporter cannot be reached: {why}; look at its log, or take another one"
                    ) from None
                lost_for(time.monotonic() - lost, problem() or connection_error(error).message)
                time.sleep(POLL_INTERVAL)
            else:
                lost = None
                return answer

    return status


def _may_come_back(error: grpc.RpcError) -> bool:
    return error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


def end_session(stub: Any, log: Following, over: Callable[[], str | None] = lambda: None) -> str:
    """End the session, and wait for the exporter's afterLease hook and for its lines in *log*.

    *over* says why there is nothing to wait for any more (else None). Gives the warning of a hook that failed without
    consequences, else "". An exporter that goes away meanwhile has no more to say. Raises AfterLeaseHookFailed.
    """
    from jumpstarter.client.calls import end_session as end

    if not end(stub):
        return ""
    answer = _wait_until_over(stub, over)
    if answer is None:
        log.settle()
        return ""
    if answer.previous_status == ExporterStatus.AFTER_LEASE_HOOK:
        log.settle()
    message = printable_line(answer.message)
    if answer.status == ExporterStatus.AFTER_LEASE_HOOK_FAILED:
        raise AfterLeaseHookFailed(f"the exporter's afterLease hook failed: {message}")
    return _hook_warning(message) if answer.status == ExporterStatus.AVAILABLE else ""


def _wait_until_over(stub: Any, over: Callable[[], str | None]) -> Any:
    """The status in which the session is over; None when it will not tell any more."""
    deadline = time.monotonic() + END_TIMEOUT
    version = 0
    while time.monotonic() < deadline:
        try:
            answer = status_of(stub)
        except grpc.RpcError:
            return None  # it has closed the session
        if answer.status in OVER:
            return answer
        if answer.status_version < version or over() is not None:
            return None  # a new session, of an exporter that was started anew and does not end the lease
        version = answer.status_version
        time.sleep(POLL_INTERVAL)
    raise ConnectionError(f"the exporter's afterLease hook did not end within {END_TIMEOUT:g} s")
