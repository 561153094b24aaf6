"""``jmp get exporters``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from jumpstarter_cli.lab import client_options, lab_of, selector_option
from jumpstarter_cli.leases import exporter_data, lease_data, local_text, state
from jumpstarter_cli.output import data, output_option, table

if TYPE_CHECKING:
    from jumpstarter.client.lab import Exporter, Lease

COLUMNS: Final = ("leases", "online", "status")


def _columns(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> frozenset[str]:
    """``--with a,b --with c`` as a set. Raises click.BadParameter for what is none of `COLUMNS`."""
    found = [name.strip() for value in values for name in value.split(",") if name.strip()]
    for name in found:
        if name not in COLUMNS:
            from jumpstarter.common.suggestions import did_you_mean

            hint = did_you_mean(name, COLUMNS) or f": expected {', '.join(COLUMNS)}"
            raise click.BadParameter(f"'{name}' cannot be shown{hint}", ctx, param)
    return frozenset(found)


@click.command
@client_options
@selector_option
@click.option(
    "--with",
    "columns",
    multiple=True,
    metavar="[leases|online|status]",
    callback=_columns,
    help="Show more: who leases it, whether it is online, what it does. Several with commas, or several times.",
)
@click.option("--show-hidden-labels", is_flag=True, help="Show labels that the lab hides.")
@click.option(
    "--allow-disabled",
    is_flag=True,
    help="Show exporters that cannot be leased because they are disabled, too.",
)
@output_option("json", "yaml", "name")
def exporters(
    client: str | None,
    client_config: str | None,
    selector: str,
    columns: frozenset[str],
    show_hidden_labels: bool,
    allow_disabled: bool,
    output: str | None,
) -> None:
    """Display the exporters of the lab."""
    with lab_of(client, client_config) as (lab, _):
        listed = lab.list_exporters(selector, show_hidden_labels=show_hidden_labels)
        found = [exporter for exporter in listed if allow_disabled or exporter.enabled is not False]
        leases = (
            {lease.exporter: lease for lease in lab.list_leases() if lease.ready}
            if "leases" in columns
            else {}
        )
    if output == "name":
        for exporter in found:
            click.echo(exporter.name)
    elif output is not None:
        items = [_data(exporter, leases.get(exporter.name), columns) for exporter in found]
        click.echo(data({"exporters": items}, output))
    else:
        rows = [_row(exporter, leases.get(exporter.name), columns) for exporter in found]
        click.echo(table(_headings(columns), rows))


def _headings(columns: frozenset[str]) -> tuple[str, ...]:
    more = (
        *(("ONLINE",) if "online" in columns else ()),
        *(("STATUS",) if "status" in columns else ()),
        "LABELS",
        *(("LEASED BY", "LEASE STATUS", "EXPIRES AT") if "leases" in columns else ()),
    )
    return ("NAME", *more)


def _row(exporter: Exporter, lease: Lease | None, columns: frozenset[str]) -> tuple[str, ...]:
    row = [exporter.name]
    if "online" in columns:
        row.append("yes" if exporter.online else "no")
    if "status" in columns:
        row.append(_status(exporter))
    row.append(",".join(f"{key}={value}" for key, value in sorted(exporter.labels.items())))
    if "leases" in columns:
        row += (
            ("", "Available", "")
            if lease is None
            else (lease.client, state(lease), local_text(lease.ends_at))
        )
    return tuple(row)


def _status(exporter: Exporter) -> str:
    name = str(exporter.status)
    return name if exporter.enabled is not False else f"{name} (disabled)"


def _data(exporter: Exporter, lease: Lease | None, columns: frozenset[str]) -> dict[str, Any]:
    item = exporter_data(exporter)
    if "leases" in columns:
        item["lease"] = None if lease is None else lease_data(lease)
    return item
