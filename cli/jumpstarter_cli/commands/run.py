"""``jmp run``: an exporter in the foreground, in a lab or served directly to clients."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click
from jumpstarter_exporter.standalone import Hooks, standalone_lease

from jumpstarter_cli import logs
from jumpstarter_cli.exporters import (
    ExporterSource,
    exporter_config_option,
    exporter_option,
    open_session,
    resolve,
)
from jumpstarter_cli.signals import wait_for_the_end

if TYPE_CHECKING:
    import grpc

logger = logging.getLogger("jumpstarter.exporter")

DEFAULT_HOST = "0.0.0.0"


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
) -> None:
    """Run an exporter locally.

    It serves the clients of the lab whose controller its configuration names; with --tls-grpc-listener it serves
    clients directly, without a controller.

    It runs until SIGINT or SIGTERM, and ends with exit code 128 + n then. SIGHUP ends an exporter of a lab when its
    lease has ended, with exit code 0.
    """
    if bool(exporter) == bool(exporter_config):
        raise click.UsageError("Specify one of --exporter and --exporter-config.")
    _check_passphrase(passphrase)
    logs.configure("INFO")
    if tls_grpc_listener is None:
        if tls_cert or tls_key or tls_grpc_insecure:
            raise click.UsageError(
                "--tls-cert, --tls-key and --tls-grpc-insecure belong to --tls-grpc-listener, which is not given."
            )
        source = resolve(exporter=exporter, path=exporter_config)
        ctx.exit(_serve_lab(source))
    host, port = parse_listener(tls_grpc_listener)
    credentials = _credentials(tls_cert, tls_key, tls_grpc_insecure)
    if credentials is None and passphrase:
        logger.warning("without TLS the passphrase and all data can be read by anyone on the network")
    source = resolve(exporter=exporter, path=exporter_config)
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


def _check_passphrase(passphrase: str | None) -> None:
    """Refuse an empty one: a variable of a script that was not set would open the exporter to everybody."""
    given = passphrase if passphrase is not None else os.environ.get("JMP_GRPC_PASSPHRASE")
    if given is not None and not given.strip():
        raise click.UsageError(
            "The passphrase is empty: leave out --passphrase and JMP_GRPC_PASSPHRASE to serve without one."
        )


def _credentials(cert: str | None, key: str | None, insecure: bool) -> grpc.ServerCredentials | None:
    """The listener's TLS credentials, or None for plaintext."""
    if insecure:
        if cert or key:
            raise click.UsageError("--tls-grpc-insecure excludes --tls-cert and --tls-key.")
        return None
    if not cert or not key:
        raise click.UsageError("--tls-grpc-listener needs --tls-cert and --tls-key, or --tls-grpc-insecure.")
    import grpc

    return grpc.ssl_server_credentials([(_read_pem(key, "--tls-key"), _read_pem(cert, "--tls-cert"))])


def _read_pem(path: str, option: str) -> bytes:
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise click.BadParameter(f"{path}: {error.strerror}", param_hint=f"'{option}'") from error
    if b"-----BEGIN " not in content:
        raise click.BadParameter(f"{path} is not a PEM file", param_hint=f"'{option}'")
    return content


def parse_listener(text: str) -> tuple[str, int]:
    """``[HOST:]PORT`` as host and port; an IPv6 host stands in brackets.

    Raises:
        click.BadParameter: *text* is not of that form, or the port is not within 0..65535.
    """
    host, _, port = text.rpartition(":")
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise click.BadParameter(
            f"'{text}' is not [HOST:]PORT with a port from 0 to 65535", param_hint="'--tls-grpc-listener'"
        )
    return host.removeprefix("[").removesuffix("]") or DEFAULT_HOST, int(port)


def _serve_lab(source: ExporterSource) -> int:
    """Serve the clients of a lab, through its controller; gives the exit code."""
    from jumpstarter_exporter.service import run_service

    return run_service(source.config, Hooks.configured(source.config.hooks))
