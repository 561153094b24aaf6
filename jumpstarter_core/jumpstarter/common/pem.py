"""Certificates as text (PEM, RFC 7468)."""

from __future__ import annotations

import re
from typing import Final

from .exceptions import ConfigurationError

#: OpenSSL reads all three.
_CERTIFICATE: Final = re.compile(rb"-----BEGIN (X509 |TRUSTED )?CERTIFICATE-----")


def certificates(text: bytes, source: str) -> bytes:
    """*text*, if there is a certificate in it.

    Raises ConfigurationError, which names the *source*: TLS would fail without telling why.
    """
    if _CERTIFICATE.search(text) is None:
        raise ConfigurationError(
            f"{source}: this is no certificate; expected a text with -----BEGIN CERTIFICATE-----"
        )
    return text
