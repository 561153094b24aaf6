"""Secrets in text that people see: error messages, log lines, lists."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import re

#: A key whose name has one of these holds a secret.
WORDS: Final = (
    "token",
    "password",
    "passwd",
    "passphrase",
    "secret",
    "credential",
    "apikey",
    "api_key",
    "private_key",
)
HIDDEN: Final = "(not shown)"

#: What none of the secrets below can be without.
_SIGNS: Final = ("eyJ", "earer", "://", "asic ", "PRIVATE KEY")


def mask(text: str) -> str:
    """*text* without tokens (JWT), passwords of URLs, signatures of signed URLs, credentials of HTTP and private keys."""
    if not any(sign in text for sign in _SIGNS):
        return text
    for pattern, instead in _patterns():
        text = pattern.sub(instead, text)
    return text


def is_secret(key: object) -> bool:
    """Whether the value of *key* is not to be shown."""
    return any(word in str(key).lower() for word in WORDS)


def without_secrets(data: Any) -> Any:
    """Plain *data* with the texts hidden that stand under the key of a secret, and those that `mask` hides."""
    if isinstance(data, dict):
        return {
            key: HIDDEN if is_secret(key) and isinstance(item, str) and item else without_secrets(item)
            for key, item in data.items()
        }
    if isinstance(data, list):
        return [without_secrets(item) for item in data]
    return mask(data) if isinstance(data, str) else data


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    import re

    key = r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    signed = r"([?&][\w-]*(?:sig|signature|token|secret|password|credential|key)=)[^&\s'\"#]+"
    return (
        (re.compile(key, re.DOTALL), "(private key)"),
        # RFC 7519: a header, claims and a signature. Two parts are enough: a line may have been cut.
        (re.compile(r"\beyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?"), "(token)"),
        (re.compile(r"\b(bearer)\s+(?=\S*\d)[\w.~+/=-]{16,}", re.IGNORECASE), r"\1 ***"),
        (re.compile(r"\b(authorization:\s*basic)\s+\S+", re.IGNORECASE), r"\1 ***"),
        (re.compile(r"(?<=://)[^\s/?#'\"]+@"), "***@"),
        (re.compile(signed, re.IGNORECASE), r"\1***"),
    )
