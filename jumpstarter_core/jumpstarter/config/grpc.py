"""By what a controller knows its callers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc

if TYPE_CHECKING:
    from .common import ObjectMeta


def identity(kind: str, namespace: str, name: str, token: str) -> tuple[tuple[str, str], ...]:
    """The metadata by which a controller knows its caller, in the order in which stock peers send it."""
    return (
        ("jumpstarter-kind", kind),
        ("jumpstarter-namespace", namespace),
        ("jumpstarter-name", name),
        ("authorization", f"Bearer {token}"),
    )


def call_credentials(kind: str, metadata: ObjectMeta, token: str) -> grpc.CallCredentials:
    """Credentials that send the `identity` of the *kind* (Client or Exporter) that *metadata* names with every call.

    gRPC takes them on secure channels only.
    """
    return grpc.metadata_call_credentials(
        _Identity(identity(kind, metadata.namespace or "default", metadata.name, token))
    )


class _Identity(grpc.AuthMetadataPlugin):  # type: ignore[misc]
    def __init__(self, entries: tuple[tuple[str, str], ...]) -> None:
        self._entries = entries

    def __call__(self, context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback) -> None:
        callback(self._entries, None)
