"""Why a lease cannot be served: for ever (it is refused) or for now (it waits)."""

from __future__ import annotations

from jumpstarter.common.durations import format_duration

from jumpstarter_controller.model import Client, Lease, Reason
from jumpstarter_controller.model.policies import described, longest_allowed

from .access import AccessIndex
from .board import Boards
from .decisions import LabState, Refusal
from .masks import bits


def find_targets(lease: Lease, boards: Boards) -> int | Refusal:
    """The exporters that *lease* asks for and that are enabled, or why there cannot be any."""
    spec = lease.spec
    if spec.exporter_name:
        return _pinned(lease, spec.exporter_name, boards)
    if not spec.selector:
        return Refusal(
            lease.name, Reason.INVALID_SELECTOR, "the lease has neither a selector nor an exporter name"
        )
    matching = boards.labels.select(spec.selector)
    enabled = matching & boards.enabled
    if matching and not enabled:
        message = (
            f"all {matching.bit_count()} exporters that match selector {spec.selector} are disabled "
            f"(for example {_example(matching, boards)}); ask an administrator to enable one"
        )
        return Refusal(lease.name, Reason.ALL_DISABLED, message)
    if not matching:
        message = f"no exporter matches selector {spec.selector}; jmp get exporters lists them"
        return Refusal(lease.name, Reason.NO_ACCESS, message)
    return enabled


def _pinned(lease: Lease, name: str, boards: Boards) -> int | Refusal:
    number = boards.numbers.get(name)
    if number is None:
        return Refusal(
            lease.name,
            Reason.EXPORTER_NOT_FOUND,
            f"there is no exporter {name}; jmp get exporters lists them",
        )
    exporter = boards.exporters[number]
    if not lease.spec.selector.selects(exporter.labels):
        message = f"exporter {name} does not match selector {lease.spec.selector}"
        return Refusal(lease.name, Reason.SELECTOR_MISMATCH, message)
    if not exporter.enabled and not lease.spec.allow_disabled:
        message = f"exporter {name} is disabled; ask an administrator to enable it, or allow disabled ones"
        return Refusal(lease.name, Reason.EXPORTER_DISABLED, message)
    return 1 << number


def refuse_access(
    lease: Lease, client: Client | None, targets: int, access: AccessIndex, state: LabState
) -> Refusal:
    """Why none of *targets* may be leased by *client*."""
    if client is None:
        return Refusal(lease.name, Reason.NO_ACCESS, f"client {lease.client} does not exist any more")
    longest = longest_allowed(rule for rule, exporters in access.rules(client) if exporters & targets)
    if longest is not None:
        message = (
            f"{format_duration(lease.spec.times.duration)} is longer than the {format_duration(longest)} that access "
            f"policies let client {client.name} have; ask for less"
        )
    else:
        message = (
            f"no access policy lets client {client.name} use any of the {targets.bit_count()} matching exporters"
            + described(state.policies, client)
        )
    return Refusal(lease.name, Reason.NO_ACCESS, message)


def explain_wait(mask: int, boards: Boards) -> tuple[Reason, str]:
    """Why none of the exporters of *mask*, which the client may have, can be granted now."""
    online = mask & boards.online
    if not online:
        those = _those(mask, boards)
        return (
            Reason.OFFLINE,
            f"{those} is offline" if mask.bit_count() == 1 else f"none of {those} is online",
        )
    away = mask & ~boards.online
    offline = f"; offline: {_those(away, boards)}" if away else ""
    idle = online & ~boards.held
    if not idle:
        return Reason.NOT_AVAILABLE, f"leased: {_those(online, boards)}{offline}"
    if not idle & boards.ready:
        return Reason.NOT_READY, f"not ready for a new lease yet: {_those(idle, boards)}{offline}"
    return (
        Reason.NOT_AVAILABLE,
        f"reserved for a lease that begins soon: {_those(idle & boards.ready, boards)}{offline}",
    )


def _those(mask: int, boards: Boards) -> str:
    count = mask.bit_count()
    if count == 1:
        return f"exporter {_example(mask, boards)}"
    return f"{count} matching exporters (for example {_example(mask, boards)})"


def _example(mask: int, boards: Boards) -> str:
    return boards.exporters[next(bits(mask))].name
