"""What all services share: who calls, and what an error looks like on the wire.

Stock clients show the server's text for UNKNOWN and UNAVAILABLE only, and print "grpc error" for every other code. So what
a user can do something about is UNKNOWN, unless stock controllers answer with another code: see controller.md, section 3.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from functools import wraps
from typing import Any, Final, NoReturn, TypeVar

import grpc
from jumpstarter.common.exceptions import JumpstarterException
from jumpstarter.common.throttle import ThrottledLog, peer_host

from jumpstarter_controller.identity.authenticator import Authenticator, NotAuthenticated, Principal, Why
from jumpstarter_controller.model import Refused, Role
from jumpstarter_controller.runtime.directory import draft_directory
from jumpstarter_controller.runtime.draft import Draft
from jumpstarter_controller.runtime.lab import Lab, LabClosed, identity_topic
from jumpstarter_controller.store.interface import StoreError

from .conversions import NamespaceMismatch
from .requests import Unreadable

logger = logging.getLogger("jumpstarter.controller")
#: Lines about peers that are not let in.
refusals = ThrottledLog(logger)
T = TypeVar("T")

Context = grpc.aio.ServicerContext[Any, Any]

#: Seconds after which it is found that the token of a stream's caller has expired.
REVIEW: Final = 30.0

#: Additive trailing metadata: the class of the refusal, for clients that want to tell them apart.
REFUSAL_KEY: Final = "x-jmp-refusal"

_AUTHENTICATION: Final = {
    Why.NO_TOKEN: grpc.StatusCode.UNAUTHENTICATED,
    Why.MALFORMED: grpc.StatusCode.INVALID_ARGUMENT,
    Why.REFUSED: grpc.StatusCode.UNKNOWN,
    Why.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
}


class Failure(Exception):
    """Ends a call with this status."""

    def __init__(self, code: grpc.StatusCode, message: str, kind: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.kind = kind


@contextmanager
def refused_as(code: grpc.StatusCode) -> Iterator[None]:
    """What is refused in the block is answered with *code*."""
    try:
        yield
    except Refused as error:
        raise Failure(code, str(error), type(error).__name__) from None


class Service:
    """Base of the services: *authenticator* tells who calls, *lab* is what they change."""

    def __init__(self, authenticator: Authenticator, lab: Lab) -> None:
        self.authenticator = authenticator
        self._lab = lab

    async def admit(self, context: Context, roles: tuple[Role, ...]) -> Principal:
        """The caller, who has one of *roles*. Raises Failure; a log line says which peer was refused."""
        metadata = context.invocation_metadata() or ()
        try:
            caller = await self.authenticator.authenticate(tuple(metadata))
        except NotAuthenticated as error:
            kind = next(
                (str(value).lower() for key, value in metadata if key == "jumpstarter-kind"), roles[0].value
            )
            kind = kind if kind in ("client", "exporter") else roles[0].value
            peer = peer_address(context)
            refusals.warning(f"{kind} {peer}", f"{kind} authentication failed: peer={peer}: {error}")
            raise Failure(_AUTHENTICATION[error.why], str(error), "NotAuthenticated") from None
        if caller.role not in roles:
            wanted = " or ".join(role.value for role in roles)
            peer = peer_address(context)
            refusals.warning(f"{wanted} {peer}", f"{wanted} authentication failed: peer={peer}: is {caller}")
            raise Failure(
                grpc.StatusCode.INVALID_ARGUMENT
                if Role.ADMINISTRATOR not in roles
                else grpc.StatusCode.PERMISSION_DENIED,
                f"object kind mismatch: this call is for a {wanted}, the token is that of a {caller.role.value}",
                "NotAuthenticated",
            )
        return caller

    async def change(self, caller: Principal, operation: Callable[[Draft], T]) -> T:
        """Run *operation* as `Lab.change` does, for *caller* as they are when its turn comes.

        Operations wait for others. Who was deleted, or whose token was revoked, by one before has no say any more: raises
        Failure. What *caller* may do with what the operation changes, it asks itself: that may have changed, too.
        """

        def checked(draft: Draft) -> T:
            self.check_again(caller, draft)
            return operation(draft)

        return await self._lab.change(checked)

    @asynccontextmanager
    async def while_valid(self, caller: Principal) -> AsyncIterator[None]:
        """Runs the block as long as *caller* is who they were. Raises Failure as soon as they are not, whatever it waits for."""
        refused: list[Failure] = []
        try:
            async with asyncio.timeout(None) as limit:

                def review() -> None:
                    try:
                        self.check_again(caller)
                    except Failure as failure:
                        if not refused:
                            refused.append(failure)
                            limit.reschedule(0)

                topic = identity_topic(caller.role, caller.name)
                with self._lab.hub.told(*topic, review), _again_and_again(review):
                    yield
        except TimeoutError:
            if not refused:
                raise
            raise refused[0] from None

    def check_again(self, caller: Principal, draft: Draft | None = None) -> None:
        """Raises Failure when the caller was deleted, or the token revoked: by now, or in *draft*."""
        try:
            self.authenticator.check_again(caller, None if draft is None else draft_directory(draft))
        except NotAuthenticated as error:
            raise Failure(_AUTHENTICATION[error.why], str(error), "NotAuthenticated") from None


@contextmanager
def _again_and_again(action: Callable[[], object]) -> Iterator[None]:
    """Call *action* every `REVIEW` seconds, as long as the block runs."""
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle

    def act() -> None:
        nonlocal timer
        timer = loop.call_later(REVIEW, act)
        action()

    timer = loop.call_later(REVIEW, act)
    try:
        yield
    finally:
        timer.cancel()


def answer(*roles: Role, with_context: bool = False) -> Callable[..., Any]:
    """Makes a gRPC method of ``async method(self, request, caller)``, for callers with one of *roles*.

    *with_context*, it gets the call's context as one argument more.
    """

    def decorate(method: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
        @wraps(method)
        async def call(self: Service, request: Any, context: Context) -> Any:
            try:
                more = (context,) if with_context else ()
                caller = await self.admit(context, roles)
                return await method(self, readable(request, context), caller, *more)
            except Exception as error:  # noqa: BLE001 - every error has a status
                await abort(context, error)

        return call

    return decorate


def readable(request: Any, context: Context) -> Any:
    """*request*, when it is one. Raises Failure, and logs whose it is that is none."""
    if not isinstance(request, Unreadable):
        return request
    peer = peer_address(context)
    refusals.warning(f"unreadable {peer}", f"unreadable request: peer={peer}: {request.problem}")
    raise Failure(grpc.StatusCode.INVALID_ARGUMENT, f"the request cannot be read: {request.problem}")


def answer_stream(*roles: Role, with_context: bool = False, at_once: bool = False) -> Callable[..., Any]:
    """As `answer`, for a method that gives an async iterator, whose first message comes *at_once* or may take a while."""

    def decorate(method: Callable[..., AsyncGenerator[Any]]) -> Callable[..., Any]:
        @wraps(method)
        async def call(self: Service, request: Any, context: Context) -> None:
            try:
                more = (context,) if with_context else ()
                caller = await self.admit(context, roles)
                if not at_once:
                    # Whoever is answered knows that the controller is there. It is a packet of its own, half of the cost.
                    await context.send_initial_metadata(())
                messages = method(self, readable(request, context), caller, *more)
                async with self.while_valid(caller), aclosing(messages):
                    async for message in messages:
                        await context.write(message)
            except Exception as error:  # noqa: BLE001 - every error has a status
                await abort(context, error)

        return call

    return decorate


async def abort(context: Context, error: Exception) -> NoReturn:
    """End the call with the status of *error*."""
    code, message, kind = status_of(error)
    trailing = ((REFUSAL_KEY, kind),) if kind else ()
    await context.abort(code, message, trailing)
    raise AssertionError("unreachable")


def status_of(error: Exception) -> tuple[grpc.StatusCode, str, str]:
    """Code, text and kind for *error*; one that nobody expected is logged."""
    match error:
        case Failure():
            return error.code, str(error), error.kind
        case NamespaceMismatch():
            return grpc.StatusCode.PERMISSION_DENIED, str(error), "NotPermitted"
        case LabClosed() | StoreError():
            # Trying again helps as soon as there is a controller, or room on its disk, again.
            return grpc.StatusCode.UNAVAILABLE, str(error), type(error).__name__
        case JumpstarterException():
            return grpc.StatusCode.UNKNOWN, str(error), type(error).__name__
    logger.error("a call failed", exc_info=error)
    return grpc.StatusCode.INTERNAL, f"{type(error).__name__} in the controller: its log says more", ""


def metadata_of(context: Context, key: str) -> str:
    """What the caller sent under *key*, "" when there is nothing."""
    found = (value for name, value in context.invocation_metadata() or () if name == key)
    return str(next(found, ""))


def peer_address(context: Context) -> str:
    """The peer without its port: ``ipv4:10.0.0.7:4711`` as ``10.0.0.7``."""
    return peer_host(context.peer())
