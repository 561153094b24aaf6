"""A shell, or a command, with an exporter that is leased for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import click
from jumpstarter.utils.env import lease_of_environment

from . import logs
from .entry import show_error
from .launch import Surroundings, launch

if TYPE_CHECKING:
    from jumpstarter.connection.lease import LeaseRequest


@dataclass(frozen=True)
class Wish:
    """What the command line says about the lease; None and "" where it says nothing."""

    selector: str
    name: str | None
    lease: str | None
    duration: timedelta | None
    acquisition_timeout: timedelta | None
    retry_timeout: timedelta | None

    def request(self) -> LeaseRequest:
        """The request for `jumpstarter.connection.lease`. Raises click.UsageError when nothing says what to lease."""
        from jumpstarter.connection.holding import DEFAULT_DURATION
        from jumpstarter.connection.lease import LeaseRequest

        lease = self.lease or lease_of_environment()
        if not (lease or self.selector or self.name):
            raise click.UsageError(
                "Nothing says which exporter to lease: give -l/--selector, -n/--name or --lease, or set JMP_LEASE."
            )
        return LeaseRequest(
            selector=self.selector,
            exporter_name=self.name or "",
            lease=lease,
            duration=DEFAULT_DURATION if self.duration is None else self.duration,
            extend=self.duration is None,
            acquisition_timeout=_seconds(self.acquisition_timeout),
            retry_timeout=_seconds(self.retry_timeout),
        )


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()


def leased_shell(
    client: str | None, client_config: str | None, wish: Wish, command: tuple[str, ...], all_logs: bool
) -> int:
    """Lease, run *command* or the user's shell, release; gives the exit code."""
    from jumpstarter.config.client import resolve_client_config
    from jumpstarter.connection.lease import AfterLeaseHookFailed, lease

    request = wish.request()
    config = resolve_client_config(client, client_config)
    logs.configure("INFO")  # what hooks print
    code = 0
    try:
        with lease(config, request, share=True, all_logs=all_logs) as leased:
            if leased.warning:
                click.echo(f"Warning: {leased.warning}", err=True)
            surroundings = Surroundings(
                host=leased.shared,
                name=leased.exporter.name,
                lease=leased.name,
                labels=leased.exporter.labels,
                allow="UNSAFE" if leased.unsafe else ",".join(leased.allow),
            )
            code = launch(
                surroundings, command, profiles=config.shell.use_profiles, hang_up_when=leased.on_end
            )
    except AfterLeaseHookFailed as error:
        show_error(error)
        return code or 1
    return code
