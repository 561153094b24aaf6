"""Clients, exporters, administrators and their tokens. Each function is an operation on a `Draft`."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, TypeVar

from jumpstarter_controller.identity.tokens import Token as IssuedToken
from jumpstarter_controller.identity.tokens import TokenService
from jumpstarter_controller.model import (
    AlreadyExists,
    Client,
    Exporter,
    InvalidRequest,
    NotFound,
    NotPermitted,
    Role,
    Token,
    WrongState,
    check_labels,
    check_name,
)
from jumpstarter_controller.model.names import RESERVED_PREFIX

from . import leasing
from .draft import Draft

Known = TypeVar("Known", Client, Exporter)

#: Administrators are known by their tokens alone.
ADMINISTRATOR_UID: Final = "administrator"
#: Tokens of one identity that are valid at a time: whoever has one cannot fill the store with others.
MAX_TOKENS: Final = 100
#: So long a token stays valid after its owner had it replaced.
RENEWAL_GRACE: Final = timedelta(hours=1)
#: So long it is remembered that tokens of a stock installation are refused: for good.
FOREIGN_LIFETIME: Final = timedelta(days=100 * 366)


def create(
    draft: Draft,
    tokens: TokenService,
    namespace: str,
    role: Role,
    name: str,
    labels: Mapping[str, str],
    username: str,
    actor: str,
) -> IssuedToken:
    """A new identity with its first token."""
    check_name(role.value, name)
    check_labels(labels)
    if owner_uid(draft, role, name) is not None:
        raise AlreadyExists(
            f"{role.value} '{name}' already exists; take another name, delete it first, or import its configuration"
        )
    uid = str(uuid.uuid4())
    if role is Role.CLIENT:
        draft.clients.put(
            name,
            Client(name=name, uid=uid, created_at=draft.now, labels=dict(labels), username=username or None),
        )
    elif role is Role.EXPORTER:
        draft.exporters.put(
            name,
            Exporter(
                name=name, uid=uid, created_at=draft.now, labels=dict(labels), username=username or None
            ),
        )
    elif labels or username:
        raise InvalidRequest("an administrator has neither labels nor an external user name; leave them out")
    draft.note(actor, f"{role.value}.create", subject(role, name))
    return issue(draft, tokens, namespace, role, name)


def update(
    draft: Draft,
    role: Role,
    name: str,
    labels: Mapping[str, str] | None,
    username: str | None,
    enabled: bool | None,
    actor: str,
) -> None:
    """Change what is not None of an identity; its tokens and leases stay. Labels that its exporter tells by itself stay, too."""
    require(draft, role, name)
    if labels is not None:
        check_labels(labels)
    if role is Role.CLIENT:
        if enabled is not None:
            raise InvalidRequest(f"client '{name}' cannot be enabled or disabled: only exporters can")
        client = _known(draft.clients.get(name))
        draft.clients.put(name, _changed(client, labels, username))
    elif role is Role.EXPORTER:
        exporter = _known(draft.exporters.get(name))
        told = {key: value for key, value in exporter.labels.items() if key.startswith(RESERVED_PREFIX)}
        exporter = _changed(exporter, None if labels is None else {**labels, **told}, username)
        draft.exporters.put(name, replace(exporter, enabled=exporter.enabled if enabled is None else enabled))
    else:
        raise InvalidRequest("an administrator has nothing that could be changed")
    draft.note(actor, f"{role.value}.update", subject(role, name))


def _changed(record: Known, labels: Mapping[str, str] | None, username: str | None) -> Known:
    if labels is not None:
        record = replace(record, labels=dict(labels))
    return record if username is None else replace(record, username=username or None)


def _known(record: Known | None) -> Known:
    """*record*, of which `require` has said that it is there."""
    assert record is not None
    return record


def delete(draft: Draft, role: Role, name: str, actor: str) -> None:
    """Remove an identity: its tokens are void, its active leases end. Ended leases stay."""
    require(draft, role, name)
    for lease in list(draft.leases.values()):
        concerned = lease.client == name if role is Role.CLIENT else lease.exporter == name
        if role is not Role.ADMINISTRATOR and concerned and not lease.ended:
            by = actor.rpartition("/")[2]
            leasing.release(draft, lease.name, actor, f"its {role.value} was deleted by administrator {by}")
    if role is Role.CLIENT:
        draft.clients.delete(name)
    elif role is Role.EXPORTER:
        draft.exporters.delete(name)
    _revoke(draft, role, name)
    _revoke_foreign(draft, role, name, draft.now)
    draft.note(actor, f"{role.value}.delete", subject(role, name))


def issue(draft: Draft, tokens: TokenService, namespace: str, role: Role, name: str) -> IssuedToken:
    """A further token; the others stay valid. Raises WrongState when there are `MAX_TOKENS` already."""
    valid = sum(1 for token in _tokens_of(draft, role, name) if token.is_valid(draft.now))
    if valid >= MAX_TOKENS:
        raise WrongState(
            f"{role.value} '{name}' has {valid} valid tokens, which is the most: an administrator can void them all with "
            f"'jmp admin rotate {role.value} {name}'"
        )
    token = tokens.issue(role, namespace, name, require(draft, role, name, new=role is Role.ADMINISTRATOR))
    record = Token(id=token.id, role=role, owner=name, issued_at=token.issued, expires_at=token.expires)
    draft.tokens.put(token.id, record)
    return token


def issue_only(draft: Draft, tokens: TokenService, namespace: str, role: Role, name: str) -> IssuedToken:
    """A new token for who has lost theirs; the ones before it are revoked."""
    _revoke(draft, role, name)
    return issue(draft, tokens, namespace, role, name)


def rotate(
    draft: Draft, tokens: TokenService, namespace: str, role: Role, name: str, actor: str
) -> IssuedToken:
    """A new token, asked for by an administrator; the ones before it are revoked at once."""
    require(draft, role, name)
    _revoke(draft, role, name)
    _revoke_foreign(draft, role, name, draft.now)
    draft.note(actor, f"{role.value}.rotate", subject(role, name))
    return issue(draft, tokens, namespace, role, name)


def renew(
    draft: Draft, tokens: TokenService, namespace: str, role: Role, name: str, actor: str, used: str
) -> IssuedToken:
    """A new token, asked for by its owner, in place of the one that is *used* ('' for one of a stock installation).

    That one stays valid for `RENEWAL_GRACE`: the answer may be lost, and shells that run have it. Tokens on other machines are
    not touched. Raises NotPermitted when it is not valid any more.
    """
    require(draft, role, name)
    end = draft.now + RENEWAL_GRACE
    if used:
        token = _valid(draft, used)
        draft.tokens.put(used, replace(token, expires_at=min(token.expires_at, end)))
    else:
        _revoke_foreign(draft, role, name, end)
    draft.note(actor, f"{role.value}.renew", subject(role, name))
    return issue(draft, tokens, namespace, role, name)


def owner_uid(draft: Draft, role: Role, name: str) -> str | None:
    """The uid of an identity, None when there is none."""
    if role is Role.ADMINISTRATOR:
        valid = any(token.is_valid(draft.now) for token in _tokens_of(draft, role, name))
        return ADMINISTRATOR_UID if valid else None
    found = draft.clients.get(name) if role is Role.CLIENT else draft.exporters.get(name)
    return found.uid if found is not None else None


def require(draft: Draft, role: Role, name: str, *, new: bool = False) -> str:
    """The uid of an identity. Raises NotFound unless it may be *new*."""
    uid = owner_uid(draft, role, name)
    if uid is None and new:
        return ADMINISTRATOR_UID
    if uid is None:
        raise NotFound(f"{role.value} '{name}' does not exist; see 'jmp admin get {role.value}'")
    return uid


def subject(role: Role, name: str) -> str:
    """How the audit log calls an identity."""
    return f"{role.value}s/{name}"


def _valid(draft: Draft, token_id: str) -> Token:
    token = draft.tokens.get(token_id)
    if token is None or not token.is_valid(draft.now):
        raise NotPermitted("the token is revoked or expired, it cannot be renewed: ask for a new one")
    return token


def _revoke(draft: Draft, role: Role, name: str) -> None:
    for token in _tokens_of(draft, role, name):
        if token.revoked_at is None:
            draft.tokens.put(token.id, replace(token, revoked_at=draft.now))


def _revoke_foreign(draft: Draft, role: Role, name: str, at: datetime) -> None:
    """Refuse all tokens of a stock installation from *at* on, also when the lab accepts none now. They have no ids."""
    if role is Role.ADMINISTRATOR:
        return
    record_id = f"stock:{role.value}:{name}"
    known = draft.tokens.get(record_id)
    if known is not None and known.revoked_at is not None:
        at = min(at, known.revoked_at)
    record = Token(
        id=record_id,
        role=role,
        owner=name,
        issued_at=draft.now if known is None else known.issued_at,
        expires_at=draft.now + FOREIGN_LIFETIME,
        revoked_at=at,
    )
    draft.tokens.put(record_id, record)


def _tokens_of(draft: Draft, role: Role, name: str) -> list[Token]:
    return [token for token in draft.tokens.values() if token.role is role and token.owner == name]
