"""Jumpstarter's wire protocol: protobuf messages and gRPC stubs, generated from the .proto files below proto/.

The modules load when they are first used: a client that only calls drivers never pays for the controller's messages.
"""

from __future__ import annotations

import importlib
from typing import Any

_MODULES = {
    "client_pb2": "jumpstarter_protocol.jumpstarter.client.v1.client_pb2",
    "client_pb2_grpc": "jumpstarter_protocol.jumpstarter.client.v1.client_pb2_grpc",
    "common_pb2": "jumpstarter_protocol.jumpstarter.v1.common_pb2",
    "jumpstarter_pb2": "jumpstarter_protocol.jumpstarter.v1.jumpstarter_pb2",
    "jumpstarter_pb2_grpc": "jumpstarter_protocol.jumpstarter.v1.jumpstarter_pb2_grpc",
    "kubernetes_pb2": "jumpstarter_protocol.jumpstarter.v1.kubernetes_pb2",
    "kubernetes_pb2_grpc": "jumpstarter_protocol.jumpstarter.v1.kubernetes_pb2_grpc",
    "lab_pb2": "jumpstarter_protocol.jumpstarter.lab.v1.lab_pb2",
    "lab_pb2_grpc": "jumpstarter_protocol.jumpstarter.lab.v1.lab_pb2_grpc",
    "router_pb2": "jumpstarter_protocol.jumpstarter.v1.router_pb2",
    "router_pb2_grpc": "jumpstarter_protocol.jumpstarter.v1.router_pb2_grpc",
    "telemetry_pb2": "jumpstarter_protocol.jumpstarter.v1.telemetry_pb2",
    "telemetry_pb2_grpc": "jumpstarter_protocol.jumpstarter.v1.telemetry_pb2_grpc",
}

__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    try:
        module = _MODULES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return importlib.import_module(module)
