"""What is known of one lease, under its documented import name."""

from jumpstarter_exporter.lease_context import LeaseContext

__all__ = ["LeaseContext"]
