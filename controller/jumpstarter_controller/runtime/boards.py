"""What exporters report about themselves. Each function is an operation on a `Draft`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from jumpstarter.common.enums import ExporterStatus

from jumpstarter_controller.model import Device, Exporter, NotFound

from . import leasing
from .draft import Draft


def register(draft: Draft, name: str, labels: Mapping[str, str], devices: tuple[Device, ...]) -> None:
    """The exporter tells its labels and drivers."""
    draft.exporters.put(name, known(draft, name).with_registration(labels, devices))


def unregister(draft: Draft, name: str, reason: str) -> None:
    """The exporter stops, and says why. A lease that it has goes on."""
    draft.exporters.put(name, known(draft, name).without_registration(reason or "Exporter stopped"))


def report(
    draft: Draft, name: str, status: ExporterStatus, message: str, release_lease: bool, actor: str
) -> None:
    """The exporter tells how it is, and possibly that it is done with its lease."""
    exporter = known(draft, name)
    draft.exporters.put(name, replace(exporter, status=status, status_message=message, last_seen=draft.now))
    if release_lease and (lease := leasing.held_by(draft, name)) is not None:
        leasing.release(draft, lease.name, actor, "the exporter released the lease")


def connect(draft: Draft, name: str) -> None:
    """The exporter is there (again). OFFLINE is what it said as it went, or what was last known of it.

    Exporters before 0.8 never report a status: for them nothing else would take OFFLINE away.
    """
    exporter = replace(known(draft, name), last_seen=draft.now)
    if exporter.status is ExporterStatus.OFFLINE:
        exporter = replace(exporter, status=ExporterStatus.UNSPECIFIED, status_message="")
    draft.exporters.put(name, exporter)


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
