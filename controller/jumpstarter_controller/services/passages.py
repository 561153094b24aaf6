"""Who may go through a passage: what `LabService.OpenPassage` and the joint ask."""

from __future__ import annotations

import grpc
from jumpstarter.common.exceptions import JumpstarterException
from jumpstarter.common.passages import JOINT_PREFIX
from jumpstarter_protocol import lab_pb2
from jumpstarter_router.joint import Admission, RefusedError

from jumpstarter_controller.identity.authenticator import Authenticator, NotAuthenticated, Principal
from jumpstarter_controller.identity.passages import PassageAuthority, TicketRefused
from jumpstarter_controller.model import Exporter, Lease, Role
from jumpstarter_controller.runtime.listeners import Call, Listeners
from jumpstarter_controller.runtime.routes import RouterChoice

from .call import Failure
from .dialling import Dialling, unknown


class Passages:
    """The passages of a lab. `endpoint` is the joint's HOST:PORT for others, "" while there is none."""

    def __init__(
        self,
        authenticator: Authenticator,
        dialling: Dialling,
        listeners: Listeners,
        routes: RouterChoice,
        authority: PassageAuthority,
    ) -> None:
        self.endpoint = ""
        self._authenticator = authenticator
        self._dialling = dialling
        self._listeners = listeners
        self._routes = routes
        self._authority = authority

    async def open(self, name: str, caller: Principal) -> lab_pb2.Passage:
        """The *caller*'s side of a passage for the lease *name*. Raises Failure, Refused."""
        if not self.endpoint:
            raise _none("this lab has no passages")
        if caller.role is Role.EXPORTER:
            lease = await self._dialling.lease(name)
            if lease.exporter != caller.name:
                raise unknown(f"permission denied: lease '{name}' is not of exporter '{caller.name}'")
            if not self._routes.is_own(self._dialling.exporter(caller.name)):
                raise _none(f"another router is for exporter '{caller.name}'")
            return self._side(lease, Role.EXPORTER)
        lease, _ = await self._ready(name, caller)
        if caller.claims is None:
            raise _none("there are no passages for callers without a token")
        passage = self._side(lease, Role.CLIENT)
        passage.ticket = self._authority.ticket(lease.name, caller.claims)
        return passage

    async def admit(self, ticket: str) -> Admission:
        """See `jumpstarter_router.joint.Gate`."""
        try:
            name, caller = self._authority.check(ticket)
            self._authenticator.check_again(caller)
            lease, _ = await self._ready(name, caller)
            self._authenticator.check_again(caller)
        except (TicketRefused, NotAuthenticated) as error:
            raise RefusedError(403, str(error)) from None
        except (Failure, JumpstarterException) as error:
            raise RefusedError(503, str(error)) from None

        async def call_exporter(token: str) -> None:
            # The answer was on its way to the router, and the token is younger than any cut meanwhile.
            try:
                self._authenticator.check_again(caller)
                now, exporter = self._dialling.as_it_is_now(lease, caller)
                self._dialling.call(
                    now, exporter, caller, Call(JOINT_PREFIX + self.endpoint, token, caller.name)
                )
            except NotAuthenticated as error:
                raise RefusedError(403, str(error)) from None
            except (Failure, JumpstarterException) as error:
                raise RefusedError(503, str(error)) from None

        return Admission(lease.name, call_exporter)

    async def _ready(self, name: str, caller: Principal) -> tuple[Lease, Exporter]:
        lease, exporter = await self._dialling.ready(name, caller)
        if self._listeners.passage(lease.name) != caller.name:
            raise _none(f"exporter '{exporter.name}' has no passage open for client '{caller.name}'")
        return lease, exporter

    def _side(self, lease: Lease, side: Role) -> lab_pb2.Passage:
        keys = self._authority.keys(lease.name, lease.client, side)
        return lab_pb2.Passage(
            client=lease.client,
            authority=keys.authority,
            certificate=keys.certificate,
            key=keys.key,
            endpoint=self.endpoint,
        )


def _none(message: str) -> Failure:
    return Failure(grpc.StatusCode.FAILED_PRECONDITION, f"{message}: dial")
