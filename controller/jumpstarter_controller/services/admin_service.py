"""AdminService: identities, policies, anyone's leases and the audit log, for administrators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import grpc
from google.protobuf.empty_pb2 import Empty
from jumpstarter.common.selectors import Selector
from jumpstarter_protocol import client_pb2, lab_pb2, lab_pb2_grpc

from jumpstarter_controller.identity.authenticator import Authenticator, Principal
from jumpstarter_controller.identity.tokens import Token as IssuedToken
from jumpstarter_controller.identity.tokens import TokenService
from jumpstarter_controller.model import (
    AccessPolicy,
    AuditEntry,
    Client,
    Exporter,
    InvalidRequest,
    Lease,
    NotFound,
    PolicyRule,
    Role,
    TimeChange,
    WrongState,
    check_name,
)
from jumpstarter_controller.runtime import boards, identities, leasing
from jumpstarter_controller.runtime.draft import Draft
from jumpstarter_controller.runtime.lab import Lab

from .call import Failure, Service, answer, refused_as
from .conversions import (
    Labels,
    check_namespace,
    duration,
    duration_of,
    lease_to_proto,
    name_of,
    shown_status,
    timestamp,
)

ROLES: Final = {
    lab_pb2.ROLE_CLIENT: Role.CLIENT,
    lab_pb2.ROLE_EXPORTER: Role.EXPORTER,
    lab_pb2.ROLE_ADMINISTRATOR: Role.ADMINISTRATOR,
}
_NUMBERS: Final = {role: number for number, role in ROLES.items()}
AUDIT_PAGE: Final = 1000
_INVALID: Final = grpc.StatusCode.INVALID_ARGUMENT
_admin = answer(Role.ADMINISTRATOR)


@dataclass(frozen=True)
class Address:
    """What goes into the configuration of an identity; *authority* gives the PEM of now."""

    namespace: str
    endpoint: str
    authority: Callable[[], bytes]


class AdminService(Service, lab_pb2_grpc.AdminServiceServicer):
    """See the module."""

    def __init__(
        self, authenticator: Authenticator, lab: Lab, tokens: TokenService, address: Address, labels: Labels
    ) -> None:
        super().__init__(authenticator, lab)
        self._tokens = tokens
        self._address = address
        self._labels = labels

    @_admin
    async def CreateIdentity(
        self, request: lab_pb2.CreateIdentityRequest, caller: Principal
    ) -> lab_pb2.Credential:
        role, name = self._addressed(request)
        labels, username = dict(request.labels), request.external_username
        return await self._credential(
            caller,
            role,
            name,
            lambda draft: identities.create(
                draft, self._tokens, self._address.namespace, role, name, labels, username, str(caller)
            ),
        )

    @_admin
    async def ListIdentities(
        self, request: lab_pb2.ListIdentitiesRequest, caller: Principal
    ) -> lab_pb2.ListIdentitiesResponse:
        role = self._role(request.role)
        self._check_namespace(request.namespace)
        records = self._lab.records
        now = self._lab.now()
        owners = {
            token.owner
            for token in records.tokens.values()
            if token.role is Role.ADMINISTRATOR and token.is_valid(now)
        }
        names = {
            Role.CLIENT: set(records.clients),
            Role.EXPORTER: set(records.exporters),
            Role.ADMINISTRATOR: owners,
        }[role]
        if request.name and request.name not in names:
            raise NotFound(f"{role.value} '{request.name}' does not exist; see 'jmp admin get {role.value}'")
        shown = [request.name] if request.name else sorted(names)
        return lab_pb2.ListIdentitiesResponse(identities=[self._identity(role, name) for name in shown])

    @_admin
    async def UpdateIdentity(
        self, request: lab_pb2.UpdateIdentityRequest, caller: Principal
    ) -> lab_pb2.Identity:
        role, name = self._addressed(request)
        labels = dict(request.labels.values) if request.HasField("labels") else None
        username = request.external_username if request.HasField("external_username") else None
        enabled = request.enabled if request.HasField("enabled") else None
        await self.change(
            caller,
            lambda draft: identities.update(draft, role, name, labels, username, enabled, str(caller)),
        )
        return self._identity(role, name)

    @_admin
    async def DeleteIdentity(self, request: lab_pb2.DeleteIdentityRequest, caller: Principal) -> Empty:
        role, name = self._addressed(request)
        await self.change(caller, lambda draft: identities.delete(draft, role, name, str(caller)))
        return Empty()

    @_admin
    async def RotateIdentity(
        self, request: lab_pb2.RotateIdentityRequest, caller: Principal
    ) -> lab_pb2.Credential:
        role, name = self._addressed(request)
        return await self._credential(
            caller,
            role,
            name,
            lambda draft: identities.rotate(
                draft, self._tokens, self._address.namespace, role, name, str(caller)
            ),
        )

    @_admin
    async def IssueCredential(
        self, request: lab_pb2.IssueCredentialRequest, caller: Principal
    ) -> lab_pb2.Credential:
        role, name = self._addressed(request)

        def issue(draft: Draft) -> IssuedToken:
            identities.require(draft, role, name)
            draft.note(str(caller), f"{role.value}.issue", identities.subject(role, name))
            return identities.issue(draft, self._tokens, self._address.namespace, role, name)

        return await self._credential(caller, role, name, issue)

    @_admin
    async def SetExporterEnabled(
        self, request: lab_pb2.SetExporterEnabledRequest, caller: Principal
    ) -> Empty:
        self._check_namespace(request.namespace)
        await self.change(
            caller, lambda draft: boards.enable(draft, request.name, request.enabled, str(caller))
        )
        return Empty()

    @_admin
    async def ListLeases(
        self, request: lab_pb2.AdminListLeasesRequest, caller: Principal
    ) -> lab_pb2.AdminListLeasesResponse:
        self._check_namespace(request.namespace)
        if request.name:
            leases = [await self._lease(request.name)]
        else:
            leases = await self._lab.leases(ended=request.include_ended)
        return lab_pb2.AdminListLeasesResponse(leases=map(self._shown, leases))

    @_admin
    async def EndLease(self, request: lab_pb2.EndLeaseRequest, caller: Principal) -> client_pb2.Lease:
        with refused_as(_INVALID):
            name = name_of(request.name, self._address.namespace, "leases")
        lease = await self._lease(name)
        if lease.ended:
            raise WrongState(f"lease '{name}' has ended already")
        await self.change(
            caller,
            lambda draft: leasing.release_if_active(
                draft, name, str(caller), f"ended by administrator {caller.name}"
            ),
        )
        return self._shown(await self._lease(name))

    @_admin
    async def TransferLease(
        self, request: lab_pb2.TransferLeaseRequest, caller: Principal
    ) -> client_pb2.Lease:
        with refused_as(_INVALID):
            name = name_of(request.name, self._address.namespace, "leases")
            client = name_of(request.client, self._address.namespace, "clients")
        await self._lease(name)
        await self.change(
            caller, lambda draft: leasing.update(draft, name, TimeChange(frozenset()), client, str(caller))
        )
        return self._shown(await self._lease(name))

    @_admin
    async def PutPolicy(self, request: lab_pb2.Policy, caller: Principal) -> lab_pb2.Policy:
        self._check_namespace(request.namespace)
        policy = _policy_of(request)

        def put(draft: Draft) -> None:
            draft.policies.put(policy.name, policy)
            draft.note(str(caller), "policy.put", f"policies/{policy.name}")

        await self.change(caller, put)
        return self._policy(policy)

    @_admin
    async def ListPolicies(
        self, request: lab_pb2.ListPoliciesRequest, caller: Principal
    ) -> lab_pb2.ListPoliciesResponse:
        self._check_namespace(request.namespace)
        policies = sorted(self._lab.records.policies.values(), key=lambda policy: policy.name)
        return lab_pb2.ListPoliciesResponse(policies=map(self._policy, policies))

    @_admin
    async def DeletePolicy(self, request: lab_pb2.DeletePolicyRequest, caller: Principal) -> Empty:
        self._check_namespace(request.namespace)

        def delete(draft: Draft) -> None:
            if draft.policies.get(request.name) is None:
                raise NotFound(f"policy '{request.name}' does not exist; see 'jmp admin get policies'")
            draft.policies.delete(request.name)
            draft.note(str(caller), "policy.delete", f"policies/{request.name}")

        await self.change(caller, delete)
        return Empty()

    @_admin
    async def ListAudit(
        self, request: lab_pb2.ListAuditRequest, caller: Principal
    ) -> lab_pb2.ListAuditResponse:
        self._check_namespace(request.namespace)
        limit = min(request.limit, AUDIT_PAGE) if request.limit > 0 else AUDIT_PAGE
        return lab_pb2.ListAuditResponse(entries=map(_audit_entry, await self._lab.journal.audit(limit)))

    def _addressed(
        self,
        request: lab_pb2.CreateIdentityRequest
        | lab_pb2.UpdateIdentityRequest
        | lab_pb2.DeleteIdentityRequest
        | lab_pb2.RotateIdentityRequest
        | lab_pb2.IssueCredentialRequest,
    ) -> tuple[Role, str]:
        """Role and name of the identity that a request is about."""
        role = self._role(request.role)
        self._check_namespace(request.namespace)
        with refused_as(_INVALID):
            check_name(role.value, request.name)
        return role, request.name

    def _role(self, number: lab_pb2.Role) -> Role:
        role = ROLES.get(number)
        if role is None:
            raise Failure(
                _INVALID, "role is missing: expected client, exporter or administrator", "InvalidRequest"
            )
        return role

    def _check_namespace(self, namespace: str) -> None:
        if namespace:
            check_namespace(namespace, self._address.namespace)

    async def _credential(
        self, caller: Principal, role: Role, name: str, operation: Callable[[Draft], IssuedToken]
    ) -> lab_pb2.Credential:
        token = await self.change(caller, operation)
        return lab_pb2.Credential(
            identity=self._identity(role, name),
            endpoint=self._address.endpoint,
            certificate_authority=self._address.authority().decode(),
            token=token.text,
        )

    def _identity(self, role: Role, name: str) -> lab_pb2.Identity:
        records, now = self._lab.records, self._lab.now()
        message = lab_pb2.Identity(role=_NUMBERS[role], namespace=self._address.namespace, name=name)
        valid = [
            token
            for token in records.tokens.values()
            if token.role is role and token.owner == name and token.is_valid(now)
        ]
        if valid:
            message.token_expiry.CopyFrom(timestamp(max(token.expires_at for token in valid)))
        if role is Role.ADMINISTRATOR:
            created = min((token.issued_at for token in valid), default=now)
            message.created.CopyFrom(timestamp(created))
            return message
        record = records.clients.get(name) if role is Role.CLIENT else records.exporters.get(name)
        if record is None:
            raise NotFound(f"{role.value} '{name}' does not exist any more")
        _describe(message, record, now)
        return message

    def _policy(self, policy: AccessPolicy) -> lab_pb2.Policy:
        return lab_pb2.Policy(
            namespace=self._address.namespace,
            name=policy.name,
            exporter_selector=str(policy.exporters),
            rules=[
                lab_pb2.PolicyRule(
                    description=rule.description,
                    priority=rule.priority,
                    client_selectors=map(str, rule.clients),
                    maximum_duration=None
                    if rule.maximum_duration is None
                    else duration(rule.maximum_duration),
                    spot_access=rule.spot_access,
                )
                for rule in policy.rules
            ],
        )

    async def _lease(self, name: str) -> Lease:
        lease = await self._lab.lease(name)
        if lease is None:
            raise NotFound(f"lease '{name}' does not exist; see 'jmp admin get leases'")
        return lease

    def _shown(self, lease: Lease) -> client_pb2.Lease:
        return lease_to_proto(lease, self._address.namespace, self._labels, self._lab.now())


def _describe(message: lab_pb2.Identity, record: Client | Exporter, now: datetime) -> None:
    message.labels.update(record.labels)
    message.created.CopyFrom(timestamp(record.created_at))
    message.external_username = record.username or ""
    if isinstance(record, Exporter):
        status, text = shown_status(record, now)
        message.status = status  # type: ignore[assignment]
        message.status_message = text
        message.online = record.registered and record.is_online(now)
        message.enabled = record.enabled
        if record.last_seen is not None:
            message.last_seen.CopyFrom(timestamp(record.last_seen))
        for device in record.devices or ():
            message.devices.add(uuid=device.uuid, parent_uuid=device.parent_uuid, labels=device.labels)


def _policy_of(message: lab_pb2.Policy) -> AccessPolicy:
    """Raises InvalidRequest, or ConfigurationError for a selector."""
    check_name("policy", message.name)
    rules = []
    for number, rule in enumerate(message.rules, 1):
        longest = duration_of(rule, "maximum_duration")
        if longest is not None and longest.total_seconds() <= 0:
            raise InvalidRequest(
                f"rule {number}: maximum duration must be positive; leave it out for no limit"
            )
        rules.append(
            PolicyRule(
                clients=tuple(map(Selector.parse, rule.client_selectors)),
                priority=rule.priority,
                maximum_duration=longest,
                spot_access=rule.spot_access,
                description=rule.description,
            )
        )
    return AccessPolicy(
        name=message.name, exporters=Selector.parse(message.exporter_selector), rules=tuple(rules)
    )


def _audit_entry(entry: AuditEntry) -> lab_pb2.AuditEntry:
    return lab_pb2.AuditEntry(
        time=timestamp(entry.at),
        actor=entry.actor,
        action=entry.action,
        target=entry.subject,
        detail=entry.detail,
    )
