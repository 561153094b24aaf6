"""``jmp admin create -f``: clients and exporters from a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from jumpstarter_cli.admin import Access, Admin, admin_options, administrator
from jumpstarter_cli.identities import role_number
from jumpstarter_cli.logs import note
from jumpstarter_cli.output import output_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jumpstarter_cli.identity_files import Wanted


@click.command
@admin_options
@click.option(
    "-f",
    "--filename",
    "path",
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="YAML of kind Client, Exporter or List; - reads standard input.",
)
@output_option("name")
def create_file(access: Access, path: Path, output: str | None) -> None:
    """Create the clients and exporters of a file.

    The same as `jmp admin create -f FILE`. Nothing is created when something is wrong with the file, or when one of them
    exists.
    """
    from jumpstarter_cli.identity_files import read_identities

    wanted = read_identities(path, access.namespace)
    with administrator(access) as admin:
        _refuse_existing(admin, wanted)
        for each in wanted:
            _create(admin, each)
            click.echo(
                f"{each.kind}.jumpstarter.dev/{each.name}"
                if output == "name"
                else f'{each.kind} "{each.name}" created'
            )
    if output is None:
        note("Next: 'jmp admin import client|exporter NAME' for their configurations")


def _refuse_existing(admin: Admin, wanted: Sequence[Wanted]) -> None:
    """Raises ConfigurationError that tells which of *wanted* exist."""
    from jumpstarter.common.exceptions import ConfigurationError
    from jumpstarter_protocol import lab_pb2

    there = set()
    for kind in sorted({each.kind for each in wanted}):
        request = lab_pb2.ListIdentitiesRequest(role=role_number(kind), namespace=admin.access.namespace)
        there |= {(kind, each.name) for each in admin.ListIdentities(request).identities}
    told = [
        f"{each.origin}: {each.kind} '{each.name}' already exists; delete it first, or take it out of the file"
        for each in wanted
        if (each.kind, each.name) in there
    ]
    if told:
        raise ConfigurationError("\n".join(told))


def _create(admin: Admin, wanted: Wanted) -> None:
    from jumpstarter_protocol import lab_pb2

    namespace = admin.access.namespace
    admin.CreateIdentity(
        lab_pb2.CreateIdentityRequest(
            role=role_number(wanted.kind),
            namespace=namespace,
            name=wanted.name,
            labels=wanted.labels,
            external_username=wanted.username,
        )
    )
    if not wanted.enabled:
        admin.SetExporterEnabled(
            lab_pb2.SetExporterEnabledRequest(namespace=namespace, name=wanted.name, enabled=False)
        )
