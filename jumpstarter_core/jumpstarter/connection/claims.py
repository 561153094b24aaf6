"""Which leases nobody uses: the uses of a lease by name, and the leases that are there to be used by several programs."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Generator
from secrets import randbits
from typing import Final

from jumpstarter.client.lab import Lab, Lease, LeaseClaimed
from jumpstarter.common.exceptions import JumpstarterException, LeaseError
from jumpstarter.common.interrupts import Shield

from .jobs import JOB_KEY, job_id

#: Context of leases that were created to be used by several programs, one after the other.
KEPT: Final = {"kept-by": "jmp-create-lease"}

#: Seconds that a controller gets to say whether a lease is free to be used: it waits for a user who may come back.
CLAIM_TIMEOUT: Final = 30.0
#: Seconds for the end of a claim: it lapses by itself, too.
UNCLAIM_TIMEOUT: Final = 5.0


def new_claim() -> str:
    """A name for one use of a lease."""
    return f"{randbits(96):024x}"


def is_kept(lab: Lab, lease: Lease) -> bool:
    """Whether *lease* was created, by the job that this process belongs to, to be used by several programs."""
    mine = lease.client == lab.name and KEPT.items() <= lease.context.items()
    return mine and lease.context.get(JOB_KEY, "") == job_id()


def is_free(lab: Lab, lease: Lease, claim: str) -> bool:
    """Whether nobody else uses *lease*; then it is claimed. Raises LeaseClaimed that says who does."""
    try:
        for _ in lab.watch_lease(lease.name, CLAIM_TIMEOUT, claim=claim, exclusive=True):
            return True
    except LeaseClaimed:
        raise
    except (LeaseError, TimeoutError):
        pass  # it has ended meanwhile
    return False


def unclaim(lab: Lab, name: str, claim: str) -> None:
    """Let others use the lease *name*. Never raises: where it does not arrive, the claim lapses."""
    with contextlib.suppress(JumpstarterException), uninterrupted():
        lab.release_claim(name, claim, UNCLAIM_TIMEOUT)


@contextlib.contextmanager
def uninterrupted() -> Generator[None]:
    """Ctrl-C, pressed again by someone in a hurry, does not keep the board from others.

    Exceptions of other handlers, such as those of time-outs, wait as in any shield: one that came between two lines here would
    leave the process deaf to Ctrl-C.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with Shield():
        before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                if handler is not None:  # one that Python did not install cannot be put back
                    signal.signal(number, handler)
