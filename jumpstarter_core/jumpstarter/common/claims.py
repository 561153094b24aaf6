"""Claims: which connection of a client uses a lease, or waits for it. See `jumpstarter.lab.v1.LabService.WatchLease`."""

from __future__ import annotations

from typing import Final

#: Metadata of CreateLease: the claim that its sender has on the new lease. Stock peers do not send it.
CLAIM_KEY: Final = "x-jmp-claim"

#: The kind of refusal for a lease that is wanted for oneself, and that another connection uses.
CLAIMED: Final = "Claimed"
