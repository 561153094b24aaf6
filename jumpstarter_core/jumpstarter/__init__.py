"""The RPC core: drivers, clients, sessions and connections. Import from the subpackages."""

import os

import _jumpstarter_guard

_jumpstarter_guard.check()


def configure_grpc_env() -> None:
    """Keep gRPC's C core from logging to standard error on its own, unless the environment says how: no user knows its lines."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    os.environ.setdefault("GLOG_minloglevel", "2")


configure_grpc_env()
