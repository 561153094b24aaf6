"""``jmp run``: an exporter in the foreground, in a lab or served directly to clients."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import click
from jumpstarter.common.inheritance import forget_secrets
from jumpstarter_exporter.standalone import Hooks, standalone_lease

from jumpstarter_cli import logs
from jumpstarter_cli.exporters import (
    ExporterSource,
    exporter_config_option,
    exporter_option,
    open_session,
    resolve,
)
from jumpstarter_cli.listener import DEFAULT_HOST, parse_listener, server_credentials
from jumpstarter_cli.signals import wait_for_the_end

if TYPE_CHECKING:
    from jumpstarter_exporter.supervisor import Pulse

logger = logging.getLogger("jumpstarter.exporter")

#: Seconds without a sign of life after which an exporter of a lab is started anew.
WATCHDOG = 60.0


@click.command
@exporter_config_option
@exporter_option
@click.option(
    "--tls-grpc-listener",
    metavar="[HOST:]PORT",
    help=f"Serve clients directly there (HOST is {DEFAULT_HOST}).",
)
@click.option(
    "--tls-cert", metavar="FILE", type=click.Path(), help="Certificate chain (PEM) of the listener."
)
@click.option("--tls-key", metavar="FILE", type=click.Path(), help="Private key (PEM) of the listener.")
@click.option("--tls-grpc-insecure", is_flag=True, help="Serve without TLS.")
@click.option("--passphrase", envvar="JMP_GRPC_PASSPHRASE", help="Passphrase that clients must know.")
@click.option(
    "--exit-on-lease-end",
    is_flag=True,
    help="End with 0 when the first lease and its afterLease hook are over.",
)
@click.option(
    "--watchdog",
    type=float,
    metavar="SECONDS",
    envvar="JMP_WATCHDOG",
    help="Start the exporter anew when it gives no sign of life for so long, 5 at least; 0: never. "
    f"[default: {WATCHDOG:g}; in a lab only]",
)
@click.pass_context
def run(
    ctx: click.Context,
    exporter_config: str | None,
    exporter: str | None,
    tls_grpc_listener: str | None,
    tls_cert: str | None,
    tls_key: str | None,
    tls_grpc_insecure: bool,
    passphrase: str | None,
    exit_on_lease_end: bool,
    watchdog: float | None,
) -> None:
    """Run an exporter locally.

    It serves the clients of the lab whose controller its configuration names; with --tls-grpc-listener it serves
    clients directly, without a controller.

    In a lab it is watched: one that is stuck in a call of a driver for so long that it cannot even say that it lives is
    started anew.

    It runs until SIGINT or SIGTERM, and ends with exit code 128 + n then. SIGHUP ends an exporter of a lab when its
    lease has ended, with exit code 0.
    """
    if bool(exporter) == bool(exporter_config):
        raise click.UsageError("Specify one of --exporter and --exporter-config.")
    _check_passphrase(passphrase, direct=tls_grpc_listener is not None)
    logs.configure("INFO", times=True)
    if tls_grpc_listener is None:
        if tls_cert or tls_key or tls_grpc_insecure:
            raise click.UsageError(
                "--tls-cert, --tls-key and --tls-grpc-insecure belong to --tls-grpc-listener, which is not given."
            )
        pulse = _supervised(ctx, WATCHDOG if watchdog is None else watchdog)
        source = resolve(exporter=exporter, path=exporter_config)
        if exit_on_lease_end:
            source.config.exitOnLeaseEnd = True
        ctx.exit(_serve_lab(source, pulse))
    if exit_on_lease_end:
        raise click.UsageError(
            "--exit-on-lease-end is for an exporter of a lab; with --tls-grpc-listener there are no leases."
        )
    host, port = parse_listener(tls_grpc_listener)
    credentials = server_credentials(tls_cert, tls_key, tls_grpc_insecure)
    if credentials is None and passphrase:
        logger.warning("without TLS the passphrase and all data can be read by anyone on the network")
    source = resolve(exporter=exporter, path=exporter_config)
    forget_secrets()
    with (
        open_session(source) as session,
        session.serve_unix() as hook_socket,
        session.serve_tcp(host, port, tls_credentials=credentials, passphrase=passphrase) as bound,
    ):
        logger.info("exporter '%s' listens on %s:%s", source.name, host, bound)
        if passphrase is None:
            logger.warning(
                "no passphrase: whoever reaches %s:%s can use the drivers; set JMP_GRPC_PASSPHRASE to ask for one",
                host,
                bound,
            )
        with standalone_lease(session, Hooks.configured(source.config.hooks), str(hook_socket)):
            logger.info("exporter '%s' is ready", source.name)
            wait_for_the_end()


def _check_passphrase(passphrase: str | None, *, direct: bool) -> None:
    """Refuse an empty one: a variable of a script that was not set would open the exporter to everybody."""
    given = passphrase
    if given is None and direct:
        given = os.environ.get("JMP_GRPC_PASSPHRASE")  # which click takes for unset when it is empty
    if given is not None and not given.strip():
        raise click.UsageError(
            "The passphrase is empty: leave out --passphrase and JMP_GRPC_PASSPHRASE to serve without one."
        )


def _supervised(ctx: click.Context, limit: float) -> Pulse | None:
    """Go on in a process below this one, which watches it if *limit* is not 0, and ends with its exit code."""
    if limit == 0:
        return None
    if not limit >= 5:  # nor is "nan"
        raise click.BadParameter(
            f"{limit:g} is too short: expected 5 seconds at least, or 0", param_hint="'--watchdog'"
        )
    from jumpstarter_exporter.supervisor import supervised

    result = supervised(limit)
    if isinstance(result, int):
        ctx.exit(result)
    return result


def _serve_lab(source: ExporterSource, pulse: Pulse | None) -> int:
    """Serve the clients of a lab, through its controller; gives the exit code."""
    from jumpstarter_exporter.service import run_service

    forget_secrets()
    return run_service(source.config, Hooks.configured(source.config.hooks), pulse)
