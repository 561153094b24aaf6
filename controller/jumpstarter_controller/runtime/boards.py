"""What exporters report about themselves. Each function is an operation on a `Draft`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from jumpstarter.common.enums import ExporterStatus

from jumpstarter_controller.model import Device, Exporter, NotFound, Superseded, Unregistered, shortened

from . import leasing
from .draft import Draft


def register(
    draft: Draft,
    name: str,
    labels: Mapping[str, str],
    devices: tuple[Device, ...],
    session: int | None = None,
    current_is_alive: bool = False,
) -> int:
    """The exporter tells its labels and drivers. Returns the number of its session.

    A process that has registered before sends its *session*. The newest process wins: another one gets a number only when
    the current one is not alive any more. Raises Superseded.
    """
    exporter = known(draft, name)
    if session is not None and session < exporter.session and current_is_alive:
        raise superseded(name)
    # A higher number than the one that is known was given before the store was put back to an older state.
    known_already = session is not None and session >= exporter.session
    number = session if session is not None and known_already else exporter.session + 1
    draft.exporters.put(name, replace(exporter.with_registration(labels, devices), session=number))
    return number


def unregister(draft: Draft, name: str, reason: str, session: int | None = None) -> None:
    """The exporter stops, and says why. A lease that it has goes on. Raises Superseded."""
    exporter = require_session(draft, name, session)
    draft.exporters.put(name, exporter.without_registration(shortened(reason) or "Exporter stopped"))


def require_session(draft: Draft, name: str, session: int | None) -> Exporter:
    """The exporter, for its current *session*, or a peer that knows of no sessions. Raises NotFound, Superseded, shortened."""
    exporter = known(draft, name)
    if session is not None and session != exporter.session:
        raise superseded(name)
    return exporter


def superseded(name: str) -> Superseded:
    """The error for a process that is not the newest one of the exporter."""
    return Superseded(f"another process has registered as exporter '{name}' since")


def revive(draft: Draft, name: str, devices: tuple[Device, ...]) -> None:
    """A process said that the exporter goes, and another one is there still. Nothing happens when it has reported since."""
    exporter = known(draft, name)
    if exporter.status is not ExporterStatus.OFFLINE:
        return
    devices = devices if exporter.devices is None else exporter.devices
    draft.exporters.put(
        name, replace(exporter, devices=devices, status=ExporterStatus.UNSPECIFIED, status_message="")
    )


def report(
    draft: Draft,
    name: str,
    status: ExporterStatus,
    message: str,
    release_lease: bool,
    actor: str,
    session: int | None = None,
) -> None:
    """The exporter tells how it is, and possibly that it is done with its lease. Raises Superseded."""
    exporter = require_session(draft, name, session)
    draft.exporters.put(
        name, replace(exporter, status=status, status_message=shortened(message), last_seen=draft.now)
    )
    if release_lease and (lease := leasing.held_by(draft, name)) is not None:
        leasing.release(draft, lease.name, actor, why_released(status, message))


def why_released(status: ExporterStatus, message: str) -> str:
    """What is told of a lease that its exporter releases, with the hook's problem where it is that."""
    failed = status in (ExporterStatus.BEFORE_LEASE_HOOK_FAILED, ExporterStatus.AFTER_LEASE_HOOK_FAILED)
    return f"released by its exporter: {message}" if failed and message else "released by its exporter"


def connect(draft: Draft, name: str, session: int | None = None) -> None:
    """The exporter is there (again). OFFLINE is what it said as it went, or what was last known of it.

    Exporters before 0.8 never report a status: for them nothing else would take OFFLINE away. Raises Superseded.
    """
    exporter = replace(require_session(draft, name, session), last_seen=draft.now)
    if exporter.status is ExporterStatus.OFFLINE:
        exporter = replace(exporter, status=ExporterStatus.UNSPECIFIED, status_message="")
    draft.exporters.put(name, exporter)


def come_back(draft: Draft, name: str, session: int | None, told: str) -> None:
    """The exporter is there again, whose line broke, as it was: registered as *session*, and the status by the name *told*.

    Raises Unregistered where anything else is known of it.
    """
    exporter = known(draft, name)
    if not exporter.registered or session != exporter.session or told != exporter.status.name:
        raise Unregistered(f"exporter '{name}' is not known as it was: register again")
    draft.exporters.put(name, replace(exporter, last_seen=draft.now))


def touch(draft: Draft, name: str) -> None:
    """The exporter was heard of, after so long that it counted as offline."""
    draft.exporters.put(name, replace(known(draft, name), last_seen=draft.now))


def enable(draft: Draft, name: str, enabled: bool, actor: str) -> None:
    """No new leases for an exporter that is not enabled."""
    draft.exporters.put(name, replace(known(draft, name), enabled=enabled))
    draft.note(actor, "exporter.enable" if enabled else "exporter.disable", f"exporters/{name}")


def known(draft: Draft, name: str) -> Exporter:
    """The exporter. Raises NotFound."""
    exporter = draft.exporters.get(name)
    if exporter is None:
        raise NotFound(f"exporter '{name}' does not exist; an administrator may have deleted it")
    return exporter
