"""``jmp login``: make a configuration usable with a token of the lab."""

from __future__ import annotations

from typing import Any

import click
from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.common.tokens import read_token

from jumpstarter_cli.lab import check_address, client_options
from jumpstarter_cli.lab_address import ask_lab, authority_of
from jumpstarter_cli.logs import note
from jumpstarter_cli.prompts import ask

from .admin_create import note_drivers


@click.command
@click.argument("target", metavar="[[CLIENT@]HOST[:PORT]]", required=False)
@client_options
@click.option("--exporter", metavar="NAME", help="Alias of exporter config")
@click.option("--exporter-config", metavar="FILE", type=click.Path(), help="Path of exporter config")
@click.option(
    "-e",
    "--endpoint",
    metavar="HOST:PORT",
    callback=check_address,
    help="The controller; without it the one that HOST tells.",
)
@click.option("--namespace", help="Namespace of the client or exporter.")
@click.option("--name", help="Name of the client or exporter; without it the one in the token.")
@click.option("--token", help="The token that an administrator gave you.")
@click.option("--ca", metavar="FILE", type=click.Path(), help="The lab's certificate authority (PEM).")
@click.option(
    "--fingerprint", metavar="SHA256", help="SHA-256 of the lab's certificate authority, to know it by."
)
@click.option("--allow", help="A comma-separated list of driver client packages to load.")
@click.option(
    "--unsafe", is_flag=True, help="Should all driver client packages be allowed to load (UNSAFE!)."
)
@click.option(
    "-k",
    "--insecure-tls",
    "--insecure-tls-config",
    "insecure_tls",
    is_flag=True,
    help="Disable endpoint TLS verification. This is insecure and should only be used for testing purposes.",
)
@click.option("--nointeractive", is_flag=True, help="Disable interactive prompts (for use in scripts).")
@click.option("--issuer", hidden=True)
@click.option("--client-id", hidden=True)
@click.option("--username", hidden=True)
@click.option("--password", hidden=True)
@click.option("--connector-id", hidden=True)
@click.option("--callback-port", hidden=True, type=click.IntRange(0, 65535))
@click.option("--offline-access/--no-offline-access", default=True, hidden=True)
def login(
    target: str | None,
    client: str | None,
    client_config: str | None,
    exporter: str | None,
    exporter_config: str | None,
    endpoint: str | None,
    namespace: str | None,
    name: str | None,
    token: str | None,
    ca: str | None,
    fingerprint: str | None,
    allow: str | None,
    unsafe: bool,
    insecure_tls: bool,
    nointeractive: bool,
    issuer: str | None,
    username: str | None,
    password: str | None,
    connector_id: str | None,
    **ignored: Any,
) -> None:
    """Log in to a lab with a token.

    HOST tells address, namespace and certificate of the controller; without HOST, --endpoint and --ca do. A token says
    which certificate its lab has: the token is sent to no other one. The configuration is written, or gets the new token
    if there is one. The first client becomes the current one.

    Example:

    \b
    $ jmp login alice@lab.example.com --token TOKEN
    """
    if issuer or username or password or connector_id:
        raise ConfigurationError(
            "logging in with an external identity provider is not supported: ask an administrator for a token "
            "('jmp admin create client NAME') and give it with --token"
        )
    alias, _, host = (target or "").rpartition("@")
    lab = ask_lab(host) if host else None
    endpoint = endpoint or (lab.endpoint if lab else None)
    interactive = not nointeractive
    if not token and lab is not None and lab.has_provider:
        note("The lab has an identity provider, which this version does not use: a token is needed.")
    given = ask(token, "--token", "Token", interactive=interactive, secret=True).strip()
    claims = read_token(given)
    if claims is None:
        raise click.BadParameter(
            "it is not a token: expected three parts with dots between", param_hint="'--token'"
        )
    kind, token_namespace, token_name = claims.identity or ("", "", "")
    wants_exporter = bool(exporter or exporter_config)
    _check_kind(kind, wants_exporter)
    values: dict[str, Any] = {
        "namespace": namespace or token_namespace or (lab.namespace if lab else "") or "default",
        "name": name or token_name or alias or client or exporter,
        "endpoint": endpoint,
        "token": given,
        "ca": "" if insecure_tls else authority_of(lab, ca, fingerprint, claims.authority),
        "insecure": insecure_tls,
    }
    if wants_exporter:
        _save_exporter(exporter, exporter_config, values)
    else:
        _save_client(client or alias or str(values["name"] or ""), client_config, values, allow, unsafe)


def _check_kind(kind: str, wants_exporter: bool) -> None:
    wanted = "exporter" if wants_exporter else "client"
    if kind and kind != wanted:
        raise ConfigurationError(
            f"the token is that of {'an exporter' if kind == 'exporter' else f'a {kind}'}, expected that of "
            f"{'an exporter' if wants_exporter else 'a client'}; "
            "use --exporter NAME for exporters, --client NAME for clients"
        )


def _apply(config: Any, values: dict[str, Any]) -> None:
    from jumpstarter.config.tls import TLSConfigV1Alpha1

    config.token = values["token"]
    config.metadata.namespace, config.metadata.name = values["namespace"], values["name"]
    if values["endpoint"]:
        config.endpoint = values["endpoint"]
    if values["insecure"]:
        config.tls = TLSConfigV1Alpha1(insecure=True)
    elif values["ca"]:
        config.tls = TLSConfigV1Alpha1(ca=values["ca"])
    if not config.endpoint:
        raise click.UsageError("Nothing says where the controller is: give HOST, or --endpoint HOST:PORT.")


def _save_client(
    alias: str, path: str | None, values: dict[str, Any], allow: str | None, unsafe: bool
) -> None:
    from jumpstarter.config.client import ClientConfigV1Alpha1, ClientConfigV1Alpha1Drivers
    from jumpstarter.config.common import ObjectMeta
    from jumpstarter.config.user import UserConfigV1Alpha1
    from jumpstarter.connection.controller import controller

    if path is None and not alias:
        raise click.UsageError("Nothing says which client this is: give CLIENT@HOST or --client NAME.")
    config = _existing_client(alias, path) or ClientConfigV1Alpha1(
        alias=alias, metadata=ObjectMeta(namespace=values["namespace"], name=values["name"] or alias)
    )
    _apply(config, {**values, "name": values["name"] or alias})
    if unsafe or allow is not None:
        allowed = [pattern.strip() for pattern in (allow or "").split(",") if pattern.strip()]
        config.drivers = ClientConfigV1Alpha1Drivers(allow=allowed, unsafe=unsafe)
    with controller(config) as lab:
        lab.list_leases()  # a configuration that does not work is not written
    saved = config.save(path)
    user = UserConfigV1Alpha1.load_or_create()
    if path is None and user.config.current_client_alias is None:
        user.use_client(alias)
    click.echo(f"Logged in as {config.metadata.name} at {config.endpoint}: {saved}")
    note_drivers(config)


def _existing_client(alias: str, path: str | None) -> Any:
    from pathlib import Path

    from jumpstarter.config.client import ClientConfigV1Alpha1

    if path is not None:
        return ClientConfigV1Alpha1.from_file(path, environment=False) if Path(path).exists() else None
    return ClientConfigV1Alpha1.load(alias, environment=False) if ClientConfigV1Alpha1.exists(alias) else None


def _save_exporter(alias: str | None, path: str | None, values: dict[str, Any]) -> None:
    from pathlib import Path

    from jumpstarter.config.common import ObjectMeta
    from jumpstarter.config.exporter import ExporterConfigV1Alpha1

    if path is not None and Path(path).exists():
        config = ExporterConfigV1Alpha1.load_path(path, check_drivers=False, environment=False)
    elif path is None and ExporterConfigV1Alpha1.exists(str(alias)):
        config = ExporterConfigV1Alpha1.load(str(alias), check_drivers=False, environment=False)
    else:
        metadata = ObjectMeta(namespace=values["namespace"], name=values["name"])
        config = ExporterConfigV1Alpha1(alias=alias or "default", metadata=metadata)
    _apply(config, values)
    click.echo(f"Exporter {config.metadata.name} of {config.endpoint}: {config.save(path)}")
