"""What a lab tells about itself before anybody has logged in, and whether it is the lab that is meant.

Whoever answers in its place could have the token sent to themselves. So the certificate that comes is compared first: with the
SHA-256 in the token, or with what the user gives. Only then is the token sent, over TLS that this certificate verifies.
"""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
from jumpstarter.common.exceptions import ConfigurationError, ConnectionError, FileAccessError
from jumpstarter.common.fingerprints import fingerprint, parse_fingerprint, shown

#: Seconds for the login service to answer.
TIMEOUT: Final = 5.0
LOGIN_PORT: Final = 8086
#: Bytes of its answer at the most.
MAX_ANSWER: Final = 1 << 20


@dataclass(frozen=True)
class LabAddress:
    """What the login service at *source* (a URL) said. *trusted*: it came by TLS, or the user wrote ``http://``."""

    source: str
    trusted: bool
    endpoint: str
    namespace: str
    ca: str
    has_provider: bool


def ask_lab(host: str) -> LabAddress:
    """What the login service at *host* tells. TLS is tried first. Raises ConnectionError when nothing answers there."""
    problems = []
    for base in _candidates(host):
        try:
            with urllib.request.urlopen(f"{base}/v1/auth/config", timeout=TIMEOUT) as response:
                answer: Any = json.loads(response.read(MAX_ANSWER))
            return LabAddress(
                source=base,
                trusted=base.startswith("https:") or "://" in host,
                endpoint=_text(answer["grpcEndpoint"]),
                namespace=_text(answer.get("namespace") or "default"),
                ca=_text(answer.get("caBundle") or ""),
                has_provider=bool(answer.get("oidc")),
            )
        except (urllib.error.URLError, OSError, ValueError, KeyError, TypeError) as error:
            problems.append(f"{base}: {getattr(error, 'reason', None) or error or type(error).__name__}")
    raise ConnectionError(
        f"no login service at {host} ({'; '.join(problems)}); give the port, or use --endpoint HOST:PORT of the controller"
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("it answers, but not as the login service of a lab")
    return value


def _candidates(host: str) -> list[str]:
    if "://" in host:
        return [host.rstrip("/")]
    if host.rpartition(":")[2].isdigit():
        return [f"https://{host}", f"http://{host}"]
    return [f"https://{host}", f"http://{host}:{LOGIN_PORT}"]


def authority_of(lab: LabAddress | None, ca: str | None, wanted: str | None, from_token: str | None) -> str:
    """The certificate to trust, in base64; "" for those of the system.

    Args:
        lab: what the lab said, None when it was not asked.
        ca: the file that the user names (--ca).
        wanted: the SHA-256 that the user names (--fingerprint).
        from_token: the SHA-256 that the token names.

    Raises:
        ConfigurationError: it is not the certificate that is meant, or nothing tells whether it is.
    """
    expected = _parsed(wanted) or from_token
    if ca is not None:
        text = _read(ca)
        _compare(text, _parsed(wanted), f"{ca} (--ca)", "--fingerprint")
        return base64.b64encode(text.encode()).decode()
    if lab is None:
        if wanted:
            raise click.UsageError(
                "--fingerprint is about the certificate that HOST tells: give HOST, or --ca FILE."
            )
        return ""
    text = _decoded(lab)
    if expected or not lab.trusted:
        _compare(text, expected, f"the lab at {lab.source}", "--fingerprint" if wanted else "the token")
    return lab.ca


def _compare(text: str, expected: str | None, whose: str, source: str) -> None:
    """Raise ConfigurationError unless the certificate *text* of *whose* is what *source* expects."""
    try:
        found = fingerprint(text)
    except ValueError as error:
        raise ConfigurationError(
            f"{whose}: {error}; the token is not sent. Name the lab's certificate authority with --ca FILE"
        ) from None
    if expected is None:
        if whose.startswith("the lab"):
            raise ConfigurationError(
                f"{whose} answered without TLS, so it may be an impostor; the token is not sent. Its certificate has the SHA-256 "
                f"{shown(found)}: if your administrator confirms it, give it with --fingerprint; or give --ca FILE"
            )
        return
    if found != expected:
        raise ConfigurationError(
            f"{whose} has another certificate than {source} says, and may be an impostor; the token is not sent. Found SHA-256 "
            f"{shown(found)}, expected {shown(expected)}"
        )


def _parsed(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return parse_fingerprint(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="'--fingerprint'") from None


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise FileAccessError(f"{path}: {getattr(error, 'strerror', None) or 'not PEM'} (--ca)") from None


def _decoded(lab: LabAddress) -> str:
    try:
        return base64.b64decode(lab.ca).decode()
    except ValueError:
        return ""
