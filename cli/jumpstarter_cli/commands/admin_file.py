"""``jmp admin create -f`` and ``jmp admin apply -f``: what a lab has, from a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jumpstarter_cli.admin import Access, Admin, admin_options, administrator, file_option, resource
from jumpstarter_cli.identities import role_number
from jumpstarter_cli.logs import note
from jumpstarter_cli.output import output_option

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jumpstarter_cli.identity_files import Wanted

_FOR_CONFIGURATIONS = "Next: 'jmp admin import client|exporter NAME' for their configurations"


@click.command
@admin_options
@file_option("Client, Exporter or List")
@output_option("name", kinds=True)
def create_file(access: Access, path: Path, output: str | None) -> None:
    """Create the clients and exporters of a file.

    The same as `jmp admin create -f FILE`. Nothing is created when something is wrong with the file, or when one of them
    exists; `jmp admin apply -f FILE` changes those that exist.
    """
    from jumpstarter_cli.identity_files import read_identities

    wanted = read_identities(path, access.namespace)
    with administrator(access) as admin:
        _refuse_existing(admin, wanted)
        for each in wanted:
            _create(admin, each)
            _tell(each.kind, each.name, "created", output)
    if output is None:
        note(_FOR_CONFIGURATIONS)


@click.command
@admin_options
@file_option("Client, Exporter, ExporterAccessPolicy or List")
@output_option("name", kinds=True)
def apply(access: Access, path: Path, output: str | None) -> None:
    """Create the clients, exporters and access policies of a file, and change those that exist.

    Labels, user name and `enabled` become what the file says; what it leaves out stays as it is. Tokens and leases stay
    valid, and what is not in the file stays. Nothing is changed when something is wrong with the file.
    """
    from jumpstarter_cli.lab_files import read_lab

    wanted = read_lab(path, access.namespace)
    created = False
    with administrator(access) as admin:
        existing = _existing(admin, wanted.identities)
        for each in wanted.identities:
            done = _apply(admin, each, existing.get((each.kind, each.name)))
            created = created or done == "created"
            _tell(each.kind, each.name, done, output)
        for name, done in _apply_policies(admin, wanted.policies):
            _tell("policy", name, done, output)
    if created and output is None:
        note(_FOR_CONFIGURATIONS)


def _tell(kind: str, name: str, done: str, output: str | None) -> None:
    click.echo(resource(kind, name) if output == "name" else f'{kind} "{name}" {done}')


def _existing(admin: Admin, wanted: Sequence[Wanted]) -> dict[tuple[str, str], Any]:
    """The identities that the lab has of the kinds of *wanted*, by kind and name."""
    from jumpstarter_protocol import lab_pb2

    found: dict[tuple[str, str], Any] = {}
    for kind in sorted({each.kind for each in wanted}):
        request = lab_pb2.ListIdentitiesRequest(role=role_number(kind), namespace=admin.access.namespace)
        found |= {(kind, each.name): each for each in admin.ListIdentities(request).identities}
    return found


def _refuse_existing(admin: Admin, wanted: Sequence[Wanted]) -> None:
    """Raises ConfigurationError that tells which of *wanted* exist."""
    from jumpstarter.common.exceptions import ConfigurationError

    there = _existing(admin, wanted)
    told = [
        f"{each.origin}: {each.kind} '{each.name}' already exists; change it with 'jmp admin apply -f', or take it out "
        "of the file"
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
            labels=wanted.labels or {},
            external_username=wanted.username or "",
        )
    )
    if wanted.enabled is False:
        admin.SetExporterEnabled(
            lab_pb2.SetExporterEnabledRequest(namespace=namespace, name=wanted.name, enabled=False)
        )


def _apply(admin: Admin, wanted: Wanted, existing: Any) -> str:
    """Have the lab as *wanted* says; gives what was done."""
    from jumpstarter_protocol import lab_pb2

    if existing is None:
        _create(admin, wanted)
        return "created"
    request = lab_pb2.UpdateIdentityRequest(
        role=role_number(wanted.kind),
        namespace=admin.access.namespace,
        name=wanted.name,
        labels=None if wanted.labels is None else lab_pb2.LabelSet(values=wanted.labels),
        external_username=wanted.username,
        enabled=wanted.enabled,
    )
    after = admin.UpdateIdentity(request)
    same = (existing.labels, existing.external_username, existing.enabled) == (
        after.labels,
        after.external_username,
        after.enabled,
    )
    return "unchanged" if same else "updated"


def _apply_policies(admin: Admin, policies: Sequence[Any]) -> Iterator[tuple[str, str]]:
    """Have *policies* in force; gives the name of each, and what was done."""
    from jumpstarter_protocol import lab_pb2

    from jumpstarter_cli.policies import nobody_notice

    if not policies:
        return
    request = lab_pb2.ListPoliciesRequest(namespace=admin.access.namespace)
    before = {each.name: each for each in admin.ListPolicies(request).policies}
    for policy in policies:
        after = admin.PutPolicy(policy)
        there = before.get(policy.name)
        if notice := nobody_notice(after):
            note(notice)
        yield policy.name, "created" if there is None else "unchanged" if there == after else "updated"
