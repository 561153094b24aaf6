"""Credentials of OCI registries.

They are taken from where the container tools keep them: see containers-auth.json(5).
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .exceptions import ConfigurationError


@dataclass(frozen=True)
class OciCredentials:
    """User name and password of a registry, or neither. The password is a pydantic SecretStr; text is turned into one.

    Raises ValueError for one without the other.
    """

    username: str | None = None
    password: Any = None

    def __post_init__(self) -> None:
        if (self.username is None) != (self.password is None):
            raise ValueError("OCI authentication requires both user name and password, or neither")
        if isinstance(self.password, str):
            from pydantic import SecretStr

            object.__setattr__(self, "password", SecretStr(self.password))

    @property
    def plain_password(self) -> str | None:
        """The password as text."""
        return None if self.password is None else str(self.password.get_secret_value())

    @property
    def is_authenticated(self) -> bool:
        """True when there are credentials."""
        return self.username is not None


def parse_oci_registry(url: str) -> str:
    """The HOST or HOST:PORT of ``oci://HOST/NAME:TAG`` (the scheme may be missing).

    Raises ValueError for a reference that does not name its registry.
    """
    reference = url.partition("://")[2] if "://" in url else url
    host, slash, name = reference.partition("/")
    if not slash or not name or not ("." in host or ":" in host or host == "localhost"):
        raise ValueError(f"{url!r} does not name its registry: expected oci://HOST/NAME:TAG")
    return host


def read_auth_file_credentials(url: str) -> OciCredentials:
    """The credentials for *url* in the container tools' files; empty ones when they have none.

    Raises ConfigurationError for a file that is not valid.
    """
    reference = _repository(url)
    for path in _auth_files():
        found = _best_entry(_entries(path), reference)
        if found is not None:
            return _decode(path, *found)
    return OciCredentials()


def resolve_oci_credentials(
    url: str, username: str | None = None, password: str | None = None
) -> OciCredentials:
    """The credentials for *url*: those given, else OCI_USERNAME and OCI_PASSWORD, else `read_auth_file_credentials`.

    White space around them does not count, and an empty text is none. Raises ValueError when only one of the two is given;
    one variable without the other is not looked at.
    """
    username, password = _stripped(username), _stripped(password)
    if username is None and password is None:
        username, password = (_stripped(os.environ.get(name)) for name in ("OCI_USERNAME", "OCI_PASSWORD"))
        if username is None or password is None:
            return read_auth_file_credentials(url)
    return OciCredentials(username, password)


def _stripped(text: str | None) -> str | None:
    return (text or "").strip() or None


def _auth_files() -> Iterator[Path]:
    """Existing files, the first that counts first."""
    if explicit := os.environ.get("REGISTRY_AUTH_FILE"):
        yield Path(explicit)
        return
    folders = (
        (os.environ.get("XDG_RUNTIME_DIR"), "containers/auth.json"),
        (os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config"), "containers/auth.json"),
        (os.environ.get("DOCKER_CONFIG") or str(Path.home() / ".docker"), "config.json"),
    )
    for folder, name in folders:
        if folder and (path := Path(folder) / name).is_file():
            yield path


def _entries(path: Path) -> dict[str, Any]:
    try:
        auths = json.loads(path.read_text(encoding="utf-8")).get("auths", {})
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}: expected the registries' credentials") from None
    except (ValueError, AttributeError) as error:
        raise ConfigurationError(f"{path}: not an authentication file: {error}") from None
    if not isinstance(auths, dict):
        raise ConfigurationError(
            f"{path}: 'auths' is {type(auths).__name__}: expected a mapping of registries"
        )
    return auths


def _repository(url: str) -> str:
    """HOST/NAME of *url*, without tag and digest."""
    host = parse_oci_registry(url)
    reference = url.partition("://")[2] if "://" in url else url
    name = reference[len(host) + 1 :].partition("@")[0].partition(":")[0]
    return f"{host}/{name}"


def _best_entry(entries: dict[str, Any], repository: str) -> tuple[str, Any] | None:
    """The entry for the longest part of *repository*, which may be the registry alone."""
    best: tuple[str, Any] | None = None
    for key, entry in entries.items():
        plain = urlsplit(key).netloc if "://" in key else key.rstrip("/")
        fits = repository == plain or repository.startswith(f"{plain}/")
        if fits and (best is None or len(key) > len(best[0])):
            best = key, entry
    return best


def _decode(path: Path, key: str, entry: Any) -> OciCredentials:
    try:
        user, colon, password = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
    except (KeyError, TypeError, binascii.Error, UnicodeDecodeError):
        user, colon, password = "", "", ""
    if not colon or not user:
        raise ConfigurationError(
            f"{path}: the entry of {key} has no 'auth' of base64(user:password): log in again"
        )
    return OciCredentials(user, password)
