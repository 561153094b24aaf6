"""``jmp create|update|delete lease`` and ``jmp get leases``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import click

from jumpstarter_cli.lab import (
    MomentType,
    client_options,
    duration_option,
    key_values,
    lab_of,
    parsed_selector,
    selector_option,
)
from jumpstarter_cli.lab_names import complete_exporter, complete_lease
from jumpstarter_cli.leases import LEASE_HEADINGS, SHORT_HEADINGS, lease_data, lease_row, short_row
from jumpstarter_cli.output import data, output_option, table
from jumpstarter_cli.watching import check_watched, follow, named

if TYPE_CHECKING:
    from jumpstarter.client.lab import Lab, Lease
    from jumpstarter.connection.holding import LeaseRequest

DEFAULT: Final = "30m"


def _show_table(leases: Sequence[Lease], output: str | None) -> None:
    if output == "wide":
        click.echo(table(LEASE_HEADINGS, [lease_row(lease) for lease in leases]))
    else:
        click.echo(table(SHORT_HEADINGS, [short_row(lease) for lease in leases]))


def _show(lease: Lease, output: str | None) -> None:
    if output == "name":
        click.echo(lease.name)
    elif output in ("json", "yaml"):
        click.echo(data(lease_data(lease), output))
    else:
        _show_table([lease], output)


def _wait(lab: Lab, request: LeaseRequest, name: str, limit: timedelta) -> Lease:
    """The lease when its exporter is there; given back when that takes too long, or is interrupted."""
    from jumpstarter.connection.claims import unclaim
    from jumpstarter.connection.holding import release, wait_until_ready
    from jumpstarter.connection.oneself import waiting_for_oneself
    from jumpstarter.connection.progress import ProgressLine

    line = ProgressLine()
    hint = waiting_for_oneself(lab, request, name, datetime.now(UTC) + limit)
    try:
        lease = wait_until_ready(lab, name, limit.total_seconds(), line, request.claim, hint=hint)
        unclaim(lab, name, request.claim)
        return lease
    except BaseException:
        release(lab, name, line)
        raise
    finally:
        line.finish()


@click.command
@client_options
@selector_option
@click.option(
    "-n",
    "--name",
    metavar="EXPORTER",
    help="Lease the exporter of this name.",
    shell_complete=complete_exporter,
)
@duration_option("--duration", positive=True, default=DEFAULT, show_default=True)
@click.option(
    "--begin-time", type=MomentType(), metavar="TIME", help="When it begins (ISO 8601); without it: now."
)
@click.option("--lease-id", metavar="NAME", help="Name of the lease; without it one is made.")
@click.option(
    "--tag", "tags", multiple=True, metavar="KEY=VALUE", help="Tag to set; may be given several times."
)
@click.option("--allow-disabled", is_flag=True, help="With --name: also an exporter that is disabled.")
@duration_option("--wait", metavar="SECONDS", help="Wait until the exporter is there, but not for longer.")
@output_option("json", "yaml", "name", "wide")
def create(
    client: str | None,
    client_config: str | None,
    selector: str,
    name: str | None,
    duration: timedelta,
    begin_time: datetime | None,
    lease_id: str | None,
    tags: tuple[str, ...],
    allow_disabled: bool,
    wait: timedelta | None,
    output: str | None,
) -> None:
    """Create a lease.

    The result is a lease that `jmp shell`, tests and programs use if JMP_LEASE holds its name. It lasts until its time
    is over, or `jmp delete lease`.

    Example:

    \b
    $ export JMP_LEASE=$(jmp create lease -l foo=bar --duration 1d --output name)
    $ jmp shell
    $$ j --help
    $$ exit
    $ jmp delete lease "${JMP_LEASE}"
    """
    from jumpstarter.common.exceptions import LeaseError
    from jumpstarter.connection.claims import KEPT
    from jumpstarter.connection.holding import LeaseRequest, create, new_lease_name
    from jumpstarter.connection.jobs import job_context

    if not selector and not name:
        raise click.UsageError("Nothing says which exporter to lease: give -l/--selector or -n/--name.")
    request = LeaseRequest(
        selector=selector,
        exporter_name=name or "",
        duration=duration,
        tags=key_values("--tag", tags),
        context={**KEPT, **job_context()},
        allow_disabled=allow_disabled,
    )
    with lab_of(client, client_config) as (lab, _):
        claim = "" if wait is None else request.claim
        created = create(lab, request, lease_id or new_lease_name(), begin_time, claim).name
        lease = lab.get_lease(created) if wait is None else _wait(lab, request, created, wait)
        if lease.failure is not None:
            raise LeaseError(f"lease {lease.name} {lease.failure}")
    _show(lease, output)
    if output is None and sys.stderr.isatty():
        click.echo(
            f"Use it in this shell, and in what is started from it:\nexport JMP_LEASE={lease.name}", err=True
        )


@click.command
@click.argument("names", nargs=-1, shell_complete=complete_lease)
@selector_option
@click.option("-a", "--all", "all_", is_flag=True, help="Show ended leases, too.")
@click.option("-A", "--all-clients", is_flag=True, help="Show the leases of all clients.")
@click.option("-w", "--watch", is_flag=True, help="Go on, and print what changes, until Ctrl+C.")
@click.option(
    "--tag-filter",
    default="",
    metavar="SELECTOR",
    callback=parsed_selector,
    help="Show leases whose tags meet this, as labels meet a selector.",
)
@output_option("json", "yaml", "name", "wide")
@client_options
def get(
    names: tuple[str, ...],
    client: str | None,
    client_config: str | None,
    selector: str,
    all_: bool,
    all_clients: bool,
    watch: bool,
    tag_filter: str,
    output: str | None,
) -> None:
    """Display your leases.

    NAMES are those of leases to show, whoever's they are, also such as have ended.
    """
    check_watched(watch, output)
    with lab_of(client, client_config) as (lab, _):

        def leases_now() -> list[Lease]:
            found = lab.list_leases(selector, only_active=not (all_ or names), tag_filter=tag_filter)
            mine = [lease for lease in found if all_clients or names or lease.client == lab.name]
            return named(mine, names, lambda lease: lease.name, "lease")

        if watch:
            follow(lambda: [short_row(lease) for lease in leases_now()], SHORT_HEADINGS)
        leases = leases_now()
    if output == "name":
        for lease in leases:
            click.echo(lease.name)
    elif output in ("json", "yaml"):
        click.echo(data({"leases": [lease_data(lease) for lease in leases]}, output))
    else:
        _show_table(leases, output)


@click.command
@click.argument("name", shell_complete=complete_lease)
@client_options
@duration_option("--duration", positive=True, help="New duration, from the beginning of the lease.")
@duration_option("--extend", positive=True, help="Let it last for so much longer than it would.")
@click.option("--begin-time", type=MomentType(), metavar="TIME", help="When it begins (ISO 8601).")
@click.option("--to-client", metavar="CLIENT", help="Give the lease to another client.")
@output_option("json", "yaml", "name", "wide")
def update(
    name: str,
    client: str | None,
    client_config: str | None,
    duration: timedelta | None,
    extend: timedelta | None,
    begin_time: datetime | None,
    to_client: str | None,
    output: str | None,
) -> None:
    """Update a lease: its times, or whose it is."""
    if duration is None and extend is None and begin_time is None and to_client is None:
        raise click.UsageError("Nothing to change: give --duration, --extend, --begin-time or --to-client.")
    if duration is not None and extend is not None:
        raise click.UsageError("--duration and --extend exclude each other.")
    with lab_of(client, client_config) as (lab, _):
        if extend is not None:
            duration = lab.get_lease(name).duration + extend
        lease = lab.update_lease(name, duration=duration, begin_time=begin_time, to_client=to_client)
    _show(lease, output)


@click.command
@click.argument("names", nargs=-1, shell_complete=complete_lease)
@client_options
@selector_option
@click.option("-a", "--all", "all_", is_flag=True, help="Delete all your leases.")
@click.option(
    "-A", "--all-clients", is_flag=True, help="Delete the leases of all clients that the selector selects."
)
@output_option("name")
def delete(
    names: tuple[str, ...],
    client: str | None,
    client_config: str | None,
    selector: str,
    all_: bool,
    all_clients: bool,
    output: str | None,
) -> None:
    """Delete leases.

    Without a name or an option: the lease that JMP_LEASE names, else your only one.
    """
    if names and (selector or all_ or all_clients):
        raise click.UsageError("Give names, or -l, -a or -A, not both.")
    with lab_of(client, client_config) as (lab, _):
        if selector or all_ or all_clients:
            found = lab.list_leases(selector)
            names = tuple(lease.name for lease in found if all_clients or lease.client == lab.name)
        for name in names or (_only_lease(lab),) if not (selector or all_ or all_clients) else names:
            lab.delete_lease(name)
            click.echo(name if output == "name" else f'lease "{name}" deleted')
        if not names and (selector or all_ or all_clients) and output is None:
            click.echo("No resources found.")


def _only_lease(lab: Lab) -> str:
    """The lease that is meant when none is named."""
    from jumpstarter.utils.env import lease_of_environment

    if name := lease_of_environment():
        return name
    own = [lease.name for lease in lab.list_leases() if lease.client == lab.name]
    if len(own) == 1:
        return own[0]
    raise click.UsageError(_which(own))


def _which(own: Sequence[str]) -> str:
    if not own:
        return "You have no lease that could be deleted, and JMP_LEASE names none."
    return f"You have {len(own)} leases: name the ones to delete, or give --all. They are {', '.join(own)}."
