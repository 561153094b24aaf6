"""Identities of a lab on this machine, made with the administrator's token."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
from jumpstarter.config.grpc import identity
from jumpstarter_protocol import lab_pb2, lab_pb2_grpc

NAMESPACE = "default"
Metadata = tuple[tuple[str, str], ...]


class Access:
    """The lab whose data is in the folder *data*."""

    def __init__(self, data: Path) -> None:
        self.endpoint = (data / "endpoint").read_text().strip()
        self.credentials = grpc.ssl_channel_credentials((data / "ca" / "ca.pem").read_bytes())
        self._admin = identity(
            "Administrator", NAMESPACE, "admin", (data / "admin.token").read_text().strip()
        )

    def tokens(self, role: lab_pb2.Role, names: list[str], labels: dict[str, str]) -> list[str]:
        """New identities; gives their tokens."""
        with grpc.secure_channel(self.endpoint, self.credentials) as channel:
            stub: Any = lab_pb2_grpc.AdminServiceStub(channel)  # type: ignore[no-untyped-call]
            requests = [
                lab_pb2.CreateIdentityRequest(role=role, namespace=NAMESPACE, name=name, labels=labels)
                for name in names
            ]
            # All at once: they share the controller's writes.
            calls = [stub.CreateIdentity.future(each, metadata=self._admin) for each in requests]
            return [call.result().token for call in calls]

    def channel(self, options: Sequence[tuple[str, Any]] = ()) -> grpc.aio.Channel:
        """A connection that nobody shares, for coroutines."""
        own = (("grpc.use_local_subchannel_pool", 1), *options)
        return grpc.aio.secure_channel(self.endpoint, self.credentials, options=own)
