"""A shell, or a command, with an exporter that is leased for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import click
from jumpstarter.common.printable import printable_line
from jumpstarter.connection.ending import GRACE
from jumpstarter.utils.env import lease_of_environment

from . import logs
from .entry import show_error
from .launch import Surroundings, labels_line, launch

if TYPE_CHECKING:
    from collections.abc import Callable

    from jumpstarter.config.client import ClientConfigV1Alpha1
    from jumpstarter.connection.lease import Leased, LeaseRequest

    from .unnamed import Found


@dataclass(frozen=True)
class Wish:
    """What the command line says about the lease; None and "" where it says nothing."""

    selector: str
    name: str | None
    lease: str | None
    duration: timedelta | None
    acquisition_timeout: timedelta | None
    retry_timeout: timedelta | None
    grace: float = GRACE

    @property
    def only_selector(self) -> bool:
        """Whether labels are all that it says."""
        return self == Wish(self.selector, None, None, None, None, None, self.grace) and bool(self.selector)

    def request(self, config: ClientConfigV1Alpha1) -> LeaseRequest:
        """The request for `jumpstarter.connection.lease`; where nothing says what to lease, for the one active lease.

        Raises click.UsageError when there is not just one.
        """
        from jumpstarter.connection.holding import DEFAULT_DURATION
        from jumpstarter.connection.lease import LeaseRequest

        lease, name = self.lease or lease_of_environment(), self.name or ""
        if not (lease or self.selector or name):
            found = self._active(config)
            lease, name = found.lease, found.exporter
        return LeaseRequest(
            selector=self.selector,
            exporter_name=name,
            lease=lease,
            duration=DEFAULT_DURATION if self.duration is None else self.duration,
            extend=self.duration is None,
            acquisition_timeout=_seconds(self.acquisition_timeout),
            retry_timeout=_seconds(self.retry_timeout),
        )

    def _active(self, config: ClientConfigV1Alpha1) -> Found:
        from jumpstarter.connection.controller import controller

        from .unnamed import active_lease

        if self.duration is not None:
            raise click.UsageError(
                "--duration is for a new lease, and nothing says of which exporter: give -l/--selector or -n/--name.",
                click.get_current_context(),
            )
        with controller(config) as lab:
            return active_lease(lab)


def _told(leased: Leased, client: str, wish: Wish, *, interactive: bool) -> str:
    """Which board it is; whoever works in a shell wants its labels, too, and the time that there is."""
    from .boards import until_text

    text = f"Using {leased.exporter.name}: lease {leased.name} of {client}"
    if not interactive:
        return text
    extended = leased.owned and wish.duration is None
    until = "until you leave the shell" if extended else f"until {until_text(leased.lease.ends_at)}"
    return f"{text}, {until}\n{labels_line(leased.exporter.labels)}"


def _end_with(leased: Leased, end: Callable[[str], object]) -> None:
    leased.on_end(lambda: end(f"Lease {leased.name} {leased.ended}"))


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()


def leased_shell(
    client: str | None, client_config: str | None, wish: Wish, command: tuple[str, ...], all_logs: bool
) -> int:
    """Lease, run *command* or the user's shell, release; gives the exit code."""
    from jumpstarter.config.client import resolve_client_config
    from jumpstarter.connection.lease import AfterLeaseHookFailed, lease

    config = resolve_client_config(client, client_config)
    request = wish.request(config)
    logs.configure("INFO")  # what hooks print
    code = 0
    try:
        with lease(config, request, share=True, all_logs=all_logs) as leased:
            if leased.warning:
                click.echo(f"Warning: {printable_line(leased.warning)}", err=True)
            logs.note(_told(leased, config.metadata.name, wish, interactive=not command))
            surroundings = Surroundings(
                host=leased.shared,
                name=leased.exporter.name,
                lease=leased.name,
                labels=leased.exporter.labels,
                allow="UNSAFE" if leased.unsafe else ",".join(leased.allow),
                waits=leased.waits,
            )
            code = launch(
                surroundings,
                command,
                profiles=config.shell.use_profiles,
                end_when=partial(_end_with, leased),
                grace=wish.grace,
            )
    except AfterLeaseHookFailed as error:
        show_error(error)
        return code or 1
    return code
