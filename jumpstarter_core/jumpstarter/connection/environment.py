"""The environment that an exporter gives to the processes it starts: shells, commands, hooks."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from jumpstarter.common.shell_waits import SHELL_WAITS

#: The lease of the surrounding shell. JMP_LEASE may be set to another one in it.
SHELL_LEASE = "_JMP_SHELL_LEASE"

SESSION_VARIABLES = frozenset(
    {
        "JUMPSTARTER_HOST",
        "JMP_DRIVERS_ALLOW",
        "JMP_EXPORTER",
        "JMP_EXPORTER_LABELS",
        "JMP_LEASE",
        SHELL_LEASE,
        SHELL_WAITS,
        "JMP_GRPC_INSECURE",
        "JMP_GRPC_PASSPHRASE",
    }
)
"""What describes a session to its clients; none of it may leak from one session into another."""


def session_environment(outer: Mapping[str, str], session: Mapping[str, str]) -> dict[str, str]:
    """*outer* without a surrounding session's variables, with those of *session*, and ``j`` on the PATH."""
    kept = {key: value for key, value in outer.items() if key not in SESSION_VARIABLES}
    return with_tools_on_path(kept) | dict(session)


def with_tools_on_path(environment: Mapping[str, str]) -> dict[str, str]:
    """*environment* in which ``j`` can be found even if the virtual environment is not activated.

    A ``j`` that is found already stays the one that is found.
    """
    path = environment.get("PATH", os.defpath)
    scripts = Path(sys.executable).parent
    if shutil.which("j", path=path) is None and (scripts / "j").exists():
        path = f"{path}{os.pathsep}{scripts}"
    return {**environment, "PATH": path}
