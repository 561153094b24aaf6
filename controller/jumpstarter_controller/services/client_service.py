"""ClientService: what users do with leases and exporters."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

import grpc
from google.protobuf.empty_pb2 import Empty
from jumpstarter.common.claims import CLAIM_KEY
from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.common.selectors import Requirement, Selector
from jumpstarter_protocol import client_pb2, client_pb2_grpc

from jumpstarter_controller.identity.authenticator import Authenticator, Principal
from jumpstarter_controller.identity.tokens import TokenService
from jumpstarter_controller.model import (
    TAG_PREFIX,
    Age,
    Exporter,
    InvalidRequest,
    Lease,
    LeaseSpec,
    NotFound,
    Role,
    TimeChange,
    WrongState,
    check_claim,
    check_tags,
    check_update_mask,
    resolve_times,
)
from jumpstarter_controller.runtime import identities, leasing
from jumpstarter_controller.runtime.claims import Claims
from jumpstarter_controller.runtime.lab import Lab

from .call import Context, Failure, Service, answer, metadata_of, refused_as
from .conversions import (
    Labels,
    check_parent,
    duration_of,
    exporter_to_proto,
    lease_to_proto,
    moment_of,
    name_of,
    timestamp,
)
from .paging import after_token, bad_token, sized_page

#: Leases of a page of any size; it may not have more bytes than as many have.
MOST_LEASES: Final = 20_000

_INVALID = grpc.StatusCode.INVALID_ARGUMENT


class ClientService(Service, client_pb2_grpc.ClientServiceServicer):
    """See the module."""

    def __init__(
        self,
        authenticator: Authenticator,
        lab: Lab,
        claims: Claims,
        tokens: TokenService,
        namespace: str,
        labels: Labels,
        max_tags: int,
    ) -> None:
        super().__init__(authenticator, lab)
        self._claims = claims
        self._tokens = tokens
        self._namespace = namespace
        self._labels = labels
        self._max_tags = max_tags

    @answer(Role.CLIENT)
    async def GetExporter(
        self, request: client_pb2.GetExporterRequest, caller: Principal
    ) -> client_pb2.Exporter:
        with refused_as(_INVALID):
            name = name_of(request.name, self._namespace, "exporters")
        exporter = self._lab.records.exporters.get(name)
        if exporter is None:
            raise NotFound(f"exporter '{name}' not found; see 'jmp get exporters'")
        return exporter_to_proto(
            exporter, self._namespace, self._labels, self._lab.now(), all_labels=request.show_hidden_labels
        )

    @answer(Role.CLIENT)
    async def ListExporters(
        self, request: client_pb2.ListExportersRequest, caller: Principal
    ) -> client_pb2.ListExportersResponse:
        with refused_as(_INVALID):
            check_parent(request.parent, self._namespace)
        selector = Selector.parse(request.filter)
        found = [each for each in self._lab.records.exporters.values() if selector.selects(each.labels)]
        found.sort(key=lambda exporter: exporter.name)
        now = self._lab.now()

        def show(each: Exporter) -> client_pb2.Exporter:
            return exporter_to_proto(
                each, self._namespace, self._labels, now, all_labels=request.show_hidden_labels
            )

        shown, token = sized_page(
            found, lambda exporter: exporter.name, request.page_size, request.page_token, show
        )
        return client_pb2.ListExportersResponse(exporters=shown, next_page_token=token)

    @answer(Role.CLIENT)
    async def GetLease(self, request: client_pb2.GetLeaseRequest, caller: Principal) -> client_pb2.Lease:
        with refused_as(_INVALID):
            name = name_of(request.name, self._namespace, "leases")
        return self._shown(await self._found(name))

    @answer(Role.CLIENT)
    async def ListLeases(
        self, request: client_pb2.ListLeasesRequest, caller: Principal
    ) -> client_pb2.ListLeasesResponse:
        with refused_as(_INVALID):
            check_parent(request.parent, self._namespace)
        selector, tags = Selector.parse(request.filter), self._tag_selector(request.tag_filter)
        only_active = request.only_active if request.HasField("only_active") else True
        size = request.page_size or MOST_LEASES
        found = await self._lab.leases(
            ended=not only_active,
            wanted=lambda lease: tags.selects(lease.spec.tags) and selector.selects(_labels_of(lease)),
            after=_age_of(after_token(request.page_token)),
            most=max(size, 0) + 1,
        )
        shown, token = sized_page(found, _age, size, request.page_token, self._shown)
        return client_pb2.ListLeasesResponse(leases=shown, next_page_token=token)

    @answer(Role.CLIENT, with_context=True)
    async def CreateLease(
        self, request: client_pb2.CreateLeaseRequest, caller: Principal, context: Context
    ) -> client_pb2.Lease:
        claim = metadata_of(context, CLAIM_KEY)
        with refused_as(_INVALID):
            check_parent(request.parent, self._namespace)
            if not request.HasField("lease"):
                raise InvalidRequest("lease is missing: say which exporter to lease, and for how long")
            if not request.lease.selector and not request.lease.exporter_name:
                raise InvalidRequest(
                    "one of selector or exporter_name is required: say which exporter to lease"
                )
            check_tags(request.lease.tags, self._max_tags)
            if claim:
                check_claim(claim)
        spec = _spec_of(request.lease)
        name = request.lease_id or leasing.new_name()
        if request.lease_id and await self._lab.lease(name) is not None:
            raise leasing.name_taken(name)
        await self.change(
            caller,
            lambda draft: leasing.create(draft, caller.name, name, spec, self._max_tags, str(caller), claim),
        )
        if claim:
            self._claims.expect(name, claim)
        return self._shown(await self._found(name))

    @answer(Role.CLIENT)
    async def UpdateLease(
        self, request: client_pb2.UpdateLeaseRequest, caller: Principal
    ) -> client_pb2.Lease:
        asked, mask = request.lease, frozenset(request.update_mask.paths)
        with refused_as(_INVALID):
            name = name_of(asked.name, self._namespace, "leases")
            check_update_mask(mask)
            change = TimeChange.asked(
                moment_of(asked, "begin_time"),
                duration_of(asked, "duration"),
                moment_of(asked, "end_time"),
                mask,
            )
            new_client = self._new_client(asked, mask)
        lease = await self._found(name)
        leasing.require_owner(lease, caller.name)
        if lease.ended:
            if new_client is not None:
                raise WrongState(f"lease '{name}' has ended: it cannot be transferred")
            return self._shown(lease)
        await self.change(
            caller,
            lambda draft: leasing.update(draft, name, change, new_client, str(caller), owner=caller.name),
        )
        return self._shown(await self._found(name))

    @answer(Role.CLIENT)
    async def DeleteLease(self, request: client_pb2.DeleteLeaseRequest, caller: Principal) -> Empty:
        with refused_as(_INVALID):
            name = name_of(request.name, self._namespace, "leases")
        lease = await self._found(name)
        leasing.require_owner(lease, caller.name)
        if lease.ended:
            if lease.state.value == "released":
                raise Failure(
                    grpc.StatusCode.FAILED_PRECONDITION, f"lease '{name}' is released already", "WrongState"
                )
            return Empty()
        await self.change(
            caller, lambda draft: leasing.release_if_active(draft, name, str(caller), owner=caller.name)
        )
        return Empty()

    @answer(Role.CLIENT)
    async def RotateToken(
        self, request: client_pb2.RotateTokenRequest, caller: Principal
    ) -> client_pb2.RotateTokenResponse:
        with refused_as(_INVALID):
            check_parent(request.parent, self._namespace)
        token = await self.change(
            caller,
            lambda draft: identities.renew(
                draft, self._tokens, self._namespace, Role.CLIENT, caller.name, str(caller), caller.token_id
            ),
        )
        return client_pb2.RotateTokenResponse(token=token.text, expiry=timestamp(token.expires))

    def _new_client(self, asked: client_pb2.Lease, mask: frozenset[str]) -> str | None:
        if mask and not mask & {"client", "*"}:
            return None
        if asked.client:
            return name_of(asked.client, self._namespace, "clients")
        if "client" in mask:
            raise InvalidRequest("client is empty: say to whom to transfer the lease")
        return None

    def _tag_selector(self, text: str) -> Selector:
        with refused_as(_INVALID):
            try:
                parsed = Selector.parse(text)
            except ConfigurationError as error:
                raise InvalidRequest(f"tag_filter: {error}") from None
        return Selector.of(
            Requirement(item.key.removeprefix(TAG_PREFIX), item.operator, item.values)
            for item in parsed.requirements
        )

    async def _found(self, name: str) -> Lease:
        lease = await self._lab.lease(name)
        if lease is None:
            raise NotFound(f"lease '{name}' not found; see 'jmp get leases --all'")
        return lease

    def _shown(self, lease: Lease) -> client_pb2.Lease:
        return lease_to_proto(lease, self._namespace, self._labels, self._lab.now())


def _spec_of(asked: client_pb2.Lease) -> LeaseSpec:
    times = resolve_times(
        moment_of(asked, "begin_time"), duration_of(asked, "duration"), moment_of(asked, "end_time")
    )
    return LeaseSpec(
        times=times,
        selector=Selector.parse(asked.selector),
        exporter_name=asked.exporter_name or None,
        tags=dict(asked.tags),
        context=dict(asked.context),
        allow_disabled=asked.allow_disabled,
    )


def _labels_of(lease: Lease) -> dict[str, str]:
    """The labels that stock controllers give a lease: what its selector asks for with ``=``, and its tags."""
    return {
        **lease.spec.selector.match_labels,
        **{TAG_PREFIX + key: tag for key, tag in lease.spec.tags.items()},
    }


def _age(lease: Lease) -> str:
    return f"{lease.created_at.timestamp():020.6f} {lease.name}"


def _age_of(text: str) -> Age | None:
    """The reverse of `_age`, None for none. Raises InvalidRequest."""
    if not text:
        return None
    found = re.fullmatch(r"(\d{13})\.(\d{6}) (.+)", text, re.DOTALL)
    if found is None:
        raise bad_token()
    since = datetime.fromtimestamp(int(found[1]), UTC) + timedelta(microseconds=int(found[2]))
    return since, found[3]
