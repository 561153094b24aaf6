"""Power control of a DUT: the interface, its client, and two simulated supplies."""
