"""What drivers' clients mean in Robot's words, keyed by client class.

Every client is reflected: its public methods are keywords. Where that is not enough (a byte stream, a method
that must be known before the exporter is asked, a context manager) an `Adapter` for the client's class, or
for a base of it, adds, replaces or hides keywords. An adapter's public methods are keywords by the same
rules.
"""

from __future__ import annotations

from importlib import import_module

from .base import Adapter, Context, Offer

__all__ = ["ADAPTERS", "Adapter", "Context", "Offer", "adapter_for"]

ADAPTERS = {
    "jumpstarter_driver_network.client.DbusNetworkClient": "network:DbusAdapter",
    "jumpstarter_driver_network.client.NetworkClient": "network:NetworkAdapter",
    "jumpstarter_driver_opendal.client.OpendalClient": "opendal:OpendalAdapter",
    "jumpstarter_driver_power.client.PowerClient": "power:PowerAdapter",
    "jumpstarter_driver_pyserial.client.PySerialClient": "serial:SerialAdapter",
    "jumpstarter_driver_shell.client.ShellClient": "shell:ShellAdapter",
    "jumpstarter_driver_uboot.client.UbootConsoleClient": "uboot:UbootAdapter",
}
"""Adapter by the dotted name of the client class; imported when a tree has such a client."""


def adapter_for(client: object, context: Context) -> Adapter:
    """The adapter of the nearest class of *client* that has one, else plain reflection."""
    for cls in type(client).__mro__:
        found = ADAPTERS.get(f"{cls.__module__}.{cls.__qualname__}")
        if found is not None:
            module, _, name = found.partition(":")
            adapter: type[Adapter] = getattr(import_module(f"{__name__}.{module}"), name)
            return adapter(client, context)
    return Adapter(client, context)
