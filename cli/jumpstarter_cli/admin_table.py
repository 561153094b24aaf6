"""Every command of ``jmp admin``. Imports nothing but click."""

from __future__ import annotations

from .groups import Command, CommandSource, Group

_COMMANDS = "jumpstarter_cli.commands"
_CREATE = f"{_COMMANDS}.admin_create"
_GET = f"{_COMMANDS}.admin_get"
_MANAGE = f"{_COMMANDS}.admin_manage"
_CLUSTER = Command(f"{_MANAGE}:cluster", "For Kubernetes clusters only; a lab needs none.")

ADMIN: dict[str, CommandSource] = {
    "apply": Command(
        f"{_COMMANDS}.admin_file:apply", "Create or change clients, exporters and policies from a file."
    ),
    "create": Group(
        "Create clients, exporters and access policies",
        {
            "client": Command(f"{_CREATE}:client", "Create a client."),
            "exporter": Command(f"{_CREATE}:exporter", "Create an exporter."),
            "policy": Command(f"{_MANAGE}:put_policy", "Create or replace access policies."),
            "cluster": _CLUSTER,
            "file": Command(
                f"{_COMMANDS}.admin_file:create_file",
                "Create clients and exporters from a file; also: create -f FILE.",
            ),
        },
        of_options=("file", ("-f", "--filename")),
    ),
    "get": Group(
        "Display clients, exporters, leases, policies and the audit log",
        {
            "audit": Command(f"{_GET}:audit", "Display who did what."),
            "client": Command(f"{_GET}:client", "Display clients."),
            "cluster": _CLUSTER,
            "exporter": Command(f"{_GET}:exporter", "Display exporters."),
            "lease": Command(f"{_GET}:lease", "Display leases of all clients."),
            "policy": Command(f"{_GET}:policy", "Display access policies."),
        },
    ),
    "delete": Group(
        "Delete clients, exporters and policies, end leases",
        {
            "client": Command(f"{_MANAGE}:delete_client", "Delete a client."),
            "cluster": _CLUSTER,
            "exporter": Command(f"{_MANAGE}:delete_exporter", "Delete an exporter."),
            "lease": Command(f"{_MANAGE}:delete_lease", "End anyone's lease."),
            "policy": Command(f"{_MANAGE}:delete_policy", "Delete an access policy."),
        },
    ),
    "disable": Group(
        "Take exporters out of use",
        {"exporter": Command(f"{_MANAGE}:disable_exporter", "Let an exporter not be leased.")},
    ),
    "enable": Group(
        "Take exporters into use",
        {"exporter": Command(f"{_MANAGE}:enable_exporter", "Let an exporter be leased again.")},
    ),
    "import": Group(
        "Write configuration files of clients and exporters that exist",
        {
            "client": Command(f"{_MANAGE}:import_client", "Write a client's configuration."),
            "exporter": Command(f"{_MANAGE}:import_exporter", "Write an exporter's configuration."),
        },
    ),
    "install": _CLUSTER,
    "rotate": Group(
        "Give new tokens",
        {
            "client": Command(f"{_MANAGE}:rotate_client", "Give a client a new token."),
            "exporter": Command(f"{_MANAGE}:rotate_exporter", "Give an exporter a new token."),
        },
    ),
    "transfer": Group(
        "Give leases to other clients",
        {"lease": Command(f"{_MANAGE}:transfer_lease", "Give anyone's lease to another client.")},
    ),
    "version": Command(f"{_COMMANDS}.version:version", "Get the current Jumpstarter version."),
}
