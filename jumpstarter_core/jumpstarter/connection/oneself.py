"""Whether a client waits for itself: for exporters that its own leases hold, and that nobody would give back meanwhile."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from jumpstarter.client.lab import Lab, Lease
from jumpstarter.common.exceptions import JumpstarterException, LeaseError

from .claims import is_free, is_kept, new_claim, unclaim
from .environment import SHELL_LEASE
from .jobs import SHELL_KEY, shell_id

if TYPE_CHECKING:
    from .holding import LeaseRequest

#: The leases of this process that are in use, with the thread that has each.
_in_use: dict[str, threading.Thread] = {}


@contextmanager
def used_by_this_thread(name: str) -> Generator[None]:
    """While the context lasts, the lease *name* is in use by this thread, which cannot end it while it waits for another."""
    _in_use[name] = threading.current_thread()
    try:
        yield
    finally:
        _in_use.pop(name, None)


def own_leases(lab: Lab, request: LeaseRequest, name: str) -> list[Lease]:
    """The client's other leases that hold all exporters that the lease *name* may get; none when that is not so."""
    try:
        leases = [each for each in lab.list_leases() if each.client == lab.name and each.ready]
        own = {each.exporter: each for each in leases if each.name != name}
        if not own:
            return []
        fitting = [request.exporter_name] if request.exporter_name else []
        if not fitting:
            exporters = lab.list_exporters(request.selector)
            fitting = [each.name for each in exporters if each.enabled is not False]
    except JumpstarterException:
        return []
    return [own[each] for each in fitting] if fitting and own.keys() >= set(fitting) else []


def told_of(leases: Sequence[Lease], notes: Mapping[str, str] | None = None) -> str:
    """What to tell a client that waits for its own *leases*, with a note on each where there is one; "" for none."""
    if not leases:
        return ""
    known = notes or {}
    told = ", ".join(
        f"{each.name} ({', '.join(filter(None, (each.exporter, known.get(each.name))))})" for each in leases
    )
    return (
        f"this client's own leases hold all exporters that fit: {told}; use one of them by its name "
        "(--lease, JMP_LEASE), or end it with 'jmp delete lease'"
    )


def refuse_waiting_for_oneself(
    lab: Lab, request: LeaseRequest, name: str, until: datetime | None = None
) -> str:
    """What `told_of` says, where a board may still be given back: by others of this client, or as a lease ends before *until*.

    Raises LeaseError with it when nobody would: each of the leases is used by this thread, is that of the surrounding shell,
    or was made with `jmp create lease` in the shell that now waits, and is used by nobody.
    """
    leases = own_leases(lab, request, name)
    if until is not None and any(each.ends_at is not None and each.ends_at < until for each in leases):
        return told_of(leases)
    notes = {each.name: _who_keeps(lab, each) if request.alone else "" for each in leases}
    told = told_of(leases, notes)
    if leases and all(notes.values()):
        raise LeaseError(f"nobody would end the wait for {request.wanted}: {told}")
    return told


def waiting_for_oneself(
    lab: Lab, request: LeaseRequest, name: str, until: datetime | None = None
) -> Callable[[], str]:
    """What tells a client that waits for the lease *name* about its own leases, again and again.

    The first time it raises LeaseError where nobody would end the wait, as `refuse_waiting_for_oneself` does.
    """
    looked = False

    def hint() -> str:
        nonlocal looked
        if looked:
            return told_of(own_leases(lab, request, name))
        looked = True
        return refuse_waiting_for_oneself(lab, request, name, until)

    return hint


def _who_keeps(lab: Lab, lease: Lease) -> str:
    """Who has *lease*, of those who do not end it while this thread waits; "" for anybody else."""
    if _in_use.get(lease.name) is threading.current_thread():
        return "in use by this program"
    if lease.name in (os.environ.get("JMP_LEASE"), os.environ.get(SHELL_LEASE)):
        return "of the surrounding shell, or named by JMP_LEASE"
    return "of 'jmp create lease' in this shell, in use by nobody" if _is_left_alone(lab, lease) else ""


def _is_left_alone(lab: Lab, lease: Lease) -> bool:
    """Whether `jmp create lease` made *lease* in the shell of this process, and nobody uses it."""
    if not is_kept(lab, lease) or lease.context.get(SHELL_KEY, "") != shell_id():
        return False
    claim = new_claim()
    try:
        return is_free(lab, lease, claim)
    except JumpstarterException:
        return False
    finally:
        unclaim(lab, lease.name, claim)
