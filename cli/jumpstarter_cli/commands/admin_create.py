"""``jmp admin create``: clients, exporters and access policies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from jumpstarter.common.exceptions import FileAccessError

from jumpstarter_cli.admin import (
    Access,
    Admin,
    admin_options,
    administrator,
    ask_confirmation,
    name_argument,
    show,
)
from jumpstarter_cli.config_target import Target
from jumpstarter_cli.identities import (
    KINDS,
    board_of,
    client_config,
    described,
    exporter_config,
    role_number,
    save_config,
)
from jumpstarter_cli.lab import key_values
from jumpstarter_cli.logs import note
from jumpstarter_cli.output import output_option

if TYPE_CHECKING:
    from jumpstarter.config.client import ClientConfigV1Alpha1

save_option = click.option("-s", "--save", is_flag=True, help="Save the configuration file.")
out_option = click.option(
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Save the configuration in this file; - prints it.",
)
allow_option = click.option("-a", "--allow", help="A comma-separated list of driver client packages to load.")
unsafe_option = click.option(
    "--unsafe", is_flag=True, help="Should all driver client packages be allowed to load (UNSAFE!)."
)
insecure_option = click.option(
    "-k",
    "--insecure-tls",
    "--insecure-tls-config",
    "insecure_tls",
    is_flag=True,
    help="Disable endpoint TLS verification. This is insecure and should only be used for testing purposes.",
)
nointeractive_option = click.option(
    "--nointeractive", is_flag=True, help="Disable interactive prompts (for use in scripts)."
)
username_option = click.option("--oidc-username", help="Name under which an identity provider knows it.")


@click.command
@name_argument
@admin_options
@click.option(
    "-l",
    "--label",
    "labels",
    multiple=True,
    metavar="KEY=VALUE",
    help="Label to set; may be given several times.",
)
@save_option
@out_option
@allow_option
@unsafe_option
@insecure_option
@username_option
@nointeractive_option
@output_option("json", "yaml", "name", kinds=True)
def client(
    access: Access,
    name: str,
    labels: tuple[str, ...],
    save: bool,
    out: Path | None,
    allow: str | None,
    unsafe: bool,
    insecure_tls: bool,
    oidc_username: str | None,
    nointeractive: bool,
    output: str | None,
) -> None:
    """Create a client.

    With --save its configuration is written for `jmp shell --client NAME`; the first one becomes the current client.
    """
    wanted = _target("client", name, save, out, interactive=not nointeractive)
    with administrator(access) as admin:
        credential = _create(admin, "client", name, labels, oidc_username)
    if wanted is not None:
        config = client_config(credential, allow=allow, unsafe=unsafe, insecure=insecure_tls)
        with _told_that_it_exists("client", name):
            written = save_config(config, wanted, drivers_chosen=unsafe or allow is not None)
        wanted.tell(note)
        note_drivers(written)
    _print(credential, "client", output, wanted)


@click.command
@name_argument
@admin_options
@click.option(
    "-l",
    "--label",
    "labels",
    multiple=True,
    required=True,
    metavar="KEY=VALUE",
    help="Label to set, by which clients select the exporter; may be given several times.",
)
@click.option(
    "--export",
    "export",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="What it exports: a file with `export:`, or another exporter's; its drivers and hooks are taken.",
)
@save_option
@out_option
@insecure_option
@username_option
@nointeractive_option
@output_option("json", "yaml", "name", kinds=True)
def exporter(
    access: Access,
    name: str,
    labels: tuple[str, ...],
    export: str | None,
    save: bool,
    out: Path | None,
    insecure_tls: bool,
    oidc_username: str | None,
    nointeractive: bool,
    output: str | None,
) -> None:
    """Create an exporter.

    With --save its configuration is written for `jmp run --exporter NAME`; its drivers are those of --export, or are
    added with `jmp config exporter edit NAME`.
    """
    board = (
        board_of(export, name) if export else None
    )  # what is wrong with it is told before anything is created
    wanted = _target("exporter", name, save, out, interactive=not nointeractive)
    if export and wanted is None:
        raise click.UsageError("--export is for the configuration: give --save or --out, too.")
    with administrator(access) as admin:
        credential = _create(admin, "exporter", name, labels, oidc_username)
    if wanted is not None:
        with _told_that_it_exists("exporter", name):
            save_config(exporter_config(credential, insecure=insecure_tls, board=board), wanted)
        wanted.tell(note)
    _print(credential, "exporter", output, wanted)


def note_drivers(config: ClientConfigV1Alpha1) -> None:
    """Say what is missing when *config* allows no driver at all."""
    if not config.drivers.unsafe and not config.drivers.allow:
        note(
            "It allows no driver's client classes yet: add patterns such as jumpstarter_driver_* to its drivers.allow, "
            "or give --allow"
        )


def _target(kind: str, name: str, save: bool, out: Path | None, *, interactive: bool) -> Target | None:
    """Where to write the configuration, found before anything is created; None when it is not wanted."""
    if save or out or ask_confirmation(f"Save the {kind} configuration?", interactive=interactive):
        return Target.of(kind, name, out)
    return None


@contextmanager
def _told_that_it_exists(kind: str, name: str) -> Iterator[None]:
    """Where the configuration cannot be written, the error says that *name* was made, and how its configuration is had."""
    try:
        yield
    except FileAccessError as error:
        raise FileAccessError(
            f"{error}; {kind} '{name}' was created: write its configuration with 'jmp admin import {kind} {name} --out FILE'"
        ) from None


def _create(admin: Admin, kind: str, name: str, labels: tuple[str, ...], username: str | None) -> Any:
    from jumpstarter_protocol import lab_pb2

    request = lab_pb2.CreateIdentityRequest(
        role=role_number(kind),
        namespace=admin.access.namespace,
        name=name,
        labels=key_values("--label", labels),
        external_username=username or "",
    )
    return admin.CreateIdentity(request)


def _print(credential: Any, kind: str, output: str | None, target: Target | None) -> None:
    item = described(credential.identity, kind, credential.endpoint)
    name = item["metadata"]["name"]
    if target is not None and target.is_stdout:
        # Standard output holds the configuration and nothing else.
        note(f'{kind} "{name}" created')
    elif not show([item], KINDS[kind], output, single=True):
        click.echo(f'{kind} "{name}" created')
    if target is None and output is None:
        note(
            f"Next: 'jmp admin import {kind} {name}' for its configuration, or 'jmp admin rotate {kind} {name}' for a token"
        )
