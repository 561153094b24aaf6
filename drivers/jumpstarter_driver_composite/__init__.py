"""Drivers made of other drivers: groups, and references to a driver elsewhere in the tree."""
