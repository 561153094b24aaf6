"""Every command of ``jmp``: its name, its one-line help, and where it lives. Imports nothing but click."""

from __future__ import annotations

import click

from .admin_table import ADMIN
from .groups import Command, CommandSource, Group

COMMANDS = "jumpstarter_cli.commands"


def _log_level() -> list[click.Parameter]:
    from .logs import level_option

    return [level_option()]


CONFIG_CLIENT = Group(
    "Modify jumpstarter client config files",
    {
        "create": Command(
            f"{COMMANDS}.config_client:create", "Create a Jumpstarter client configuration.", ("allow",)
        ),
        "delete": Command(f"{COMMANDS}.config_client:delete", "Delete a Jumpstarter client configuration."),
        "list": Command(f"{COMMANDS}.config_client:list_", "List available client configurations."),
        "use": Command(
            f"{COMMANDS}.config_client:use", "Select the current Jumpstarter client configuration."
        ),
    },
)

CONFIG_EXPORTER = Group(
    "Modify jumpstarter exporter config files",
    {
        "create": Command(
            f"{COMMANDS}.config_exporter:create", "Create an exporter config.", ("endpoint", "token")
        ),
        "delete": Command(f"{COMMANDS}.config_exporter:delete", "Delete an exporter config."),
        "edit": Command(f"{COMMANDS}.config_exporter:edit", "Edit an exporter config."),
        "list": Command(f"{COMMANDS}.config_exporter:list_", "List exporter configs."),
    },
)

#: The help of ``jmp``: what somebody wants to do, and the commands for it.
SECTIONS = {
    "Use a board": ("shell", "get", "create", "update", "delete"),
    "Offer a board": ("run", "local", "exporter", "driver"),
    "Log in and configure": ("login", "auth", "config", "info"),
    "Run a lab": ("controller", "router", "admin"),
    "About jmp": ("help", "completion", "version"),
}

EPILOG = """\b
Examples:
  jmp shell                           a shell with a simulated board, or with the board you have leased
  jmp shell -l board=rpi4 -- robot .  lease such a board, run the tests, give it back
  jmp get exporters                   which boards are free, who has the others, until when
"""

JMP: dict[str, CommandSource] = {
    "help": Command(f"{COMMANDS}.help:help_", "Show the help of a command."),
    "admin": Group("Administer a lab", ADMIN, _log_level),
    "auth": Group(
        "The token of a client",
        {
            "refresh": Command(f"{COMMANDS}.auth:refresh", "Renew a token of an external identity provider."),
            "rotate": Command(f"{COMMANDS}.auth:rotate", "Get a new token."),
            "status": Command(f"{COMMANDS}.auth:status", "Show the state of the token."),
        },
    ),
    "completion": Command(
        f"{COMMANDS}.completion:completion", "Print a shell's completion script for jmp and j."
    ),
    "config": Group(
        "Modify Jumpstarter config files",
        {
            "client": CONFIG_CLIENT,
            "exporter": CONFIG_EXPORTER,
            "validate": Command(
                f"{COMMANDS}.config_validate:validate", "Check a config file, report every problem."
            ),
        },
    ),
    "controller": Group(
        "Run a lab",
        {"run": Command(f"{COMMANDS}.controller:run", "Run a lab: controller, router and login service.")},
        _log_level,
    ),
    "create": Group("Create a resource", {"lease": Command(f"{COMMANDS}.lease:create", "Create a lease.")}),
    "delete": Group("Delete resources", {"leases": Command(f"{COMMANDS}.lease:delete", "Delete leases.")}),
    "driver": Group(
        "Jumpstarter driver CLI tool",
        {
            "list": Command(f"{COMMANDS}.driver:list_", "List the installed drivers."),
            "version": Command(f"{COMMANDS}.version:version", "Get the current Jumpstarter version."),
        },
        _log_level,
    ),
    "exporter": Group(
        "Work with an exporter on this machine",
        {
            "shell": Command(
                f"{COMMANDS}.shell:exporter_shell", "Spawn a shell connected to a local exporter."
            )
        },
    ),
    "get": Group(
        "Display one or many resources",
        {
            "exporters": Command(f"{COMMANDS}.get_exporters:exporters", "Display the exporters of the lab."),
            "leases": Command(f"{COMMANDS}.lease:get", "Display your leases."),
        },
    ),
    "info": Command(f"{COMMANDS}.info:info", "Show which controller is used, and whether it answers."),
    "local": Group(
        "Run a local exporter in the background",
        {
            "start": Command(f"{COMMANDS}.local:start", "Start a local exporter in the background."),
            "stop": Command(f"{COMMANDS}.local:stop", "Stop the local exporter."),
        },
    ),
    "login": Command(f"{COMMANDS}.login:login", "Log in to a lab with a token."),
    "router": Group(
        "Run a router",
        {"run": Command(f"{COMMANDS}.router:run", "Run a router in a process of its own.")},
        _log_level,
    ),
    "run": Command(f"{COMMANDS}.run:run", "Run an exporter locally."),
    "shell": Command(
        f"{COMMANDS}.shell:shell",
        "Spawn a shell (or custom command) connecting to a local or remote exporter.",
    ),
    "update": Group("Update a resource", {"lease": Command(f"{COMMANDS}.lease:update", "Update a lease.")}),
    "version": Command(f"{COMMANDS}.version:version", "Get the current Jumpstarter version."),
}
