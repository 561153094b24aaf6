"""TLS settings of a connection to a controller or router."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(kw_only=True)
class TLSConfigV1Alpha1:
    """*ca*: base64 of the PEM certificates to trust ('': the system's); *insecure*: verify no peer."""

    ca: str = ""
    insecure: bool = False
