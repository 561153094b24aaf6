"""What all configuration files share: version, metadata, and the places where they are kept.

Reading never creates a file or a directory.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from jumpstarter.config.env import JMP_CLIENT_CONFIG_HOME, JMP_SYSTEM_CONFIG_HOME, chosen

CONFIG_API_VERSION: Final = "jumpstarter.dev/v1alpha1"


@dataclass(kw_only=True)
class ObjectMeta:
    """Identity of a client or exporter at its controller. *namespace* None: the controller's default.

    *labels* are what a selector is checked against where there is no controller; in a lab those of the controller count.
    """

    namespace: str | None = field(default=None, metadata={"keep": True})
    name: str
    labels: dict[str, str] = field(default_factory=dict)


def user_config_home() -> Path:
    """Where the user's files are.

    $JMP_CLIENT_CONFIG_HOME, else $XDG_CONFIG_HOME/jumpstarter, else ~/.config/jumpstarter.
    """
    if home := chosen(JMP_CLIENT_CONFIG_HOME):
        return Path(home).expanduser()
    base = os.environ.get("XDG_CONFIG_HOME")
    # A relative XDG path is to be ignored (XDG base directory specification).
    return (Path(base) if base and Path(base).is_absolute() else Path.home() / ".config") / "jumpstarter"


def system_config_home() -> Path:
    """Where the files of all users are: $JMP_SYSTEM_CONFIG_HOME, else /etc/jumpstarter."""
    return Path(chosen(JMP_SYSTEM_CONFIG_HOME) or "/etc/jumpstarter").expanduser()


def __getattr__(name: str) -> Any:
    # A constant would freeze the environment at import.
    if name == "CONFIG_PATH":
        return user_config_home()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
