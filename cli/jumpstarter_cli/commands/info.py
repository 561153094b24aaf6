"""``jmp info``: which controller commands talk to, and whether it answers."""

from __future__ import annotations

import os
import socket
import ssl
from typing import TYPE_CHECKING, Any, Final

import click
from jumpstarter.common.addresses import address_problem
from jumpstarter.common.causes import explain
from jumpstarter.common.exceptions import ConfigurationError, ConnectionError, JumpstarterException
from jumpstarter.common.printable import printable_line

from jumpstarter_cli.lab import client_options
from jumpstarter_cli.output import data, output_option

if TYPE_CHECKING:
    from jumpstarter.config.client import ClientConfigV1Alpha1

#: Seconds for the controller to answer.
TIMEOUT: Final = 5.0


@click.command
@client_options
@output_option("json", "yaml")
@click.pass_context
def info(ctx: click.Context, client: str | None, client_config: str | None, output: str | None) -> None:
    """Show which controller is used, and whether it answers.

    The exit code is 1 when it does not, or refuses the client.
    """
    try:
        config = _config(client, client_config)
    except JumpstarterException as error:
        if output is None:
            raise
        click.echo(data({"endpoint": None, "client": None, "problem": str(error)}, output))
        ctx.exit(1)
    endpoint = os.environ.get("JMP_ENDPOINT") or (config.endpoint if config else None)
    if not endpoint:
        raise ConfigurationError(
            "no controller: give 'jmp --endpoint HOST:PORT info', set JMP_ENDPOINT, or log in with 'jmp login'"
        )
    values: dict[str, Any] = {"endpoint": endpoint}
    problem = _describe_server(endpoint, values) or (_describe_client(config, values) if config else None)
    if config is None:
        values["client"] = None
    if problem:
        values["problem"] = problem
    if output is not None:
        click.echo(data(values, output))
    else:
        for key, value in values.items():
            click.echo(f"{key.replace('_', ' ').capitalize()}: {printable_line(_text(value))}")
    ctx.exit(1 if problem else 0)


def _text(value: Any) -> str:
    """A value for people: `3, 2 online`."""
    if isinstance(value, dict):
        number, *more = value.items()
        return ", ".join([str(number[1]), *(f"{count} {name.replace('_', ' ')}" for name, count in more)])
    if isinstance(value, list):
        return ", ".join(value)
    return "none" if value is None else str(value)


def _config(client: str | None, client_config: str | None) -> ClientConfigV1Alpha1 | None:
    from jumpstarter.config.client import resolve_client_config

    try:
        return resolve_client_config(client, client_config)
    except ConfigurationError:
        if client or client_config or not os.environ.get("JMP_ENDPOINT"):
            raise
        return None  # an address is enough


def _describe_server(endpoint: str, values: dict[str, Any]) -> str | None:
    """Fill in what the server presents; gives the problem, None when there is none."""
    if problem := address_problem(endpoint):
        return f"'{endpoint}': {problem}; expected HOST:PORT"
    host, _, port = endpoint.rpartition(":")
    try:
        certificate, values["certificate_valid_for"], values["certificate_expires"] = _certificate(
            host, int(port)
        )
        values["health"] = _health(endpoint, certificate, values["certificate_valid_for"].split(", ")[0])
    except (OSError, ConnectionError) as error:
        return f"the controller at {endpoint} does not answer: {explain(str(error), endpoint).removeprefix(f'{endpoint}: ')}"
    return None if values["health"] == "serving" else "the controller is not serving"


def _certificate(host: str, port: int) -> tuple[bytes, str, str]:
    """(PEM, names, end of validity) of what the server presents, unverified."""
    from jumpstarter.common.certificates import presented_certificate

    pem, _ = presented_certificate(f"{host}:{port}", TIMEOUT)
    # Details are told only for a certificate that was verified: so it is verified against itself.
    context = ssl.create_default_context(cadata=pem.decode())
    context.check_hostname = False
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection((host.strip("[]"), port), TIMEOUT) as plain,
        context.wrap_socket(plain, server_hostname=host.strip("[]")) as secure,
    ):
        found: dict[str, Any] = dict(secure.getpeercert() or {})
    names = ", ".join(str(value) for _, value in found.get("subjectAltName", ()))
    return pem, names or host, str(found.get("notAfter", "not known"))


def _health(endpoint: str, certificate: bytes, name: str) -> str:
    """What ``grpc.health.v1.Health/Check`` says (https://github.com/grpc/grpc/blob/master/doc/health-checking.md)."""
    import grpc

    options = (("grpc.ssl_target_name_override", name),)
    with grpc.secure_channel(endpoint, grpc.ssl_channel_credentials(certificate), options) as channel:
        check: Any = channel.unary_unary("/grpc.health.v1.Health/Check")
        try:
            # An empty request asks for the server; the answer is one enumeration, 1 is SERVING.
            answer = check(b"", timeout=TIMEOUT)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                return "serving"
            raise ConnectionError(error.details() or error.code().name) from None
    return "serving" if answer == b"\x08\x01" else "not serving"


def _describe_client(config: ClientConfigV1Alpha1, values: dict[str, Any]) -> str | None:
    """Fill in what the client may do; gives the problem, None when there is none."""
    from jumpstarter.connection.controller import controller

    values["client"] = f"{config.metadata.namespace or 'default'}/{config.metadata.name}"
    values["configuration"] = str(config.path or "environment")
    if not config.token:
        values["token"] = None
        return None
    try:
        with controller(config) as lab:
            exporters, leases = lab.list_exporters(), lab.list_leases()
    except JumpstarterException as error:
        return str(error)
    values["exporters"] = {"number": len(exporters), "online": sum(e.online for e in exporters)}
    own = sum(lease.client == lab.name for lease in leases)
    values["leases"] = {"number": len(leases), "of_this_client": own}
    return None
