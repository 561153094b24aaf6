"""``jmp admin get``: clients, exporters, leases, policies and the audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from jumpstarter_cli.admin import (
    API_VERSION,
    Access,
    Admin,
    admin_options,
    administrator,
    age,
    plain_name,
    resource,
    show,
    show_table,
)
from jumpstarter_cli.identities import KINDS, described, moment, role_number
from jumpstarter_cli.leases import lease_data
from jumpstarter_cli.output import data, output_option, table

if TYPE_CHECKING:
    from collections.abc import Collection

    from jumpstarter.client.lab import Lease

optional_name = click.argument("name", required=False, callback=plain_name)


@click.command
@optional_name
@admin_options
@output_option("json", "yaml", "name", kinds=True)
def client(access: Access, name: str | None, output: str | None) -> None:
    """Display clients."""
    with administrator(access) as admin:
        found = _identities(admin, "client", name)
    items = [described(identity, "client", access.address()) for identity in found]
    if not show(items, KINDS["client"], output, single=name is not None):
        show_table(("NAME", "ENDPOINT"), [(i.name, access.address()) for i in found], access.namespace)


@click.command
@optional_name
@admin_options
@click.option("-d", "--devices", is_flag=True, help="Display the devices hosted by the exporter(s)")
@output_option("json", "yaml", "name", kinds=True)
def exporter(access: Access, name: str | None, devices: bool, output: str | None) -> None:
    """Display exporters."""
    with administrator(access) as admin:
        found = _identities(admin, "exporter", name)
        leased = {lease.exporter for lease in _leases(admin) if lease.ready} if output is None else set()
    endpoint = access.address()
    items = [described(identity, "exporter", endpoint) for identity in found]
    if show(items, KINDS["exporter"], output, single=name is not None):
        return
    headings: tuple[str, ...]
    if devices:
        headings = ("NAME", "STATUS", "ENDPOINT", "AGE", "LABELS", "UUID")
        rows = [
            (
                e.name,
                _shown_status(e, leased),
                endpoint,
                age(moment(e, "created")),
                _labels(d.labels),
                d.uuid,
            )
            for e in found
            for d in e.devices
        ]
    else:
        headings = ("NAME", "STATUS", "ENDPOINT", "DEVICES", "AGE", "LABELS")
        rows = [
            (
                e.name,
                _shown_status(e, leased),
                endpoint,
                str(len(e.devices)),
                age(moment(e, "created")),
                _labels(e.labels),
            )
            for e in found
        ]
    show_table(headings, rows, access.namespace)


def _identities(admin: Admin, kind: str, name: str | None) -> list[Any]:
    from jumpstarter_protocol import lab_pb2

    request = lab_pb2.ListIdentitiesRequest(
        role=role_number(kind), namespace=admin.access.namespace, name=name or ""
    )
    return list(admin.ListIdentities(request).identities)


def _shown_status(exporter: Any, leased: Collection[str]) -> str:
    from jumpstarter.client.states import exporter_state, with_disabled
    from jumpstarter.common.enums import ExporterStatus

    state = exporter_state(
        ExporterStatus.from_proto(exporter.status),
        online=exporter.online,
        enabled=exporter.enabled,
        leased=exporter.name in leased,
    )
    return with_disabled(state, exporter.enabled)


def _labels(labels: Any) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


@click.command
@optional_name
@admin_options
@click.option("-a", "--all", "all_", is_flag=True, help="Show ended leases, too.")
@output_option("json", "yaml", "name", kinds=True)
def lease(access: Access, name: str | None, all_: bool, output: str | None) -> None:
    """Display leases of all clients."""
    from jumpstarter.client.states import lease_cause, lease_state
    from jumpstarter.common.durations import format_duration

    with administrator(access) as admin:
        found = _leases(admin, name, ended=all_ or name is not None)
    if output == "name":
        for each in found:
            click.echo(resource("lease", each.name))
    elif output is not None and name is not None:
        click.echo(data(lease_data(found[0]), output))
    elif output is not None:
        items = [lease_data(each) for each in found]
        click.echo(data({"apiVersion": API_VERSION, "items": items, "kind": "LeaseList"}, output))
    else:
        headings = ("NAME", "CLIENT", "SELECTOR", "EXPORTER", "DURATION", "STATUS", "REASON", "BEGIN", "END")
        rows = [
            (
                each.name,
                each.client,
                each.selector or each.exporter_name,
                each.exporter,
                format_duration(each.duration),
                lease_state(each),
                lease_cause(each),
                _local(each.effective_begin_time or each.begin_time),
                _local(each.ends_at),
            )
            for each in found
        ]
        show_table(headings, rows, access.namespace)


def _leases(admin: Admin, name: str | None = None, *, ended: bool = False) -> list[Lease]:
    from jumpstarter.client.lab import Lease
    from jumpstarter_protocol import lab_pb2

    request = lab_pb2.AdminListLeasesRequest(
        namespace=admin.access.namespace, name=name or "", include_ended=ended
    )
    return [Lease.from_proto(item) for item in admin.ListLeases(request).leases]


def _local(value: Any) -> str:
    return f"{value.astimezone():%Y-%m-%d %H:%M:%S}" if value is not None else ""


@click.command
@optional_name
@admin_options
@output_option("json", "yaml", "name", kinds=True)
def policy(access: Access, name: str | None, output: str | None) -> None:
    """Display access policies."""
    from jumpstarter_protocol import lab_pb2

    from jumpstarter_cli.policies import described_policy

    with administrator(access) as admin:
        listed = admin.ListPolicies(lab_pb2.ListPoliciesRequest(namespace=access.namespace)).policies
    found = [p for p in listed if name in (None, p.name)]
    if name is not None and not found:
        raise click.ClickException(f"policy '{name}' does not exist; see 'jmp admin get policies'")
    items = [described_policy(p) for p in found]
    if show(items, "ExporterAccessPolicy", output, single=name is not None):
        return
    rows = [
        (
            p.name,
            p.exporter_selector or "all",
            " or ".join(s or "all" for s in rule.client_selectors) or "none",
            str(rule.priority),
            _duration(rule),
            "yes" if rule.spot_access else "",
            rule.description,
        )
        for p in found
        # One without rules is shown as what it is: a rule for nobody.
        for rule in p.rules or [lab_pb2.PolicyRule()]
    ]
    headings = ("NAME", "EXPORTERS", "CLIENTS", "PRIORITY", "LONGEST", "SPOT", "DESCRIPTION")
    show_table(headings, rows, access.namespace)


def _duration(rule: Any) -> str:
    from jumpstarter.common.durations import format_duration

    return format_duration(rule.maximum_duration.ToTimedelta()) if rule.HasField("maximum_duration") else ""


@click.command
@admin_options
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many entries.")
@output_option("json", "yaml")
def audit(access: Access, limit: int, output: str | None) -> None:
    """Display who did what, newest first."""
    from jumpstarter_protocol import lab_pb2

    with administrator(access) as admin:
        entries = admin.ListAudit(lab_pb2.ListAuditRequest(namespace=access.namespace, limit=limit)).entries
    if output is not None:
        items = [
            {
                "time": f"{moment(e, 'time'):%Y-%m-%dT%H:%M:%S.%fZ}",
                "actor": e.actor,
                "action": e.action,
                "target": e.target,
                "detail": e.detail,
            }
            for e in entries
        ]
        click.echo(data(items, output))
        return
    rows = [(_local(moment(e, "time")), e.actor, e.action, e.target, e.detail) for e in entries]
    click.echo(table(("TIME", "ACTOR", "ACTION", "TARGET", "DETAIL"), rows))
