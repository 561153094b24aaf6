"""The lab service: leases, scheduling, identity and the store."""
