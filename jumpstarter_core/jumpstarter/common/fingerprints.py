"""SHA-256 of a certificate, by which people and tokens know a lab's authority."""

from __future__ import annotations

import base64
import binascii
import hashlib

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


def fingerprint(pem: str) -> str:
    """The SHA-256 of the first certificate in *pem*, as 64 hexadecimal digits. Raises ValueError when there is none."""
    _, begin, rest = pem.partition(_BEGIN)
    body, end, _ = rest.partition(_END)
    if not begin or not end:
        raise ValueError("it holds no certificate in PEM")
    try:
        return hashlib.sha256(base64.b64decode("".join(body.split()), validate=True)).hexdigest()
    except binascii.Error:
        raise ValueError("it holds no certificate in PEM") from None


def parse_fingerprint(text: str) -> str:
    """A SHA-256 as people write it (``SHA256:``, colons, spaces, capitals) as 64 digits. Raises ValueError."""
    digits = text.strip().lower().removeprefix("sha256").lstrip(":= ").removeprefix("fingerprint=")
    digits = digits.replace(":", "").replace(" ", "")
    if len(digits) != 64 or any(digit not in "0123456789abcdef" for digit in digits):
        raise ValueError("expected the 64 hexadecimal digits of a SHA-256, with or without colons")
    return digits


def shown(digits: str) -> str:
    """*digits* as ``openssl x509 -fingerprint -sha256`` prints them."""
    return ":".join(digits[i : i + 2].upper() for i in range(0, len(digits), 2))
