"""Names of the environment variables that the product reads.

Which of them override a configuration file is listed in `jumpstarter.config.overrides`.
"""

from __future__ import annotations

import os

from jumpstarter.common.exceptions import ArgumentError

JUMPSTARTER_HOST = "JUMPSTARTER_HOST"
"""Address of the exporter session of the surrounding shell: a unix socket's path or ``host:port``."""
JMP_EXPORTER = "JMP_EXPORTER"
"""Name of the surrounding shell's exporter."""
JMP_EXPORTER_LABELS = "JMP_EXPORTER_LABELS"
"""Labels of the surrounding shell's exporter: ``key=value,key=value``."""
JMP_LEASE = "JMP_LEASE"
"""Name of the lease in use, or to use."""
JMP_QUIET = "JMP_QUIET"
"""``1`` in a quiet shell: commands show errors only, transfers no progress."""

JMP_CLIENT_CONFIG_HOME = "JMP_CLIENT_CONFIG_HOME"
"""Replaces ``$XDG_CONFIG_HOME/jumpstarter`` as the place of the user's configuration files."""
JMP_SYSTEM_CONFIG_HOME = "JMP_SYSTEM_CONFIG_HOME"
"""Replaces ``/etc/jumpstarter`` as the place of the system's configuration files."""
JMP_CLIENT_CONFIG = "JMP_CLIENT_CONFIG"
"""Path of the client configuration file to use."""
JMP_CLIENT = "JMP_CLIENT"
"""Alias of the client configuration to use."""

JMP_NAMESPACE = "JMP_NAMESPACE"
JMP_NAME = "JMP_NAME"
JMP_ENDPOINT = "JMP_ENDPOINT"
JMP_TOKEN = "JMP_TOKEN"
JMP_REFRESH_TOKEN = "JMP_REFRESH_TOKEN"
JMP_TLS = "JMP_TLS"
JMP_GRPCOPTIONS = "JMP_GRPCOPTIONS"
JMP_METADATA = "JMP_METADATA"
JMP_DRIVERS = "JMP_DRIVERS"
JMP_DRIVERS_ALLOW = "JMP_DRIVERS_ALLOW"
JMP_DRIVERS_UNSAFE = "JMP_DRIVERS_UNSAFE"
JMP_SHELL = "JMP_SHELL"
JMP_LEASES = "JMP_LEASES"
JMP_ACQUISITION_TIMEOUT = "JMP_ACQUISITION_TIMEOUT"
JMP_DIAL_TIMEOUT = "JMP_DIAL_TIMEOUT"
JMP_RETRY_TIMEOUT = "JMP_RETRY_TIMEOUT"

JMP_GRPC_INSECURE = "JMP_GRPC_INSECURE"
JUMPSTARTER_GRPC_INSECURE = "JUMPSTARTER_GRPC_INSECURE"
JMP_GRPC_PASSPHRASE = "JMP_GRPC_PASSPHRASE"
JMP_DISABLE_COMPRESSION = "JMP_DISABLE_COMPRESSION"
JMP_OIDC_CALLBACK_PORT = "JMP_OIDC_CALLBACK_PORT"
JUMPSTARTER_FORCE_SYSTEM_CERTS = "JUMPSTARTER_FORCE_SYSTEM_CERTS"


def chosen(variable: str) -> str | None:
    """What *variable* chooses (a board, a lease, a client); None when it is not set.

    Raises ArgumentError when it is set to nothing, as by a command that failed in ``export JMP_LEASE=$(...)``: what it
    was to choose must not be left to chance.
    """
    value = os.environ.get(variable)
    if value is not None and not value.strip():
        raise ArgumentError(f"{variable} is set, but empty: set it to what is meant, or unset it")
    return value
