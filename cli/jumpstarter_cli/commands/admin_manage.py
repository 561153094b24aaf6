"""``jmp admin delete|rotate|import|enable|disable|transfer|apply``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from jumpstarter_cli.admin import (
    Access,
    admin_options,
    administrator,
    ask_confirmation,
    file_option,
    name_argument,
    no_cluster,
    resource,
    show,
)
from jumpstarter_cli.config_target import STANDARD_OUTPUT, Target
from jumpstarter_cli.identities import (
    KINDS,
    client_config,
    exporter_config,
    role_number,
    save_config,
)
from jumpstarter_cli.logs import note
from jumpstarter_cli.output import output_option

from .admin_create import (
    allow_option,
    insecure_option,
    nointeractive_option,
    note_drivers,
    out_option,
    save_option,
    unsafe_option,
)


def _delete_command(kind: str) -> click.Command:
    def delete(
        access: Access, name: str, delete_config: bool, nointeractive: bool, output: str | None
    ) -> None:
        from jumpstarter_protocol import lab_pb2

        with administrator(access) as admin:
            admin.DeleteIdentity(
                lab_pb2.DeleteIdentityRequest(role=role_number(kind), namespace=access.namespace, name=name)
            )
        click.echo(resource(kind, name) if output == "name" else f'{kind} "{name}" deleted')
        question = f"Delete the {kind} configuration '{name}' on this machine?"
        if delete_config or (
            _config_of(kind).exists(name) and ask_confirmation(question, interactive=not nointeractive)
        ):
            note(f"Deleted {_delete_config(kind, name)}")

    delete.__doc__ = (
        f"Delete {'a client' if kind == 'client' else 'an exporter'}; its token is valid no more."
    )
    return _command(
        delete,
        name_argument,
        admin_options,
        click.option(
            "-d", "--delete", "delete_config", is_flag=True, help=f"Delete the {kind}'s config file, too."
        ),
        nointeractive_option,
        output_option("name", kinds=True),
    )


def _delete_config(kind: str, name: str) -> Path:
    """Delete the configuration of *name*, the user's or the system's; gives its path."""
    from jumpstarter.common.exceptions import FileAccessError
    from jumpstarter.config.files import EXPORTERS

    system = EXPORTERS.system_path(name)
    if kind == "exporter" and EXPORTERS.find(name) == system:
        try:
            system.unlink()
        except OSError as error:
            raise FileAccessError(
                f"{system}: cannot be deleted: {(error.strerror or str(error)).lower()}"
            ) from None
        return system
    path: Path = _config_of(kind).delete(name)
    return path


def _command(function: Any, *decorators: Any) -> click.Command:
    for decorator in reversed(decorators):
        function = decorator(function)
    command: click.Command = click.command(function)
    return command


def _config_of(kind: str) -> Any:
    if kind == "client":
        from jumpstarter.config.client import ClientConfigV1Alpha1

        return ClientConfigV1Alpha1
    from jumpstarter.config.exporter import ExporterConfigV1Alpha1

    return ExporterConfigV1Alpha1


delete_client = _delete_command("client")
delete_exporter = _delete_command("exporter")


@click.command
@name_argument
@admin_options
@output_option("name", kinds=True)
def delete_lease(access: Access, name: str, output: str | None) -> None:
    """End anyone's lease, now."""
    from jumpstarter_protocol import lab_pb2

    with administrator(access) as admin:
        admin.EndLease(lab_pb2.EndLeaseRequest(name=f"namespaces/{access.namespace}/leases/{name}"))
    click.echo(resource("lease", name) if output == "name" else f'lease "{name}" ended')


@click.command
@name_argument
@admin_options
@output_option("name", kinds=True)
def delete_policy(access: Access, name: str, output: str | None) -> None:
    """Delete an access policy. Without any policy every client may lease every exporter."""
    from jumpstarter_protocol import lab_pb2

    with administrator(access) as admin:
        admin.DeletePolicy(lab_pb2.DeletePolicyRequest(namespace=access.namespace, name=name))
    click.echo(resource("policy", name) if output == "name" else f'policy "{name}" deleted')


@click.command
@admin_options
@file_option("ExporterAccessPolicy, as stock Jumpstarter has it")
@output_option("json", "yaml", "name", kinds=True)
def put_policy(access: Access, path: Path, output: str | None) -> None:
    """Create access policies, or replace those of the same name.

    As soon as there is one policy, clients may lease only what a policy allows.
    """
    from jumpstarter_cli.policies import described_policy, nobody_notice
    from jumpstarter_cli.policy_files import read_policies

    policies = read_policies(path, access.namespace)
    with administrator(access) as admin:
        put = [admin.PutPolicy(policy) for policy in policies]
    for notice in filter(None, map(nobody_notice, put)):
        note(notice)
    items = [described_policy(policy) for policy in put]
    if not show(items, "ExporterAccessPolicy", output, single=len(items) == 1):
        for item in items:
            click.echo(f'policy "{item["metadata"]["name"]}" in force')


@click.command
@name_argument
@admin_options
@save_option
@out_option
@output_option("name", kinds=True)
def rotate_client(access: Access, name: str, save: bool, out: Path | None, output: str | None) -> None:
    """Give a client a new token; those before it are revoked.

    With --save the token is put into the client's configuration on this machine.
    """
    _rotate("client", access, name, save, out, output)


@click.command
@name_argument
@admin_options
@save_option
@out_option
@output_option("name", kinds=True)
def rotate_exporter(access: Access, name: str, save: bool, out: Path | None, output: str | None) -> None:
    """Give an exporter a new token; those before it are revoked.

    With --save the token is put into the exporter's configuration on this machine; start the exporter again then.
    """
    _rotate("exporter", access, name, save, out, output)


def _rotate(kind: str, access: Access, name: str, save: bool, out: Path | None, output: str | None) -> None:
    from jumpstarter_protocol import lab_pb2

    shown = out == STANDARD_OUTPUT
    config = _load(kind, name, out) if (save or out) and not shown else None
    with administrator(access) as admin:
        credential = admin.RotateIdentity(
            lab_pb2.RotateIdentityRequest(role=role_number(kind), namespace=access.namespace, name=name)
        )
    if config is not None:
        config.token = credential.token
        note(f"{KINDS[kind]} configuration {config.save()} updated with new token")
    if shown:
        make = client_config(credential, allow=None, unsafe=False, insecure=False)
        save_config(
            make if kind == "client" else exporter_config(credential, insecure=False),
            Target(kind, STANDARD_OUTPUT),
        )
        note(f'Token rotated for {kind} "{name}"')
    elif output == "name":
        click.echo(resource(kind, name))
    else:
        click.echo(f'Token rotated for {kind} "{name}"')
    if config is None and output is None and not shown:
        click.echo(credential.token)


def _load(kind: str, name: str, out: Path | None) -> Any:
    """The configuration that is to get a new token, exactly as its file stands."""
    config = _config_of(kind)
    options = {"environment": False} if kind == "client" else {"environment": False, "check_drivers": False}
    if out is None:
        return config.load(name, **options)
    return config.from_file(out, **options) if kind == "client" else config.load_path(out, **options)


@click.command
@name_argument
@admin_options
@out_option
@allow_option
@unsafe_option
@insecure_option
@nointeractive_option
@output_option("path")
def import_client(
    access: Access,
    name: str,
    out: Path | None,
    allow: str | None,
    unsafe: bool,
    insecure_tls: bool,
    nointeractive: bool,
    output: str | None,
) -> None:
    """Write the configuration of a client that exists, with a new token; its other tokens stay valid."""
    target = Target.of("client", name, out)
    credential = _credential("client", access, name)
    config = client_config(credential, allow=allow, unsafe=unsafe, insecure=insecure_tls)
    written = save_config(config, target, drivers_chosen=unsafe or allow is not None)
    _tell_saved(target, output)
    note_drivers(written)


@click.command
@click.argument("name", default="default")
@admin_options
@out_option
@insecure_option
@nointeractive_option
@output_option("path")
def import_exporter(
    access: Access, name: str, out: Path | None, insecure_tls: bool, nointeractive: bool, output: str | None
) -> None:
    """Write the configuration of an exporter that exists, with a new token; its other tokens stay valid."""
    target = Target.of("exporter", name, out)
    config = exporter_config(_credential("exporter", access, name), insecure=insecure_tls)
    save_config(config, target)
    _tell_saved(target, output)


def _tell_saved(target: Target, output: str | None) -> None:
    if output == "path" and not target.is_stdout:
        click.echo(target.path)
    else:
        target.tell(click.echo)


def _credential(kind: str, access: Access, name: str) -> Any:
    from jumpstarter_protocol import lab_pb2

    with administrator(access) as admin:
        return admin.IssueCredential(
            lab_pb2.IssueCredentialRequest(role=role_number(kind), namespace=access.namespace, name=name)
        )


@click.command
@name_argument
@admin_options
def enable_exporter(access: Access, name: str) -> None:
    """Let an exporter be leased again."""
    _enable(access, name, True)


@click.command
@name_argument
@admin_options
def disable_exporter(access: Access, name: str) -> None:
    """Let an exporter not be leased any more; the lease that it has goes on."""
    _enable(access, name, False)


def _enable(access: Access, name: str, enabled: bool) -> None:
    from jumpstarter_protocol import lab_pb2

    with administrator(access) as admin:
        admin.SetExporterEnabled(
            lab_pb2.SetExporterEnabledRequest(namespace=access.namespace, name=name, enabled=enabled)
        )
    click.echo(f'exporter "{name}" {"enabled" if enabled else "disabled"}')


@click.command
@name_argument
@admin_options
@click.option("--to-client", required=True, metavar="CLIENT", help="Who gets the lease.")
def transfer_lease(access: Access, name: str, to_client: str) -> None:
    """Give anyone's lease to another client."""
    from jumpstarter_protocol import lab_pb2

    parent = f"namespaces/{access.namespace}"
    with administrator(access) as admin:
        admin.TransferLease(
            lab_pb2.TransferLeaseRequest(
                name=f"{parent}/leases/{name}", client=f"{parent}/clients/{to_client}"
            )
        )
    click.echo(f'lease "{name}" transferred to {to_client}')


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1)
@click.pass_context
def cluster(ctx: click.Context, arguments: tuple[str, ...]) -> None:
    """For Kubernetes clusters only; a lab needs none."""
    no_cluster(f"'{ctx.command_path}'")
