"""Which variables of the environment hold secrets of the exporter or its user, that no other program needs to know."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Final

#: Drivers log in at registries with it.
REGISTRY_PASSWORD: Final = "OCI_PASSWORD"

#: JMP_TOKEN, JMP_REFRESH_TOKEN, JMP_ADMIN_TOKEN, JMP_ADMIN_TOKEN_FILE, JMP_GRPC_PASSPHRASE and their like.
_SECRET: Final = re.compile(
    rf"_?(JMP|JUMPSTARTER)_(.*_)?(TOKEN|PASSPHRASE|PASSWORD|SECRET|CREDENTIALS?|KEY)(_.*)?|{REGISTRY_PASSWORD}"
)


def forget_secrets() -> None:
    """Take the product's own secrets out of this process's environment, once they are read: nothing inherits them then."""
    for name in list(os.environ):
        if _SECRET.fullmatch(name) and name != REGISTRY_PASSWORD:
            del os.environ[name]


def inheritable(environment: Mapping[str, str]) -> dict[str, str]:
    """*environment* for a program of somebody else: without the tokens and passphrases of this one."""
    return {name: value for name, value in environment.items() if not _SECRET.fullmatch(name)}
