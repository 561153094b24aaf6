"""``jmp shell`` and ``jmp exporter shell``: a shell, or a command, that is connected to an exporter."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click
from jumpstarter.common.printable import printable_line
from jumpstarter.connection.ending import GRACE

from jumpstarter_cli import logs
from jumpstarter_cli.exporters import exporter_config_option, exporter_option, resolve, serving
from jumpstarter_cli.lab import client_options, duration_option, selector_option
from jumpstarter_cli.lab_names import complete_exporter, complete_lease
from jumpstarter_cli.launch import Surroundings, launch, note_start

if TYPE_CHECKING:
    from jumpstarter_cli.leased import Wish

CONTEXT = {"ignore_unknown_options": False, "allow_interspersed_args": False}


def _not_nameless(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """The command to run, whose arguments may be empty: without a name it is that of a variable that was not set."""
    if value and not value[0].strip():
        raise click.BadParameter("its name is empty: give a command, or leave it out", ctx, param)
    return value


command_argument = click.argument("command", nargs=-1, callback=_not_nameless)


@click.command(context_settings=CONTEXT)
@exporter_config_option
@exporter_option
@client_options
@click.option(
    "--lease",
    "lease_name",
    metavar="NAME",
    shell_complete=complete_lease,
    help="Use this lease; without it the one that JMP_LEASE names.",
)
@selector_option
@click.option(
    "-n",
    "--name",
    metavar="NAME",
    shell_complete=complete_exporter,
    help="Lease the exporter of this name.",
)
@duration_option(
    "--duration",
    positive=True,
    help="Lease for so long and no longer, such as 30m, 3h30m or 01:30:00; without it for as long as the shell lives.",
)
@duration_option("--acquisition-timeout", help="How long to wait for an exporter.")
@duration_option(
    "--retry-timeout", help="How long to bear with a leased exporter that cannot be reached; 0: not at all."
)
@duration_option(
    "--grace",
    default="30s",
    show_default=True,
    help="How long the command has to end by itself, after SIGTERM, when the lease or this shell is ended.",
)
@click.option("--exporter-logs", is_flag=True, help="Show what the exporter and its drivers log.")
@click.option("--tls-grpc", metavar="HOST:PORT", help="Connect to an exporter that runs in direct mode.")
@click.option("--tls-grpc-insecure", is_flag=True, help="The exporter in direct mode serves without TLS.")
@click.option("--passphrase", envvar="JMP_GRPC_PASSPHRASE", help="Passphrase of the exporter in direct mode.")
@command_argument
@click.pass_context
def shell(
    ctx: click.Context,
    exporter_config: str | None,
    exporter: str | None,
    client: str | None,
    client_config: str | None,
    lease_name: str | None,
    selector: str,
    name: str | None,
    duration: timedelta | None,
    acquisition_timeout: timedelta | None,
    retry_timeout: timedelta | None,
    grace: timedelta,
    exporter_logs: bool,
    tls_grpc: str | None,
    tls_grpc_insecure: bool,
    passphrase: str | None,
    command: tuple[str, ...],
) -> None:
    """Spawns a shell (or custom command) connecting to a local or remote exporter

    COMMAND is the custom command to run instead of shell. Its exit code is that of jmp shell.

    With a selector, a name or a lease: an exporter of a lab, which is leased for the shell and released when it ends.
    Without: the lease that JMP_LEASE names, the exporter of the surrounding shell, the one of `jmp local start`, or
    your one active lease, whichever there is; where no client is configured, a simulated board. It says which.

    Examples:

    \b
    $ jmp shell --exporter foo -- python bar.py
    $ jmp shell -l board=rpi4 -- j power on
    """
    leasing = {
        "--client": client,
        "--client-config": client_config,
        "--lease": lease_name,
        "--selector": selector,
        "--name": name,
        "--duration": duration,
        "--acquisition-timeout": acquisition_timeout,
        "--retry-timeout": retry_timeout,
    }
    others = {"--exporter": exporter, "--exporter-config": exporter_config, "--tls-grpc": tls_grpc}
    chosen = [option for option, value in others.items() if value]
    wants_lease = [option for option, value in leasing.items() if value not in (None, "")]
    if len(chosen) > 1 or (chosen and wants_lease):
        raise click.UsageError(f"{' and '.join((*chosen, *wants_lease))} exclude each other.")
    if exporter_logs:
        logs.configure("INFO")
    else:
        # Why a driver failed is said by the client that called it, on this same terminal.
        logs.configure(hide="jumpstarter.session")
    seconds = grace.total_seconds()
    if tls_grpc:
        code = _direct(tls_grpc, tls_grpc_insecure, passphrase, exporter_logs, command, seconds)
    elif chosen:
        code = _local(exporter, exporter_config, command, seconds)
    else:
        from jumpstarter_cli.leased import Wish

        wish = Wish(selector, name, lease_name, duration, acquisition_timeout, retry_timeout, seconds)
        code = _unnamed(client, client_config, wish, command, exporter_logs, bool(wants_lease))
    ctx.exit(code)


def _unnamed(
    client: str | None,
    client_config: str | None,
    wish: Wish,
    command: tuple[str, ...],
    exporter_logs: bool,
    wants_lease: bool,
) -> int:
    """A lease, or what there is where no option says that one is wanted."""
    from jumpstarter.connection.local import lab_client, select_local

    from jumpstarter_cli.leased import leased_shell
    from jumpstarter_cli.unnamed import new_lease_of_environment, surrounding

    if not wants_lease and not new_lease_of_environment():
        if (surroundings := surrounding()) is not None:
            return launch(surroundings, command, grace=wish.grace)
        if lab_client() is None:
            logs.note("Using a simulated board: no exporter is named, and no client of a lab is configured")
            return _local(None, None, command, wish.grace)
    if wish.only_selector and not (client or client_config) and lab_client() is None:
        alias = select_local(wish.selector)
        logs.note(f"Using the exporter of this machine with these labels: {alias}")
        return _local(alias, None, command, wish.grace)
    return leased_shell(client, client_config, wish, command, exporter_logs)


@click.command("shell", context_settings=CONTEXT)
@click.option("-c", "--config", "config", metavar="FILE", required=True, help="Path of exporter config")
@command_argument
@click.pass_context
def exporter_shell(ctx: click.Context, config: str, command: tuple[str, ...]) -> None:
    """Spawn a shell (or COMMAND) connected to a local exporter.

    The same as `jmp shell --exporter-config FILE`.
    """
    ctx.exit(_local(None, config, command))


def _local(exporter: str | None, path: str | None, command: tuple[str, ...], grace: float = GRACE) -> int:
    source = resolve(exporter=exporter, path=path)
    with serving(source) as socket:
        surroundings = Surroundings(host=socket, name=source.name, labels=source.labels)
        if not command:
            note_start(f"{source.name}: a local exporter", source.labels)
        return launch(surroundings, command, grace=grace)


def _direct(
    address: str,
    insecure: bool,
    passphrase: str | None,
    exporter_logs: bool,
    command: tuple[str, ...],
    grace: float,
) -> int:
    from jumpstarter.utils.env import tcp_options

    from jumpstarter_cli.direct import direct_session, parse_address

    insecure = insecure or tcp_options()["insecure"]
    surroundings = Surroundings(
        host=parse_address(address), name="direct", lease="direct", insecure=insecure, passphrase=passphrase
    )
    logs.configure("INFO")  # what hooks print
    with direct_session(address, insecure=insecure, passphrase=passphrase, all_logs=exporter_logs) as warning:
        if warning:
            click.echo(f"Warning: {printable_line(warning)}", err=True)
        if not command:
            note_start(f"{surroundings.host}: an exporter in direct mode", None)
        return launch(surroundings, command, grace=grace)
