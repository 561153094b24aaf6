"""What a shell is connected to when its command line names nothing.

In this order, the first that there is: the lease that JMP_LEASE names; the exporter of the surrounding shell; the one of
`jmp local start`; where a client is configured, its one active lease; else a simulated board. Whichever it is, it is told.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click
from jumpstarter.common import local
from jumpstarter.config.env import JUMPSTARTER_HOST, chosen

from . import logs
from .launch import Surroundings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jumpstarter.client.lab import Exporter, Lab, Lease

#: So many choices are listed; more would hide the message.
LISTED = 20


def surrounding() -> Surroundings | None:
    """The exporter of the surrounding `jmp shell`, else that of `jmp local start`; None where there is neither."""
    if (host := chosen(JUMPSTARTER_HOST)) is not None:
        found = _of_environment(host)
        logs.note(f"Using the exporter of the surrounding shell: {found.name}")
        return found
    if (running := local.running_exporter()) is not None:
        logs.note(f"Using the exporter of 'jmp local start': {running.name}")
        return Surroundings(host=running.socket, name=running.name, labels=running.labels)
    return None


def _of_environment(host: str) -> Surroundings:
    from jumpstarter.utils.env import ExporterMetadata, tcp_options

    told, how = ExporterMetadata.from_env(), tcp_options()
    return Surroundings(
        host=host,
        name=told.name or host,
        lease=told.lease,
        labels=told.labels,
        insecure=how["insecure"],
        passphrase=how["passphrase"],
        allow=os.environ.get("JMP_DRIVERS_ALLOW", "UNSAFE"),
    )


def new_lease_of_environment() -> str:
    """The lease that JMP_LEASE names, but not that of the surrounding shell, which has set it."""
    from jumpstarter.connection.environment import SHELL_LEASE
    from jumpstarter.utils.env import lease_of_environment

    lease = lease_of_environment()
    return "" if lease == os.environ.get(SHELL_LEASE) else lease


@dataclass(frozen=True)
class Found:
    """What to use: an active lease, or an exporter to lease."""

    lease: str = ""
    exporter: str = ""


def active_lease(lab: Lab) -> Found:
    """The one active lease of the lab's client; on a terminal the user chooses where there are several, or none.

    Raises click.UsageError that lists the choices.
    """
    own = [lease for lease in lab.list_leases() if lease.client == lab.name and lease.failure is None]
    if len(own) == 1:
        return Found(lease=own[0].name)
    if own:
        return Found(lease=_choose(f"You have {len(own)} active leases", _leases(own), "--lease"))
    exporters = [each for each in lab.list_exporters() if each.enabled is not False]
    if not exporters:
        raise click.UsageError("You have no active lease, and the lab shows you no exporter to lease.")
    return Found(exporter=_choose("You have no active lease; the lab has", _exporters(exporters), "--name"))


def _leases(leases: Sequence[Lease]) -> dict[str, str]:
    return {each.name: each.exporter or each.exporter_name or each.selector for each in leases}


def _exporters(exporters: Sequence[Exporter]) -> dict[str, str]:
    return {each.name: ",".join(f"{k}={v}" for k, v in sorted(each.labels.items())) for each in exporters}


def _choose(title: str, choices: dict[str, str], option: str) -> str:
    """The one of *choices* (with what to tell about each) that the user chooses."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        told = ", ".join(
            f"{name} ({about})" if about else name for name, about in [*choices.items()][:LISTED]
        )
        more = f" and {len(choices) - LISTED} more" if len(choices) > LISTED else ""
        raise click.UsageError(
            f"{title}: {told}{more}. Say which one is meant, with {option} or -l/--selector; "
            "--exporter simulated is a simulated board.",
            click.get_current_context(),
        )
    click.echo(f"{title}:", err=True)
    names = list(choices)
    for number, name in enumerate(names, 1):
        click.echo(f"  {number}  {name}  {choices[name]}".rstrip(), err=True)
    number = click.prompt("Which one", type=click.IntRange(1, len(names)), err=True)
    return names[number - 1]
