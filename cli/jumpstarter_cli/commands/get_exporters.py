"""``jmp get exporters``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click
from jumpstarter.client.states import shown_lease_state

from jumpstarter_cli.boards import HEADINGS, Board
from jumpstarter_cli.lab import client_options, lab_of, selector_option
from jumpstarter_cli.lab_names import complete_exporter
from jumpstarter_cli.leases import exporter_data, lease_data, local_text
from jumpstarter_cli.logs import note
from jumpstarter_cli.output import data, output_option, table
from jumpstarter_cli.watching import check_watched, follow, named

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COLUMNS: Final = ("leases", "online", "status")


def complete_columns(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Shell completion for ``--with``: the last of several with commas."""
    from click.shell_completion import CompletionItem

    before, comma, last = incomplete.rpartition(",")
    left = (name for name in COLUMNS if name not in before.split(","))
    return [CompletionItem(f"{before}{comma}{name}") for name in left if name.startswith(last)]


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
@click.argument("names", nargs=-1, shell_complete=complete_exporter)
@selector_option
@click.option(
    "--with",
    "columns",
    multiple=True,
    metavar="[leases|online|status]",
    callback=_columns,
    shell_complete=complete_columns,
    help="Show these columns. Several with commas, or several times.",
)
@click.option("-w", "--watch", is_flag=True, help="Go on, and print what changes, until Ctrl+C.")
@click.option("--show-hidden-labels", is_flag=True, help="Show labels that the lab hides.")
@click.option(
    "--allow-disabled",
    is_flag=True,
    help="Show exporters that cannot be leased because they are disabled, too.",
)
@output_option("json", "yaml", "name", "wide")
@client_options
def exporters(
    names: tuple[str, ...],
    client: str | None,
    client_config: str | None,
    selector: str,
    columns: frozenset[str],
    watch: bool,
    show_hidden_labels: bool,
    allow_disabled: bool,
    output: str | None,
) -> None:
    """Display the exporters of the lab: which are free, who has the others, and until when.

    NAMES are those of exporters to show; without them, all are.
    """
    check_watched(watch, output)
    with lab_of(client, client_config) as (lab, _):
        hidden = 0

        def boards() -> list[Board]:
            nonlocal hidden
            listed = lab.list_exporters(selector, show_hidden_labels=show_hidden_labels)
            leases = {lease.exporter: lease for lease in lab.list_leases() if lease.ready}
            found = [each for each in listed if allow_disabled or names or each.enabled is not False]
            hidden = len(listed) - len(found)
            return named(
                [Board(each, leases.get(each.name)) for each in found],
                names,
                lambda board: board.exporter.name,
                "exporter",
            )

        if watch:
            follow(lambda: [board.row for board in boards()], HEADINGS)
        found = boards()
    if output == "name":
        for board in found:
            click.echo(board.exporter.name)
    elif output in ("json", "yaml"):
        click.echo(data({"exporters": [_data(board, columns) for board in found]}, output))
    elif columns:
        click.echo(table(_headings(columns), [_row(board, columns) for board in found]))
    else:
        click.echo(table(HEADINGS, [board.row for board in found], fit=output is None))
    if hidden and output in (None, "wide"):
        note(_hidden_notice(hidden))


def _hidden_notice(count: int) -> str:
    told = "1 disabled exporter is" if count == 1 else f"{count} disabled exporters are"
    return f"{told} not shown: see --allow-disabled"


def _headings(columns: frozenset[str]) -> tuple[str, ...]:
    more = (
        *(("ONLINE",) if "online" in columns else ()),
        *(("STATUS",) if "status" in columns else ()),
        "LABELS",
        *(("LEASED BY", "LEASE STATUS", "EXPIRES AT") if "leases" in columns else ()),
    )
    return ("NAME", *more)


def _row(board: Board, columns: frozenset[str]) -> tuple[str, ...]:
    exporter, lease = board.exporter, board.lease
    row = [exporter.name]
    if "online" in columns:
        row.append("yes" if exporter.online else "no")
    if "status" in columns:
        row.append(board.status)
    row.append(",".join(f"{key}={value}" for key, value in sorted(exporter.labels.items())))
    if "leases" in columns:
        row += (
            ("", board.status, "")
            if lease is None
            else (lease.client, shown_lease_state(lease), local_text(lease.ends_at))
        )
    return tuple(row)


def _data(board: Board, columns: frozenset[str]) -> dict[str, Any]:
    item = exporter_data(board.exporter) | board.data
    if "leases" in columns:
        item["lease"] = None if board.lease is None else lease_data(board.lease)
    return item
