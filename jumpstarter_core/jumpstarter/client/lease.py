"""Leases as objects, under their documented import name; they live on the connection floor."""

from __future__ import annotations

from jumpstarter.connection.objects import DirectLease, Lease

__all__ = ["DirectLease", "Lease"]
