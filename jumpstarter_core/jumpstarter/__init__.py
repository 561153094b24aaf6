"""The RPC core: drivers, clients, sessions and connections. Import from the subpackages."""

import os

import _jumpstarter_guard

_jumpstarter_guard.check()

# gRPC's C core logs to standard error on its own; its lines mean nothing to a user of the product.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
os.environ.setdefault("GLOG_minloglevel", "2")
