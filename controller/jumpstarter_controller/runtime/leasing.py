"""What can be done to leases. Each function is an operation on a `Draft`, and raises what the model raises."""

from __future__ import annotations

import secrets
import time
import uuid
from datetime import timedelta
from typing import Final

from jumpstarter_controller.model import (
    AlreadyExists,
    Claimed,
    Client,
    Exporter,
    Lease,
    LeaseSpec,
    LeaseState,
    NotFound,
    NotPermitted,
    TimeChange,
    WrongState,
    check_access,
    check_new_lease,
    update_times,
)

from .draft import Draft

#: What is told of a lease that ended since somebody wanted it to.
#: Why a lease ended that waited.
NOBODY_WAITED: Final = "its client went away, nobody waited for it any more"
RELEASED: Final = "released by its owner"
#: Leases of one client that wait or hold a board at a time: whoever has its token cannot fill the lab's memory with others.
MAX_LEASES: Final = 1000


def new_name() -> str:
    """A name for a lease that was given none: a UUID of version 7 (RFC 9562), so that names sort by age."""
    milliseconds = time.time_ns() // 1_000_000
    number = milliseconds << 80 | 7 << 76 | secrets.randbits(12) << 64 | 2 << 62 | secrets.randbits(62)
    return str(uuid.UUID(int=number))


def create(
    draft: Draft, client: str, name: str, spec: LeaseSpec, max_tags: int, actor: str, claim: str = ""
) -> None:
    """A new lease of *client*, and its *claim* on it if it has one."""
    _check_quota(draft, client)
    check_new_lease(name, spec, max_tags)
    if draft.clients.get(client) is None:
        raise NotFound(f"client '{client}' does not exist; an administrator may have deleted it")
    if draft.leases.get(name) is not None:
        raise name_taken(name)
    lease = Lease(name=name, client=client, created_at=draft.now, spec=spec)
    draft.leases.put(name, lease.claimed(claim) if claim else lease)
    wanted = str(spec.selector) or f"exporter {spec.exporter_name}"
    draft.note(actor, "lease.create", f"leases/{name}", wanted)


def _check_quota(draft: Draft, client: str) -> None:
    """Raises WrongState when *client* has `MAX_LEASES` that have not ended."""
    if len(draft.leases) < MAX_LEASES:
        return
    if sum(each.client == client and not each.ended for each in draft.leases.values()) >= MAX_LEASES:
        raise WrongState(
            f"client '{client}' has {MAX_LEASES} leases, which is the most: end some with 'jmp delete leases'"
        )


def claim(draft: Draft, name: str, claim: str, client: str, *, exclusive: bool) -> None:
    """*client* uses the lease, or waits for it. Raises Claimed when that is to be *exclusive*, and somebody else does."""
    lease = _active(draft, name)
    require_owner(lease, client)
    if exclusive and lease.claims - {claim}:
        raise Claimed(f"lease '{name}' is in use by another connection")
    if claim not in lease.claims:
        draft.leases.put(name, lease.claimed(claim))


def unclaim(draft: Draft, name: str, claim: str, owner: str | None = None) -> None:
    """The opposite of `claim`; nothing happens to a lease that has no such claim."""
    lease = draft.leases.get(name)
    if lease is None or claim not in lease.claims:
        return
    if owner is not None:
        require_owner(lease, owner)
    draft.leases.put(name, lease.unclaimed(claim))


def name_taken(name: str) -> AlreadyExists:
    """The error for a second lease of that name."""
    return AlreadyExists(f"lease '{name}' already exists; leave the name out to be given a new one")


def update(
    draft: Draft,
    name: str,
    change: TimeChange,
    new_client: str | None,
    actor: str,
    *,
    owner: str | None = None,
) -> None:
    """Change the times of an active lease, and then hand it to *new_client* if there is one.

    With *owner*, it has to be a lease of that client.
    """
    lease = _active(draft, name)
    if owner is not None:
        require_owner(lease, owner)
    times = update_times(lease.spec.times, change, lease.begun_at)
    if times != lease.spec.times:
        lease = lease.retimed(times)
        if lease.state is LeaseState.READY:
            _check_policy(draft, lease, _client(draft, lease.client))
        draft.note(actor, "lease.update", f"leases/{name}", f"duration {times.duration}")
    if new_client is not None and new_client != lease.client:
        lease = _transferred(draft, lease, new_client)
        draft.note(actor, "lease.transfer", f"leases/{name}", f"clients/{new_client}")
    draft.leases.put(name, lease)


def release(draft: Draft, name: str, actor: str, message: str = RELEASED) -> None:
    """End an active lease, begun or not."""
    draft.leases.put(name, _active(draft, name).released(draft.now, message))
    draft.note(actor, "lease.release", f"leases/{name}")


def release_if_active(
    draft: Draft,
    name: str,
    actor: str,
    message: str = RELEASED,
    *,
    owner: str | None = None,
    exporter: str | None = None,
) -> None:
    """As `release`; nothing happens to a lease that is over.

    With *owner*, it has to be a lease of that client; with *exporter*, one that this exporter has.
    """
    lease = draft.leases.get(name)
    if lease is None or lease.ended:
        return
    if owner is not None:
        require_owner(lease, owner)
    if exporter is not None:
        require_exporter(lease, exporter)
    release(draft, name, actor, message)


def require_owner(lease: Lease, client: str) -> None:
    """Raises NotPermitted; stock clients look for its first words."""
    if lease.client != client:
        raise NotPermitted(
            f"permission denied: lease '{lease.name}' belongs to client '{lease.client}', not to '{client}'"
        )


def require_exporter(lease: Lease, exporter: str) -> None:
    """Raises WrongState unless *lease* has *exporter*."""
    if lease.exporter != exporter:
        raise WrongState(f"lease '{lease.name}' is not of exporter '{exporter}'")


def held_by(draft: Draft, exporter: str) -> Lease | None:
    """The lease that holds *exporter*."""
    leases = draft.leases.values()
    return next(
        (each for each in leases if each.exporter == exporter and each.state is LeaseState.READY), None
    )


def _transferred(draft: Draft, lease: Lease, name: str) -> Lease:
    if lease.state is not LeaseState.READY:
        raise WrongState(
            f"lease '{lease.name}' is {lease.state.value}: only one that has an exporter can be transferred"
        )
    approval = _check_policy(draft, lease, _client(draft, name))
    return lease.transferred(name, *approval)


def _check_policy(draft: Draft, lease: Lease, client: Client) -> tuple[int, bool]:
    exporter: Exporter | None = draft.exporters.get(lease.exporter or "")
    if exporter is None:
        return lease.priority, lease.spot
    approval = check_access(draft.policies.values(), client, exporter, _total(lease))
    return approval.priority, approval.spot


def _total(lease: Lease) -> timedelta:
    end = lease.spec.times.window_end
    begin = lease.begun_at
    return end - begin if end is not None and begin is not None and end > begin else lease.spec.times.duration


def _active(draft: Draft, name: str) -> Lease:
    lease = draft.leases.get(name)
    if lease is None or lease.ended:
        raise WrongState(f"lease '{name}' has ended")
    return lease


def _client(draft: Draft, name: str) -> Client:
    client = draft.clients.get(name)
    if client is None:
        raise NotFound(f"client '{name}' does not exist; see 'jmp admin get clients'")
    return client
