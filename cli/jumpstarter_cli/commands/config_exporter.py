"""``jmp config exporter``: which exporters this machine has, and what they export."""

from __future__ import annotations

import click

from jumpstarter_cli.exporters import complete_alias
from jumpstarter_cli.lab import check_address
from jumpstarter_cli.output import output_option, show_configs
from jumpstarter_cli.prompts import ask

alias_argument = click.argument("alias", default="default", shell_complete=complete_alias)


@click.command
@click.argument("alias", default="default")
@click.option("--namespace", help="Namespace of the exporter at its controller.")
@click.option("--name", help="Name of the exporter at its controller.")
@click.option("--endpoint", callback=check_address, help="Endpoint of the controller; empty for local mode.")
@click.option("--token", help="Token of the exporter at its controller; empty for local mode.")
@click.option(
    "-k",
    "--insecure-tls",
    "--insecure-tls-config",
    "insecure_tls",
    is_flag=True,
    help="Disable endpoint TLS verification. This is insecure and should only be used for testing purposes.",
)
@click.option("--nointeractive", is_flag=True, help="Disable interactive prompts (for use in scripts).")
@output_option("path")
def create(
    alias: str,
    namespace: str | None,
    name: str | None,
    endpoint: str | None,
    token: str | None,
    insecure_tls: bool,
    nointeractive: bool,
    output: str | None,
) -> None:
    """Create an exporter config.

    What is not given as an option is asked for. The new config exports nothing yet: add drivers below
    `export:`, for example with `jmp config exporter edit`.
    """
    from jumpstarter.config.common import ObjectMeta
    from jumpstarter.config.exporter import ExporterConfigV1Alpha1
    from jumpstarter.config.files import EXPORTERS
    from jumpstarter.config.tls import TLSConfigV1Alpha1

    path = EXPORTERS.user_path(alias)
    if path.exists():
        raise click.ClickException(
            f"exporter config '{alias}' exists already: {path}; "
            f"choose another alias or delete it with 'jmp config exporter delete {alias}'"
        )
    asking = not nointeractive
    namespace = ask(namespace, "--namespace", "Exporter namespace", interactive=asking, default="default")
    name = ask(name, "--name", "Exporter name", interactive=asking, default=alias)
    question = "Controller endpoint (HOST:PORT, empty for local mode)"
    endpoint = ask(endpoint, "--endpoint", question, interactive=asking, default="")
    question = "Exporter token (empty for local mode)"
    token = ask(token, "--token", question, interactive=asking, default="", secret=True)
    config = ExporterConfigV1Alpha1(
        alias=alias,
        metadata=ObjectMeta(namespace=namespace, name=name),
        endpoint=endpoint or None,
        token=token or None,
        tls=TLSConfigV1Alpha1(insecure=insecure_tls),
    )
    saved = config.save()
    click.echo(saved if output == "path" else f"Exporter configuration '{alias}' saved to {saved}")


@click.command
@alias_argument
@output_option("path")
def delete(alias: str, output: str | None) -> None:
    """Delete an exporter config."""
    from jumpstarter.config.exporter import ExporterConfigV1Alpha1

    path = ExporterConfigV1Alpha1.delete(alias)
    click.echo(path if output == "path" else f"Exporter configuration '{alias}' deleted: {path}")


@click.command
@alias_argument
def edit(alias: str) -> None:
    """Edit an exporter config.

    Opens it in $VISUAL or $EDITOR and checks it afterwards.
    """
    from jumpstarter.config.exporter import ExporterConfigV1Alpha1
    from jumpstarter.config.files import EXPORTERS

    path = EXPORTERS.require(alias)
    click.edit(filename=str(path))
    ExporterConfigV1Alpha1.load_path(path)


@click.command("list")
@output_option("json", "yaml", "name")
def list_(output: str | None) -> None:
    """List exporter configs."""
    from jumpstarter.config.exporter import ExporterConfigV1Alpha1

    found = ExporterConfigV1Alpha1.list()
    rows = [(config.alias, str(config.path)) for config in found.items]
    show_configs(found, output, ("ALIAS", "PATH"), rows)
