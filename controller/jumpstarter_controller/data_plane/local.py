"""The data plane in the controller's own process: for labs that are part of a program, such as a test."""

from __future__ import annotations

from jumpstarter_controller.model import Lease

from .ports import Ports


class LocalPlane(Ports):
    """`Ports` of this process. It ends with it, so nobody has to remember leases."""

    def lease_changed(self, lease: Lease) -> None:
        """Nothing: the controller cuts all leases."""
